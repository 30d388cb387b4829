/* SPDX-License-Identifier: BSD-2-Clause
 *
 * os.h - memory, time and the process's identity, from the kernel.  os.c,
 * os_ranges.c and vdso.c alone make these calls.
 *
 * Functions return false or NULL with errno set.  Tests can make the Nth call
 * fail (mt_os_fail_at).
 */
#ifndef MT_OS_H
#define MT_OS_H

#include "heap/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A range of addresses, aligned; nothing is mapped there. */
void *mt_os_reserve(size_t bytes, size_t align);
/* The range may serve others; what was committed in it is uncommitted. */
void mt_os_release(void *, size_t bytes);
/* The most that it is wise to reserve: less than all where reservations count
 * for RLIMIT_AS. */
uint64_t mt_os_reserve_most(void);
/* Is there a limit of what the process may map?  Then a heap keeps nothing that
 * a thread's stack may need. */
bool mt_os_is_limited(void);
/* Maps a part of a range that is not committed: read-write, zero.  EEXIST: the
 * process has mapped something else there.  Otherwise ENOMEM. */
bool mt_os_commit(void *, size_t bytes);
/* Like mt_os_commit, of a file, shared with it and not with children;
 * `replace`: in the place of what the range has there. */
bool mt_os_commit_file(void *, size_t bytes, int file, uint64_t offset,
                       bool replace);
/* Like mt_os_commit, in pages of 2^shift bytes, all of them backed by
 * memory. */
bool mt_os_commit_huge(void *, size_t bytes, unsigned shift);
bool mt_os_uncommit(void *, size_t bytes); /* the opposite */
/* Moves committed pages to the start of `room` committed bytes, which they
 * replace; nothing is mapped at `from` any longer. */
enum mt_os_moved { MT_OS_MOVED, MT_OS_STAYED, MT_OS_LOST };
/* MT_OS_STAYED: nothing is moved, and there are `room` bytes at `to`.
 * MT_OS_LOST: there are none. */
enum mt_os_moved mt_os_move(void *from, size_t bytes, void *to, size_t room);
bool mt_os_decommit(void *, size_t bytes); /* contents gone, reads as 0 */
bool mt_os_unmap(void *, size_t bytes);    /* memory that a caller gave */
/* Binds committed memory to NUMA nodes, one bit each. */
bool mt_os_bind(void *, size_t bytes, uint64_t nodes);
void mt_os_thp(void *, size_t bytes, bool on); /* transparent huge pages */
bool mt_os_protect(void *, size_t bytes);      /* no access; contents stay */
bool mt_os_unprotect(void *, size_t bytes);    /* read-write again */
static inline uint64_t mt_os_ns(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}
/* The coarse clock: its grain (1 to 10 ms) is that of the epochs, and it
 * costs a few loads. */
#define MT_OS_MONOTONIC CLOCK_MONOTONIC_COARSE
uint64_t mt_os_monotonic_ns(void);
/* vdso.c: clock_gettime() of the kernel, never another's. */
typedef int mt_clock(clockid_t, struct timespec *);
extern MT_HIDDEN mt_clock *mt_os_clock;
void mt_os_clock_start(void);
uint64_t mt_os_realtime_ns(void);
uint32_t mt_os_tid(void);
uint32_t mt_os_pid(void);
/* Is [address, address + bytes) readable?  One system call; AS-safe. */
bool mt_os_readable(const void *address, size_t bytes);
/* getauxval(), also before libc is initialised. */
uint64_t mt_os_auxiliary(uint64_t type);
/* Has the process more rights than its caller (set-user-ID, capabilities)? */
bool mt_os_is_secure(void);
/* The value of an environment variable, also before libc is initialised; NULL
 * in a secure process, which does not obey its caller. */
const char *mt_os_getenv(const char *name);
/* For tests: mt_os_calls counts the calls that can fail, the one with the
 * number mt_os_fail_at fails (0: none). */
extern uint64_t mt_os_fail_at, mt_os_calls;
/* Is this the call that a test wants to fail? */
bool mt_os_told_to_fail(void);

#endif
