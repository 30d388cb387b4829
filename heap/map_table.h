/* SPDX-License-Identifier: BSD-2-Clause
 *
 * map_table.h - what the program has mapped, and which stack did: the section
 * `maps` of the trace.  All of it is AS-safe, allocates nothing and keeps
 * errno.
 */
#ifndef MT_MAP_TABLE_H
#define MT_MAP_TABLE_H

#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/capture/capture.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The stack of a caller that maps memory; MT_STACK_UNTRACED with tracing off,
 * or before start-up. */
static inline uint32_t mt_map_stack(const struct mt_regs *regs, uint64_t bytes)
{
    struct mt_cache *cache = mt_tls;
    if (!mt_started() ||
        mt_load_relaxed(&mt_main->record->trace) != MT_TRACE_ON)
        return MT_STACK_UNTRACED;
    bool gated = MT_UNLIKELY(mt_box_on);
    if (gated)
        mt_box_enter();
    uint32_t stack = cache != &mt_no_cache && cache->capture
                         ? mt_capture_pinned(cache->capture, regs, bytes)
                         : mt_capture_once(regs, bytes);
    if (gated)
        mt_box_leave();
    return stack;
}

/* [start, start + bytes) is now what `flags` (MT_MAPPED_*) say, of that stack;
 * whatever was there is gone.  No flags, or MT_STACK_UNTRACED: nothing that is
 * recorded. */
void mt_map_set(uintptr_t start, size_t bytes, uint32_t flags, uint32_t stack);
/* Takes the range out of the table before it is unmapped; *bytes 0: the record
 * that starts there, whose size is then in it.  Returns the flags and the stack
 * of its first part, should the kernel refuse; 0: none. */
uint32_t mt_map_clear(uintptr_t start, size_t *bytes, uint32_t *stack);

/* A range moves, or grows: `move` makes the system call and returns the new
 * address, or -1.  What moves keeps its stack; what is new has `stack`. */
struct mt_map_move {
    uintptr_t old_start;
    size_t old_bytes, new_bytes;
    bool keeps_old; /* the old range stays mapped, and is empty */
    uint32_t stack;
    void *context;
    uintptr_t (*move)(void *context);
};
uintptr_t mt_map_moved(const struct mt_map_move *);

/* Fork, as heap/fork.c has it. */
enum mt_map_fork {
    MT_MAP_FORK_PREPARE,
    MT_MAP_FORK_PARENT,
    MT_MAP_FORK_CHILD,
    MT_MAP_FORK_CHILD_END /* signals come again */
};
void mt_map_fork(enum mt_map_fork);
extern struct mt_lock mt_map_lock;
extern uint32_t mt_map_gave_up; /* the process that does not wait, or 0 */
/* Has the child of a fork anything to reset?  It mostly has not, and then calls
 * nothing that is in another part of the library's code. */
static inline bool mt_map_is_busy(void)
{
    return mt_load_relaxed(&mt_map_lock.word) |
           mt_load_relaxed(&mt_map_gave_up);
}

#endif
