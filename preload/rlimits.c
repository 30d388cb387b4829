/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rlimits.c - a program that lowers its own limits of memory gets back what the
 * heap keeps for later, as that counts for them.  The limits are set by the
 * kernel as they would be without us.
 */
#include "heap/seldom.h"
#include "heap/memtrace.h"
#include "heap/alloc.h"
#include "heap/kernel.h"
#include "heap/os.h"

#include <errno.h>
#include <sys/resource.h>

static int limits_set(pid_t pid, int resource, const void *new_limit,
                      void *old_limit)
{
    int result =
        (int)mt_kernel(SYS_prlimit64, pid, resource, new_limit, old_limit);
    bool counts = resource == RLIMIT_AS || resource == RLIMIT_DATA;
    /* Not the child of a vfork, which has another's memory. */
    if (result == 0 && new_limit && counts && mt_started() &&
        memtrace_root->pid == mt_os_pid() &&
        (pid == 0 || (uint32_t)pid == memtrace_root->pid)) {
        int saved = errno;
        memtrace_trim();
        errno = saved;
    }
    return result;
}

MT_EXPORT int setrlimit(__rlimit_resource_t resource,
                        const struct rlimit *limit)
{
    return limits_set(0, (int)resource, limit, NULL);
}

MT_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource,
                      const struct rlimit *new_limit, struct rlimit *old_limit)
{
    return limits_set(pid, (int)resource, new_limit, old_limit);
}

MT_EXPORT int setrlimit64(__rlimit_resource_t resource,
                          const struct rlimit64 *limit)
{
    return limits_set(0, (int)resource, limit, NULL);
}

MT_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource,
                        const struct rlimit64 *new_limit,
                        struct rlimit64 *old_limit)
{
    return limits_set(pid, (int)resource, new_limit, old_limit);
}
