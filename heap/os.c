/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The seam to the kernel: every system call about memory or time that the
 * heap makes is in this file.
 */
#include "heap/internal.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_DONTDUMP
#define MADV_DONTDUMP 16
#define MADV_DODUMP 17
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

uint64_t mt_os_fail_at;
uint64_t mt_os_calls;

/* Is this the call that a test wants to fail? */
static bool told_to_fail(void)
{
    uint64_t call = __atomic_add_fetch(&mt_os_calls, 1, __ATOMIC_RELAXED);
    if (MT_LIKELY(call != mt_load_relaxed(&mt_os_fail_at)))
        return false;
    errno = ENOMEM;
    return true;
}

void *mt_os_reserve(size_t bytes, size_t align)
{
    size_t page = 4096, extra = align > page ? align : 0;
    if (bytes + extra < bytes || told_to_fail()) {
        errno = ENOMEM;
        return NULL;
    }
    char *got = mmap(NULL, bytes + extra, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED)
        return NULL;
    if (extra) {
        uintptr_t start = (uintptr_t)got;
        uintptr_t aligned = (start + align - 1) & ~(uintptr_t)(align - 1);
        if (aligned > start)
            munmap(got, aligned - start);
        if (start + extra > aligned)
            munmap((char *)aligned + bytes, start + extra - aligned);
        got = (char *)aligned;
    }
    /* Kept out of cores until committed. */
    madvise(got, bytes, MADV_DONTDUMP);
    return got;
}

bool mt_os_commit(void *address, size_t bytes)
{
    if (told_to_fail())
        return false;
    if (mprotect(address, bytes, PROT_READ | PROT_WRITE) != 0) {
        errno = ENOMEM;
        return false;
    }
    madvise(address, bytes, MADV_DODUMP);
    return true;
}

bool mt_os_commit_huge(void *address, size_t bytes, unsigned shift)
{
    if (told_to_fail())
        return false;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB |
                (int)(shift << MAP_HUGE_SHIFT);
    return mmap(address, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) !=
           MAP_FAILED;
}

bool mt_os_bind(void *address, size_t bytes, uint64_t nodes)
{
    if (told_to_fail())
        return false;
    /* The kernel takes one less than the number of bits. */
    return syscall(SYS_mbind, address, bytes, MPOL_BIND, &nodes,
                   sizeof nodes * 8 + 1, 0) == 0;
}

void mt_os_thp(void *address, size_t bytes, bool on)
{
    madvise(address, bytes, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

bool mt_os_commit_undumped(void *address, size_t bytes)
{
    if (told_to_fail())
        return false;
    return mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

void mt_os_dump(void *address, size_t bytes)
{
    madvise(address, bytes, MADV_DODUMP);
}

bool mt_os_decommit(void *address, size_t bytes)
{
    return !told_to_fail() && madvise(address, bytes, MADV_DONTNEED) == 0;
}

bool mt_os_protect(void *address, size_t bytes)
{
    return !told_to_fail() && mprotect(address, bytes, PROT_NONE) == 0;
}

bool mt_os_unprotect(void *address, size_t bytes)
{
    return !told_to_fail() &&
           mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool mt_os_release(void *address, size_t bytes)
{
    return munmap(address, bytes) == 0;
}

uint64_t mt_os_address_space(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_AS, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return mt_os_ns(&now);
}

uint64_t mt_os_monotonic_ns(void)
{
    return clock_ns(MT_OS_MONOTONIC);
}

uint64_t mt_os_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint32_t mt_os_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* rt_sigprocmask() copies the new set in before it looks at `how`; with a
 * `how` that does not exist it answers EFAULT or EINVAL and does nothing. */
static bool readable_word(uintptr_t address)
{
    int saved = errno;
    long got = syscall(SYS_rt_sigprocmask, ~0, (void *)address, NULL, 8);
    bool readable = got != 0 && errno == EINVAL;
    errno = saved;
    return readable;
}

bool mt_os_readable(const void *address, size_t bytes)
{
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

const char *mt_os_getenv(const char *name)
{
    char **env = environ;
    if (env == NULL && __libc_stack_end != NULL) {
        long argc = *(long *)__libc_stack_end;
        env = (char **)__libc_stack_end + 1 + argc + 1;
    }
    for (; env && *env; env++) {
        const char *entry = *env, *n = name;
        while (*n && *entry == *n)
            entry++, n++;
        if (*n == '\0' && *entry == '=')
            return entry + 1;
    }
    return NULL;
}
