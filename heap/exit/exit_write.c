/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_write.c - bytes into the file that a process leaves at its exit.
 */
#include "heap/seldom.h"
#include "heap/kernel.h"
#include "heap/attributes.h"
#include "heap/exit/at_exit.h"

#include <errno.h>

bool mt_exit_write_at(struct mt_exit *a, const void *data, size_t bytes,
                      uint64_t offset)
{
    const char *p = data;
    while (bytes > 0 && a->problem == 0) {
        long n = mt_kernel(SYS_pwrite64, a->file, p, bytes, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            a->problem = n < 0 ? errno : ENOSPC;
            break;
        }
        p += n;
        bytes -= (size_t)n;
        offset += (uint64_t)n;
    }
    return a->problem == 0;
}

void mt_exit_put(struct mt_exit *a, const void *data, size_t bytes)
{
    mt_exit_write_at(a, data, bytes, a->offset);
    a->offset += bytes;
}
