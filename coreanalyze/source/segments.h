/* SPDX-License-Identifier: BSD-2-Clause
 *
 * segments.h - tables of address ranges out of a core, which may be in any
 * order and overlap.
 */
#ifndef MT_SEGMENTS_H
#define MT_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

/* The first members of an item of such a table. */
struct mt_segment_range {
    uint64_t start, end; /* addresses; end is not in it */
};

/* Sorts `n` items of `item_bytes` bytes by their start; of an overlap the item
 * that starts first keeps all.  The start of the other one is moved, and
 * `skip` is called with the number of bytes that it lost at its front.  Items
 * of which nothing is left are dropped.  Returns how many there are. */
size_t mt_segments_sort(void *items, size_t n, size_t item_bytes,
                        void (*skip)(void *item, uint64_t bytes));

#endif
