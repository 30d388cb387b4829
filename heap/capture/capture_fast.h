/* SPDX-License-Identifier: BSD-2-Clause
 *
 * capture_fast.h - the capture state of a thread, and the capture that most
 * allocations make: one that the memo knows.  The theory is at the head of
 * capture.c.
 */
#ifndef MT_CAPTURE_FAST_H
#define MT_CAPTURE_FAST_H

#include "heap/capture/capture.h"
#include "heap/capture/load_count.h"
#include "heap/capture/memo.h"
#include "heap/capture/stacks.h"
#include "heap/capture/walk.h"
#include "heap/trace_region.h"

#include <time.h>

#define MT_CAPTURE_NESTED 2 /* with a buffer: one and its interrupter */
#define MT_COUNTER_FULL (UINT32_C(1) << 31) /* to be folded before the next */

struct mt_capture {
    struct mt_capture *next;               /* of all there are */
    uint64_t under_way[MT_CAPTURE_NESTED]; /* rsp of captures, each interrupted
                                              by the next; 0: none */
    struct mt_stack_ranges ranges;
    struct mt_memo memo;
    uint32_t seen_outside, memo_scanned; /* see collect.c */
    struct timespec now; /* what the last traced allocation was told */
    /* The capture under way on level 0: not on the stack, which may have a few
     * KiB. */
    struct mt_read_log read_log;
    struct mt_unwinding unwinding;
    struct mt_walk walk;
    /* The large arrays come last: of each, few programs touch more than a
     * page. */
    uint64_t read_log_addresses[MT_MEMO_WORDS], read_log_values[MT_MEMO_WORDS];
    struct mt_stack_path path;
    uint64_t frames[MT_CAPTURE_NESTED][MT_DEPTH_MAX];
};

/* False: the thread has no state, or it is in use (mt_capture_stack() can
 * do). */
static inline bool mt_capture_begin(struct mt_capture *c, uint64_t sp)
{
    if (MT_UNLIKELY(!c || c->under_way[0] != 0))
        return false;
    mt_store_relaxed(&c->under_way[0], sp);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return true;
}

static inline void mt_capture_end(struct mt_capture *c)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    mt_store_relaxed(&c->under_way[0], 0);
}

/* Ends the capture that began with this rsp, but none that it interrupted. */
static inline void mt_capture_release(struct mt_capture *c, uint64_t rsp)
{
    if (c && c->under_way[0] == rsp)
        mt_capture_end(c);
}

/* Bytes above `sp` that are known to be readable; 0 on another stack than the
 * thread's own. */
static inline uint64_t mt_capture_room(const struct mt_capture *c, uint64_t sp)
{
    uint64_t low = c->ranges.range[0].low, high = c->ranges.range[0].high;
    return sp - low < high - low ? high - sp : 0;
}

/* Was the memo made under the present circumstances? */
static inline bool mt_capture_is_current(const struct mt_capture *c)
{
    return c->memo.load_count == mt_modules_load_count() &&
           c->memo.depth == mt_load_relaxed(&memtrace_root->depth);
}

/* The slot expected next, if its entry holds, or NULL; of `regs` it reads rip,
 * rsp and rbp.  Between begin and end. */
static inline __attribute__((always_inline)) struct mt_memo_slot *
mt_capture_expected(const struct mt_capture *c, const struct mt_regs *regs)
{
    if (MT_UNLIKELY(!mt_capture_is_current(c)))
        return NULL;
    return mt_memo_expected(&c->memo, regs, mt_capture_room(c, regs->rsp));
}

/* Another slot whose entry holds for these registers, or NULL. Between begin
 * and end. */
MT_REALIGN struct mt_memo_slot *
mt_capture_find(struct mt_capture *c, uint64_t rip, uint64_t rsp, uint64_t rbp);

/* Is there nothing to do for a hit but to count it? */
static inline bool mt_capture_is_plain(const struct mt_capture *c,
                                       const struct mt_memo_slot *slot)
{
    return MT_LIKELY(c->memo.counters[slot - c->memo.slots].allocs <
                         MT_COUNTER_FULL &&
                     !mt_load_relaxed(&mt_capture_verify));
}

/* Counts the hit, and returns its stack. */
static inline uint32_t mt_capture_hit(struct mt_capture *c,
                                      const struct mt_memo_slot *slot,
                                      uint64_t bytes)
{
    struct mt_memo_entry *e = mt_memo_at(&c->memo, slot->at);
    struct mt_counter_record *counter = &c->memo.counters[slot - c->memo.slots];
    if (MT_UNLIKELY(!e->hit))
        e->hit = 1;
    c->memo.hits++;
    counter->bytes += bytes;
    counter->allocs++;
    mt_memo_found(&c->memo, slot);
    return e->id;
}

#endif
