/* SPDX-License-Identifier: BSD-2-Clause
 *
 * segments.c - sorts address ranges, and clips those that overlap.
 */
#include "coreanalyze/source/segments.h"

#include <stdlib.h>
#include <string.h>

static int segments_compare(const void *a, const void *b)
{
    const struct mt_segment_range *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

size_t mt_segments_sort(void *items, size_t n, size_t item_bytes,
                        void (*skip)(void *item, uint64_t bytes))
{
    uint64_t end = 0;
    size_t kept = 0;
    char *all = items;

    if (n > 0)
        qsort(items, n, item_bytes, segments_compare);
    for (size_t i = 0; i < n; i++) {
        struct mt_segment_range *s = (void *)(all + i * item_bytes);
        if (s->start < end) {
            uint64_t lost = end - s->start;
            if (end >= s->end)
                continue;
            s->start = end;
            skip(s, lost);
        }
        end = s->end;
        if (kept < i)
            memcpy(all + kept * item_bytes, s, item_bytes);
        kept++;
    }
    return kept;
}
