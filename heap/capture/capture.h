/* SPDX-License-Identifier: BSD-2-Clause
 *
 * capture.h - who is allocating: the interface of capture, its settings and
 * figures.
 */
#ifndef MT_CAPTURE_H
#define MT_CAPTURE_H

#include "heap/layout.h"

#include <stddef.h>
#include <stdint.h>

/* Registers of the caller of the allocation function as they are when that
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
/* The same, and the capture lasts until mt_capture_release() (capture_fast.h),
 * which is to be called when the id is in a tag. */
uint32_t mt_capture_hold(struct mt_capture *c, const struct mt_regs *regs,
                         uint64_t bytes);
/* The same, and the stack stays for good; without a capture state, and so
 * without a memo, mt_capture_once(). */
uint32_t mt_capture_pinned(struct mt_capture *c, const struct mt_regs *regs,
                           uint64_t bytes);
uint32_t mt_capture_once(const struct mt_regs *regs, uint64_t bytes);
/* Fold one thread's counters so that the stack table is exact for it. */
void mt_capture_merge_counts(struct mt_capture *c);

/* Bound of one thread's memo, 0 for none; all threads' together get at most 8
 * times that (but each its first 128). To be set before the first capture. */
extern uint32_t mt_memo_kib;

/* Debugging: unwind on every hit of a memo, and compare; a line on stderr at
 * exit says what came of it. */
extern uint32_t mt_capture_verify;

/* Hits and misses of memos that were folded (mt_capture_merge_counts); what
 * came of verification, at once. */
extern struct mt_capture_totals {
    uint64_t hits, misses, verified, mismatches;
    uint64_t paths; /* verified, too: unwound down to a known frame */
} mt_capture_totals;
/* With those of memos that are in use, as far as they are seen from here. */
struct mt_capture_totals mt_capture_sum(void);

#endif
