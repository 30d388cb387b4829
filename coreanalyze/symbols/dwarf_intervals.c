/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_intervals.c - intervals of code that may nest; finds the innermost
 * one around an address.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_intervals.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"

#include <stdlib.h>

bool mt_intervals_add(struct mt_intervals *spans, uint64_t low, uint64_t high,
                      uint64_t value)
{
    if (!mt_grow(&spans->at, &spans->room, spans->n + 1, sizeof *spans->at))
        return false;
    spans->at[spans->n++] = (struct mt_interval){low, high, 0, value};
    return true;
}

/* By start; of those with one start the best last. */
static int intervals_compare(const void *a, const void *b)
{
    const struct mt_interval *one = a, *other = b;

    if (one->low != other->low)
        return one->low < other->low ? -1 : 1;
    if (one->high != other->high)
        return one->high > other->high ? -1 : 1;
    if (one->value != other->value)
        return one->value < other->value ? -1 : 1;
    return 0;
}

void mt_intervals_sort(struct mt_intervals *spans)
{
    uint64_t max = 0;

    if (spans->n != 0)
        qsort(spans->at, spans->n, sizeof(*spans->at), intervals_compare);
    for (size_t i = 0; i < spans->n; i++) {
        if (spans->at[i].high > max)
            max = spans->at[i].high;
        spans->at[i].max_high = max;
    }
}

const struct mt_interval *mt_intervals_find(const struct mt_intervals *spans,
                                            uint64_t address,
                                            const struct mt_interval *before)
{
    size_t i = before ? (size_t)(before - spans->at)
                      : mt_count_up_to(spans->at, spans->n, low, address);

    for (; i > 0 && spans->at[i - 1].max_high > address; i--)
        if (spans->at[i - 1].high > address)
            return &spans->at[i - 1];
    return NULL;
}

void mt_intervals_free(struct mt_intervals *spans)
{
    free(spans->at);
    *spans = (struct mt_intervals){NULL, 0, 0};
}
