/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cache.h - the bins and lists of a cache, for those who fill and empty them.
 * The cache's thread calls, or the holder of its lock.
 */
#ifndef MT_CACHE_H
#define MT_CACHE_H

#include "heap/alloc.h"

extern uint64_t mt_no_free_bits; /* word of a bin without a span; always 0 */

/* Does the bin of class `c` have a span of another class? */
static inline bool mt_bin_is_loan(const struct mt_bin *bin, uint32_t c)
{
    return bin->span && mt_span_at(bin->span)->size_class != c;
}

/* Takes a span out of the list that it is in. */
void mt_cache_list_remove(struct mt_cache *, mt_span *);
/* Gives the bin the next word of the span, after `from` and around, that has a
 * free bit; false if there is none. */
bool mt_bin_next_word(struct mt_bin *, mt_span *, uint32_t from);
/* Leaves the bin without a span. */
void mt_bin_empty(struct mt_cache *, uint32_t size_class);
/* Makes a span, which is in no list, the current one of its class. */
void mt_bin_make_current(struct mt_cache *, mt_span *);
/* The bin's current span has no free block left: lets go of it, and with it
 * the bins that borrow from it. */
void mt_bin_retire(struct mt_cache *, struct mt_bin *);
/* Frees a block of a span that the cache owns. */
void mt_cache_free(struct mt_cache *, mt_span *, uint32_t index);
/* Tells the owner of the span that others freed blocks of it, unless it has
 * been told; returns whom it told, or NULL. */
struct mt_cache *mt_cache_notify(mt_span *);

/* A bin may lend to bins of classes that are at most this much smaller. */
#define MT_MAX_LOAN 5u

#endif
