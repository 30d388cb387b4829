/* SPDX-License-Identifier: BSD-2-Clause
 *
 * kernel.h - system calls without the C library.
 *
 * A program, or a library that it was started with, may have its own mmap(),
 * getpid() or clock_gettime(), which may allocate.  So the heap calls none of
 * them: it asks the kernel, and the vDSO for the time.  These calls are not
 * cancellation points either.
 */
#ifndef MT_KERNEL_H
#define MT_KERNEL_H

#include <errno.h>
#include <sys/syscall.h>

static inline long mt_kernel_raw(long number, long a, long b, long c, long d,
                                 long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* Like syscall(): -1 with errno for an error. */
static inline long mt_kernel_errno(long result)
{
    if ((unsigned long)result < -4095ul)
        return result;
    errno = (int)-result;
    return -1;
}

/* mt_kernel(number, up to six arguments of any scalar type) */
#define MT_KERNEL_CALL(number, a, b, c, d, e, f, ...)                          \
    mt_kernel_errno(mt_kernel_raw((number), (long)(a), (long)(b), (long)(c),   \
                                  (long)(d), (long)(e), (long)(f)))
#define mt_kernel(...) MT_KERNEL_CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

#endif
