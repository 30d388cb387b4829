/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_read.c - files of /proc, read by system calls alone.  Every start reads
 * one.
 */
#include "heap/seldom.h"
#include "heap/exit/at_exit.h"
#include "heap/kernel.h"

#include <fcntl.h>
#include <sys/types.h>

int mt_exit_open(const char *path, int flags)
{
    return (int)mt_kernel(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

size_t mt_exit_read_file(const char *path, char *buffer, size_t bytes)
{
    size_t length = 0;
    int file = mt_exit_open(path, O_RDONLY);
    while (file >= 0 && length < bytes) {
        ssize_t n = mt_kernel(SYS_read, file, buffer + length, bytes - length);
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    if (file >= 0)
        mt_kernel(SYS_close, file);
    return length;
}
