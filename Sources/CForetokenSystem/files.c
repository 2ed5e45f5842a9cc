#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foretoken_system.h"

int foretoken_fill_standard_descriptors(void) {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0) continue;
        if (errno != EBADF) return errno;
        // Takes the lowest free number, which is this one: those below are open.
        int opened = open("/dev/null", O_RDONLY);
        if (opened < 0) return errno;
        if (opened != descriptor) {
            if (dup2(opened, descriptor) < 0) return errno;
            close(opened);
        }
    }
    return 0;
}

int foretoken_rename_exclusive(const char *from, const char *to) {
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    // This file system cannot do both at once.
    struct stat status;
    if (!lstat(to, &status)) return EEXIST;
    if (errno != ENOENT) return errno;
    return rename(from, to) ? errno : 0;
}
