// power-off CODE: ends the virtual machine. QEMU's isa-debug-exit device turns the byte b into exit status 2 b + 1; with
// 16 added, none of our codes looks like a failure of QEMU itself.
#include <stdlib.h>
#include <sys/io.h>

int main(int count, char **words) {
    if (iopl(3)) return 1;
    outb((unsigned char)(16 + (count > 1 ? atoi(words[1]) : 0)), 0xf4);
    return 2;
}
