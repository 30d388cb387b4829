/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_SPANS_H
#define MT_DWARF_SPANS_H

/* dwarf_spans.h: which of many address ranges, that may overlap, holds an
 * address. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_span {
    uint64_t low, high; /* [low, high) */
    uint64_t max_high;  /* the largest of this and all spans before it */
    uint64_t value;
};
struct mt_spans {
    struct mt_span *at;
    size_t n, room;
};

bool mt_spans_add(struct mt_spans *, uint64_t low, uint64_t high,
                  uint64_t value); /* false when out of memory */
void mt_spans_sort(struct mt_spans *);
/*
 * The span that holds ADDRESS and starts last, of those the shortest, of those
 * the one of the largest value; with BEFORE, the next one in that order.  NULL
 * if there is none.
 */
const struct mt_span *mt_spans_find(const struct mt_spans *, uint64_t address,
                                    const struct mt_span *before);
void mt_spans_free(struct mt_spans *); /* what it holds */

#endif
