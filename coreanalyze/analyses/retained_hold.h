/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_hold.h - which place holds the most of a stack's blocks.
 *
 * The walk over the tree of dominators comes to the blocks below a place one
 * after another, and to a holder's places so.  A run of each stack is therefore
 * enough: when it ends, its place is complete.
 */
#ifndef MT_RETAINED_HOLD_H
#define MT_RETAINED_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#define MT_HELD_BY_NONE UINT32_MAX

struct mt_hold_run {
    uint32_t of; /* index; MT_HELD_BY_NONE: none yet */
    uint64_t bytes;
};

struct mt_hold_most {
    struct mt_hold_run now, most;
};

static inline void mt_hold_begin(struct mt_hold_most *hold)
{
    hold->now = hold->most = (struct mt_hold_run){MT_HELD_BY_NONE, 0};
}

/* Blocks that one `of` holds come one after another. */
static inline void mt_hold_add(struct mt_hold_most *hold, uint32_t of,
                               uint64_t bytes)
{
    if (of == MT_HELD_BY_NONE)
        return;
    if (hold->now.of != of)
        hold->now = (struct mt_hold_run){of, 0};
    hold->now.bytes += bytes;
    if (hold->most.of == of || hold->now.bytes > hold->most.bytes)
        hold->most = hold->now;
}

/* Does it hold at least half of that many bytes? */
static inline bool mt_hold_is_half(const struct mt_hold_most *hold,
                                   uint64_t bytes)
{
    return hold->most.of != MT_HELD_BY_NONE && hold->most.bytes >= bytes / 2;
}

#endif
