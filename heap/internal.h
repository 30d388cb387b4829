/* SPDX-License-Identifier: BSD-2-Clause
 *
 * internal.h - what the files of heap/ promise each other.
 *
 * Nothing here calls malloc or stdio.  "AS-safe" means async-signal-safe.
 */
#ifndef MT_INTERNAL_H
#define MT_INTERNAL_H

#include "heap/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define MT_LIKELY(x) __builtin_expect(!!(x), 1)
#define MT_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MT_COLD __attribute__((cold, noinline))
#define MT_NOINLINE __attribute__((noinline))
/* For functions that the entry points call: a program may call entry points
 * with a stack that is not aligned, so these must accept that. */
#define MT_REALIGN __attribute__((force_align_arg_pointer))
#define MT_EXPORT __attribute__((visibility("default")))
/* Initial-exec: the access is one instruction and can never allocate. */
#define MT_TLS __thread __attribute__((tls_model("initial-exec")))

#define mt_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
/* Like mt_load_relaxed, for an aligned word.  The compiler may make it an
 * operand of the instruction that uses it, which it does not with atomic
 * loads. */
#ifdef __SANITIZE_THREAD__
#define mt_load_folded(p) mt_load_relaxed(p)
#define mt_store_indexed(words, i, v) mt_store_relaxed(&(words)[i], (v))
#else
#define mt_load_folded(p) (*(p))
/* words[i] = v, a relaxed store, without an instruction for the address. */
#define mt_store_indexed(words, i, v)                                          \
    __asm__ volatile("movq %0, (%1, %2, 8)"                                    \
                     :                                                         \
                     : "r"(v), "r"(words), "r"(i)                              \
                     : "memory")
#endif
#define mt_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define mt_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define mt_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* --- lock.c: a futex lock.  Not recursive; usable before main and after
 * fork (mt_lock_reset in the child). Lock order is at the head of heap.c. */
struct mt_lock {
    uint32_t word; /* 0 free, 1 held, 2 held and waited for */
};
void mt_lock_acquire(struct mt_lock *);
bool mt_lock_try(struct mt_lock *);
void mt_lock_release(struct mt_lock *);
void mt_lock_reset(struct mt_lock *);

/* --- os.c, os_ranges.c: the only files that make memory system calls. Each
 * returns false or NULL with errno set.  Tests can make the Nth call fail
 * (mt_os_fail_at). */

/* A range of addresses, aligned; nothing is mapped there. */
void *mt_os_reserve(size_t bytes, size_t align);
/* The range may serve others; what was committed in it is uncommitted. */
void mt_os_release(void *, size_t bytes);
/* The most that it is wise to reserve: less than all where reservations count
 * for RLIMIT_AS. */
uint64_t mt_os_reserve_most(void);
/* Maps a part of a range that is not committed: read-write, zero.  EEXIST: the
 * process has mapped something else there.  Otherwise ENOMEM. */
bool mt_os_commit(void *, size_t bytes);
/* Like mt_os_commit, in pages of 2^shift bytes, all of them backed by
 * memory. */
bool mt_os_commit_huge(void *, size_t bytes, unsigned shift);
bool mt_os_uncommit(void *, size_t bytes); /* the opposite */
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
extern mt_clock *mt_os_clock;
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

/* --- trace_region.c: the trace region. */
extern struct mt_root *memtrace_root; /* exported; NULL until start-up */

/* Appends `bytes` (a multiple of 8) to a section, committing as needed; the
 * memory is zero.  NULL when the section is full or the kernel refuses (the
 * section's overflow counter is then raised).  Takes no lock; AS-safe. */
void *mt_section_alloc(unsigned section, size_t bytes);
/* Ends the use of memory from mt_section_alloc(): its whole pages go back to
 * the kernel, and read as zero.  AS-safe. */
void mt_section_forget(void *memory, size_t bytes);
/* Offset of a NUL-terminated copy in the strings section, 0 when full. */
uint32_t mt_string_add(const char *, size_t length);

/* --- time_index.c: opens an epoch when the last is older than the grain.
 * Returns the index of the current one.  AS-safe. */
extern uint64_t mt_epoch_next_ns; /* when the next may open */
MT_REALIGN MT_COLD void mt_epoch_open(uint64_t now);
static inline uint32_t mt_epoch_at(uint64_t now)
{
    if (MT_UNLIKELY(now >= mt_load_relaxed(&mt_epoch_next_ns)))
        mt_epoch_open(now);
    return mt_load_relaxed(&memtrace_root->epoch);
}
static inline uint32_t mt_epoch_tick(void)
{
    return mt_epoch_at(mt_os_monotonic_ns());
}
uint32_t mt_epoch_mark(const char *label);
void mt_epoch_fork_child(void);

/* --- capture.c and below: who is allocating.
 *
 * Registers of the caller of the allocation function as they are when that
 * function returns to it: rip is the return address, rsp the CFA.  Filled by
 * the assembly entry in traced.S. */
struct mt_regs {
    uint64_t rip, rsp, rbp, rbx, r12, r13, r14, r15;
};

/* The capture state of one thread (memo, rule cache, stack bounds).  Lives in
 * the trace region's private section; opaque to the rest of the heap. */
struct mt_capture;
extern const size_t mt_capture_bytes; /* size of a struct mt_capture */
/* `c` is zeroed memory of that size; `thread` is the thread's record, whose
 * `counters` it fills in.  Called at attach of a thread to a new cache. */
void mt_capture_init(struct mt_capture *c, struct mt_thread_record *thread);
/* The thread goes, or forked away: fold its counters into the stack table,
 * forget its stack bounds.  The state may serve another thread afterwards. */
void mt_capture_detach(struct mt_capture *c);
/* Returns the id of the calling stack (MT_STACK_OVERFLOW when the table is
 * full) and adds one allocation of `bytes` to its lifetime counters.
 * AS-safe: a capture that interrupts another one on the same thread unwinds
 * without the memo. Never allocates from a heap, never takes a heap lock. */
uint32_t mt_capture_stack(struct mt_capture *c, const struct mt_regs *regs,
                          uint64_t bytes);
/* Fold one thread's counters so that the stack table is exact for it. */
void mt_capture_merge_counts(struct mt_capture *c);

#endif
