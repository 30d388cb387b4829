/* SPDX-License-Identifier: BSD-2-Clause
 *
 * range_filter.h - the test that every word of a target's memory goes through:
 * is it an address in one of two ranges?
 */
#ifndef MT_RANGE_FILTER_H
#define MT_RANGE_FILTER_H

#include <stddef.h>
#include <stdint.h>

struct mt_clusters {
    uint64_t keep;             /* bits of a word that count */
    uint64_t low[2], bytes[2]; /* the ranges; bytes 0: none */
};

/* Sets a bit in `bits` for each of 64 * n words that is in a range, and clears
 * the others. */
void mt_range_filter(const struct mt_clusters *clusters, const uint64_t *words,
                     size_t n, uint64_t *bits);
/* The filter with instructions that all processors have. */
void mt_range_filter_plain(const struct mt_clusters *clusters,
                           const uint64_t *words, size_t n, uint64_t *bits);

#endif
