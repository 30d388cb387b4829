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

struct mt_capture {
    struct mt_capture *next;               /* of all there are */
    uint64_t under_way[MT_CAPTURE_NESTED]; /* rsp of captures, each interrupted
                                              by the next; 0: none */
    uint64_t missed; /* rsp of a capture that the memo was just seen not to
                        know; 0: none */
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
    uint64_t high = c->ranges.range[0].high;
    if (MT_UNLIKELY(sp < c->ranges.range[0].low))
        return 0;
    return MT_LIKELY(sp < high) ? high - sp : 0;
}

/* Was the memo made under the present circumstances? */
static inline bool mt_capture_is_current(const struct mt_capture *c)
{
    return c->memo.load_count == mt_modules_load_count() &&
           c->memo.depth == mt_load_relaxed(&memtrace_root->depth);
}

/* The same, and is there nothing to do for a hit but to count it? */
static inline bool mt_capture_is_usual(const struct mt_capture *c,
                                       const struct mt_root *root)
{
    return MT_LIKELY(c->memo.usual_count == mt_modules_load_count() &&
                     c->memo.depth == mt_load_folded(&root->depth));
}

/* Another slot than the expected one whose entry holds for these registers, or
 * NULL; `room` is that of rsp. With `first`, a place where entries don't pay is
 * left to a second look, and `missed` says whether there is to be one. */
static inline __attribute__((always_inline)) struct mt_memo_slot *
mt_capture_find(struct mt_capture *c, uint64_t rip, uint64_t rsp, uint64_t rbp,
                uint64_t room, bool first)
{
    struct mt_memo *m = &c->memo;
    if (MT_UNLIKELY(room == 0))
        room = mt_walk_ask_room(&c->ranges, rsp);
    bool pays = mt_memo_pays(m, rip);
    bool tries = MT_LIKELY(pays) || mt_memo_tries(m, rip, rsp);
    struct mt_memo_slot *slot = NULL;
    if (MT_LIKELY(room != 0 && (pays || (tries && !first))))
        slot = mt_memo_find(m, rip, rsp, rbp, room);
    if (MT_LIKELY(slot != NULL))
        mt_memo_expect(m, slot);
    else if (first && (pays || !tries))
        c->missed = rsp;
    if (!first && MT_UNLIKELY(!pays) && tries && room != 0)
        mt_memo_sampled(m, rip, slot != NULL);
    return slot;
}

/* The slot whose entry holds for these registers, or NULL. Between begin and
 * end, with a memo that is current. */
static inline __attribute__((always_inline)) struct mt_memo_slot *
mt_capture_known(struct mt_capture *c, uint64_t rip, uint64_t rsp, uint64_t rbp,
                 bool first)
{
    uint64_t room = mt_capture_room(c, rsp);
    if (MT_LIKELY(c->memo.trust != 0 && room != 0)) {
        struct mt_memo_slot *slot =
            mt_memo_expected(&c->memo, rip, rsp, rbp, room);
        if (MT_LIKELY(slot != NULL))
            return slot;
    }
    return mt_capture_find(c, rip, rsp, rbp, room, first);
}

/* Counts one. Is the counter full? */
static inline bool mt_capture_count(uint32_t *allocs)
{
    bool full;
    __asm__("addl $1, %0" : "+m"(*allocs), "=@ccs"(full));
    return full;
}

/* Counts the hit, and returns its stack. */
static inline uint32_t mt_capture_hit(struct mt_capture *c,
                                      struct mt_memo_slot *slot, uint64_t bytes)
{
    struct mt_counter_record *counter = mt_memo_counter(&c->memo, slot);
    uint32_t stack = counter->stack;
    c->memo.hits++;
    counter->bytes += bytes;
    if (MT_UNLIKELY(mt_capture_count(&counter->allocs)))
        mt_memo_merge_one(counter);
    mt_memo_found(&c->memo, slot);
    return stack;
}

#endif
