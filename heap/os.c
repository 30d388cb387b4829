/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The seam to the kernel: every system call about memory or time that the
 * heap makes is in this file and in os_ranges.c.
 */
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "heap/os.h"
#include "heap/sandbox.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

uint64_t mt_os_fail_at;
uint64_t mt_os_calls;

bool mt_os_told_to_fail(void)
{
    uint64_t call = __atomic_add_fetch(&mt_os_calls, 1, __ATOMIC_RELAXED);
    if (MT_LIKELY(call != mt_load_relaxed(&mt_os_fail_at)))
        return false;
    errno = ENOMEM;
    return true;
}

bool mt_os_bind(void *address, size_t bytes, uint64_t nodes)
{
    if (mt_os_told_to_fail())
        return false;
    /* The kernel takes one less than the number of bits. */
    return mt_kernel(SYS_mbind, address, bytes, MPOL_BIND, &nodes,
                     sizeof nodes * 8 + 1, 0) == 0;
}

void mt_os_thp(void *address, size_t bytes, bool on)
{
    if (mt_sandbox.level || mt_load_relaxed(&mt_sandbox_any))
        return;
    mt_kernel(SYS_madvise, address, bytes,
              on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

bool mt_os_decommit(void *address, size_t bytes)
{
    if (mt_os_told_to_fail() || mt_sandbox.level == MT_SANDBOX_STRICT)
        return false;
    if (MT_LIKELY(!mt_load_relaxed(&mt_sandbox_any)))
        return mt_kernel(SYS_madvise, address, bytes, MADV_DONTNEED) == 0;
    return (void *)mt_kernel(SYS_mmap, address, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                             0) == address;
}

bool mt_os_protect(void *address, size_t bytes)
{
    return !mt_os_told_to_fail() && mt_sandbox.level != MT_SANDBOX_STRICT &&
           mt_kernel(SYS_mprotect, address, bytes, PROT_NONE) == 0;
}

bool mt_os_unprotect(void *address, size_t bytes)
{
    return !mt_os_told_to_fail() && mt_sandbox.level != MT_SANDBOX_STRICT &&
           mt_kernel(SYS_mprotect, address, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool mt_os_unmap(void *address, size_t bytes)
{
    return mt_kernel(SYS_munmap, address, bytes) == 0;
}

uint32_t mt_os_tid(void)
{
    bool asks = !mt_sandbox.level && !mt_load_relaxed(&mt_sandbox_any);
    uint32_t tid = MT_LIKELY(asks) ? 0 : mt_sandbox_tid();
    return tid ? tid : (uint32_t)mt_kernel(SYS_gettid);
}

uint32_t mt_os_pid(void)
{
    return (uint32_t)mt_kernel(SYS_getpid);
}

/* rt_sigprocmask() copies the new set in before it looks at `how`; with a
 * `how` that does not exist it answers EFAULT or EINVAL and does nothing. */
static bool readable_word(uintptr_t address)
{
    return mt_kernel_raw(SYS_rt_sigprocmask, ~0, (long)address, 0, 8, 0, 0) ==
           -EINVAL;
}

bool mt_os_readable(const void *address, size_t bytes)
{
    if (MT_UNLIKELY(mt_sandbox.level))
        return mt_sandbox_readable((uintptr_t)address, bytes);
    uintptr_t first = (uintptr_t)address & ~(uintptr_t)7;
    uintptr_t last =
        ((uintptr_t)address + (bytes ? bytes - 1 : 0)) & ~(uintptr_t)7;
    for (uintptr_t at = first; at < last; at = (at | 4095) + 1)
        if (!readable_word(at))
            return false;
    return readable_word(last);
}

/* The environment as the kernel gave it: the C library's `environ` may not
 * be set yet when the dynamic linker first allocates. */
extern void *__libc_stack_end;

static char **first_environment(void)
{
    long argc = *(long *)__libc_stack_end;
    return (char **)__libc_stack_end + 1 + argc + 1;
}

/* The auxiliary vector follows, as long as nobody has changed the environment.
 * getauxval() is in a page of the C library that few programs have at start. */
uint64_t mt_os_auxiliary(uint64_t type)
{
    if (environ != NULL || __libc_stack_end == NULL)
        return getauxval(type);
    char **end = first_environment();
    while (*end)
        end++;
    const uint64_t *entry = (const uint64_t *)(end + 1);
    while (entry[0] != AT_NULL && entry[0] != type)
        entry += 2;
    return entry[0] == type ? entry[1] : 0;
}

bool mt_os_is_secure(void)
{
    return mt_os_auxiliary(AT_SECURE) != 0;
}

const char *mt_os_getenv(const char *name)
{
    char **env = environ;
    if (mt_os_is_secure())
        return NULL;
    if (env == NULL && __libc_stack_end != NULL)
        env = first_environment();
    for (; env && *env; env++) {
        const char *entry = *env, *n = name;
        while (*n && *entry == *n)
            entry++, n++;
        if (*n == '\0' && *entry == '=')
            return entry + 1;
    }
    return NULL;
}
