/* SPDX-License-Identifier: BSD-2-Clause
 *
 * idle_stacks.h - the unused parts of stacks that are not the C library's.
 *
 * A record in memory says of each where it is, and several of its words have to
 * agree:
 * - that of a context (ucontext_t), with the stack pointer it was left with;
 * - that of a signal frame, in the alternate stack that it names;
 * - glibc's record of a thread that has ended, on a stack that the program
 *   gave.
 * What a program keeps there may be of use all the same, as coroutines also
 * switch by other means.  So what only such a part holds is possibly lost.
 *
 * Some parts are unused for certain, and hold nothing:
 * - of the alternate stack of a handler that runs, what lies below its stack
 *   pointer;
 * - of the stack that was left for it, what lies below the interrupted frame;
 * - of a stack that was left by a call that saved a context, what lies below
 *   the caller's frame.  The return address of that call is still in its place,
 *   and the context lies elsewhere: one in a dead frame says nothing.
 *
 * The other stack may lie inside of the thread's own, in a variable.
 */
#ifndef MT_IDLE_STACKS_H
#define MT_IDLE_STACKS_H

#include "coreanalyze/reach/mark_scan.h"

struct mt_idle_stack {
    uint64_t start, end; /* the unused part */
    uint64_t slot;       /* of the block that it lies in, if in_block */
    bool in_block;
    bool nothing; /* it is not searched at all */
    bool searched;
};

/* In a context: the size of its stack; the address of its floating-point state,
 * which is about that far from there. */
#define MT_CONTEXT_SIZE 32u
#define MT_CONTEXT_STATE 224u
#define MT_CONTEXT_NEAREST 192u
#define MT_CONTEXT_FARTHEST 448u

/* The C library's stack of a thread. */
struct mt_own_stack {
    uint64_t start, end;
    uint64_t sp;     /* of the thread */
    uint64_t used;   /* the lowest address that was left in use; 0: not known */
    uint64_t inside; /* where another stack begins in it, on which the thread
                        runs; 0: none */
    uint32_t thread; /* in the source */
    bool sure;       /* `used` is certain */
    bool left;       /* the thread runs on another stack, which is not in it */
    bool found;      /* that stack is known */
    bool unknown;    /* it is counted as not known */
};

/* Bytes below the stack pointer that a function may use without moving it. */
#define MT_RED_ZONE 128u

struct mt_idle_stacks {
    struct mt_idle_stack *items; /* by address, no overlaps */
    size_t n, capacity;
    size_t n_found; /* threads of which both stacks are known */
};

/* Looks for records in the ranges of roots and in live blocks. */
bool mt_idle_stacks_find(struct mt_source *source, struct mt_map *map,
                         const struct mt_mark_range *ranges, size_t n_ranges,
                         struct mt_own_stack *own, size_t n_own,
                         struct mt_idle_stacks *idle, struct mt_error *error);
void mt_idle_stacks_free(struct mt_idle_stacks *idle);

/* The part of [*at, end) from *at on that is in no idle stack: its end is
 * returned, and *at moved to its start.  False: nothing is left. */
static inline bool mt_idle_stacks_next(const struct mt_idle_stacks *idle,
                                       uint64_t *at, uint64_t end,
                                       uint64_t *part_end)
{
    size_t i = mt_count_up_to(idle->items, idle->n, end, *at);

    while (i < idle->n && idle->items[i].start <= *at)
        *at = idle->items[i++].end;
    if (*at >= end)
        return false;
    *part_end =
        i < idle->n && idle->items[i].start < end ? idle->items[i].start : end;
    return true;
}

#endif
