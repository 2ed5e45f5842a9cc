// The four calls that Foretoken asks of libnuma, straight to the kernel. A release links them in libnuma's place: what
// is linked with libnuma.a must be passed on with libnuma's source and with what a user needs to link it anew (LGPL
// 2.1, section 6), and a program that asks for libnuma.so does not start where it is missing. Only the header is
// libnuma's: numbers and declarations, which ask for nothing (section 5).
#include <numaif.h>
#include <sys/syscall.h>
#include <unistd.h>

long get_mempolicy(int *mode, unsigned long *nodes, unsigned long bits, void *address, unsigned flags) {
    return syscall(SYS_get_mempolicy, mode, nodes, bits, address, flags);
}

long set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits) {
    return syscall(SYS_set_mempolicy, mode, nodes, bits);
}

long mbind(void *address, unsigned long bytes, int mode, const unsigned long *nodes, unsigned long bits,
           unsigned flags) {
    return syscall(SYS_mbind, address, bytes, mode, nodes, bits, flags);
}

long move_pages(int process, unsigned long count, void **pages, const int *nodes, int *answers, int flags) {
    return syscall(SYS_move_pages, process, count, pages, nodes, answers, flags);
}
