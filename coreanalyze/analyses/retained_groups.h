/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_groups.h - rows of blocks of one stack that one vertex of the tree
 * of dominators retains.
 */
#ifndef MT_RETAINED_GROUPS_H
#define MT_RETAINED_GROUPS_H

#include "coreanalyze/analyses/retained.h"
#include "coreanalyze/base/table.h"

/* All zeros, but for `top`, before the first use. */
struct mt_retained_groups {
    struct mt_retained_block *items;
    size_t n, capacity;
    size_t top;           /* that will be shown */
    size_t most, dropped; /* before some are dropped; that were */
    struct mt_table by_owner;
};

/* The row of the blocks of a stack that `owner` retains; NULL when out of
 * memory.  A walk over the tree is at `place`; `sizes` are those of subtrees,
 * by place.  `newest` are rows by stack, and are kept right when rows move. */
struct mt_retained_block *
mt_retained_groups_of(struct mt_retained_groups *groups, const uint32_t *sizes,
                      uint32_t *newest, uint32_t place, uint32_t owner,
                      uint32_t stack);
/* The most first. */
void mt_retained_groups_sort(struct mt_retained_groups *groups);
void mt_retained_groups_free(struct mt_retained_groups *groups);

#endif
