/* SPDX-License-Identifier: BSD-2-Clause
 *
 * seccomp.c - prctl() and syscall() of a program that enters a sandbox: the
 * heap hears of it before, as it can't make all system calls after it.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/kernel.h"
#include "heap/sandbox.h"

#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* What syscall() does, for one that enters a sandbox; not in a child that has
 * its parent's memory. */
static long sandbox_call(enum mt_sandbox_level level, bool of_all, long number,
                         const long argument[5])
{
    struct mt_sandbox before = mt_sandbox;
    bool own = mt_started() && mt_os_pid() == memtrace_root->pid;
    if (own) {
        void *volatile block = malloc(1); /* the thread's records are made */
        free(block);
        mt_sandbox_prepare(level);
        if (of_all)
            mt_store_release(&mt_sandbox_any, 1);
    }
    long result = mt_kernel_raw(number, argument[0], argument[1], argument[2],
                                argument[3], argument[4], 0);
    if (own && result < 0)
        mt_sandbox_cancel(&before);
    return mt_kernel_errno(result);
}

/* For syscall.S. */
__attribute__((visibility("hidden"))) long
mt_sandbox_syscall(long number, long a, long b, long c, long d, long e);

long mt_sandbox_syscall(long number, long a, long b, long c, long d, long e)
{
    const long argument[5] = {a, b, c, d, e};
    bool by_prctl = number == SYS_prctl;
    long mode = by_prctl ? b : a;
    bool of_all = !by_prctl && b & SECCOMP_FILTER_FLAG_TSYNC;
    if (mode == (by_prctl ? SECCOMP_MODE_STRICT : SECCOMP_SET_MODE_STRICT))
        return sandbox_call(MT_SANDBOX_STRICT, false, number, argument);
    if (mode == (by_prctl ? SECCOMP_MODE_FILTER : SECCOMP_SET_MODE_FILTER))
        return sandbox_call(MT_SANDBOX_FILTER, of_all, number, argument);
    return mt_kernel(number, a, b, c, d, e);
}

MT_EXPORT int prctl(int option, ...)
{
    va_list list;
    long a[4];
    va_start(list, option);
    for (unsigned i = 0; i < 4; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (option == PR_SET_SECCOMP)
        return (int)mt_sandbox_syscall(SYS_prctl, option, a[0], a[1], a[2],
                                       a[3]);
    return (int)mt_kernel(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}
