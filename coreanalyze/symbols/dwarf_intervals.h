/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_INTERVALS_H
#define MT_DWARF_INTERVALS_H

/* dwarf_intervals.h: which of many address ranges, that may overlap, holds an
 * address. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_interval {
    uint64_t low, high; /* [low, high) */
    uint64_t max_high;  /* the largest of this and all spans before it */
    uint64_t value;
};
struct mt_intervals {
    struct mt_interval *at;
    size_t n, room;
};

bool mt_intervals_add(struct mt_intervals *, uint64_t low, uint64_t high,
                      uint64_t value); /* false when out of memory */
void mt_intervals_sort(struct mt_intervals *);
/*
 * The span that holds ADDRESS and starts last, of those the shortest, of those
 * the one of the largest value; with BEFORE, the next one in that order.  NULL
 * if there is none.
 */
const struct mt_interval *mt_intervals_find(const struct mt_intervals *,
                                            uint64_t address,
                                            const struct mt_interval *before);
void mt_intervals_free(struct mt_intervals *); /* what it holds */

#endif
