/* SPDX-License-Identifier: BSD-2-Clause
 *
 * idle_stacks.h - the unused parts of stacks that no thread runs on.
 *
 * A record in memory says of each where it is, and several of its words have to
 * agree:
 * - that of a context (ucontext_t), with the stack pointer it was left with;
 * - that of a signal frame, in the alternate stack that it names;
 * - glibc's record of a thread that has ended, on a stack that the program
 *   gave.
 * What a program keeps there may be of use all the same, as coroutines also
 * switch by other means.  So what only such a part holds is possibly lost.
 */
#ifndef MT_IDLE_STACKS_H
#define MT_IDLE_STACKS_H

#include "coreanalyze/reach/mark_scan.h"

struct mt_idle_stack {
    uint64_t start, end; /* the unused part */
    uint64_t slot;       /* of the block that it lies in, if in_block */
    bool in_block;
    bool searched;
};

struct mt_idle_stacks {
    struct mt_idle_stack *items; /* by address, no overlaps */
    size_t n, capacity;
};

/* Looks for records in the ranges of roots and in live blocks. */
bool mt_idle_stacks_find(struct mt_source *source, struct mt_map *map,
                         const struct mt_mark_range *ranges, size_t n_ranges,
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
