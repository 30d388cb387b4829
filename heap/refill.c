/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refill.c - where blocks come from when a bin's word is empty, and where those
 * go that are not the freeing thread's: between a thread's own cache and those
 * that ended threads left.
 */
#include "heap/cache.h"
#include "heap/fill.h"

#include <errno.h>

/* Bytes of the largest blocks that a class of `size` may borrow. */
static uint32_t loan_limit(uint32_t size)
{
    return size <= 4096 ? size + size / 3 + 16 : size + size / 2;
}

/* --- blocks of other threads --- */

/* A block freed by a thread that does not own its span. */
static void free_remote(struct mt_cache *cache, mt_span *span, uint32_t index)
{
    uint32_t w = index / 64;
    uint64_t bit = UINT64_C(1) << (index % 64);
    uint64_t before =
        __atomic_fetch_or(&mt_remote(span)[w], bit, __ATOMIC_SEQ_CST);
    if (MT_UNLIKELY(before & bit)) { /* two threads freed it at once */
        mt_error(MT_ERROR_DOUBLE_FREE, "free(): double free of",
                 span->base + (uint64_t)index * span->block_bytes,
                 span->tags ? mt_tags(span)[index] : 0);
        return;
    }
    if (mt_is_orphan(span) && mt_adopt_orphan(cache, span))
        return;
    struct mt_cache *owner = mt_cache_notify(span);
    /* The owner's thread has ended: only we read its notifications now. */
    if (owner && __atomic_load_n(&owner->idle, __ATOMIC_SEQ_CST))
        mt_idle_drain(owner);
}

void mt_free_other(struct mt_cache *cache, mt_span *span, uint32_t index)
{
    if (mt_load_relaxed(&span->owner) != cache->id)
        free_remote(cache, span, index);
    else
        mt_cache_free(cache, span, index);
}

/* --- refill --- */

static bool use_partial(struct mt_cache *cache, struct mt_bin *bin)
{
    while (bin->partial) {
        mt_span *span = mt_span_at(bin->partial);
        mt_cache_list_remove(cache, span);
        mt_bin_make_current(cache, span);
        if (mt_bin_next_word(bin, span, 0))
            return true;
        mt_bin_retire(cache, bin);
    }
    return false;
}

/* Another word of the span that the bin has. */
static bool more_of_span(struct mt_bin *bin)
{
    mt_span *span = mt_span_at(bin->span);
    return mt_bin_next_word(bin, span, (uint32_t)(bin->word - mt_local(span)));
}

/* Blocks that the cache has. */
static bool refill_own(struct mt_cache *cache, uint32_t c)
{
    struct mt_bin *bin = &cache->bins[c];
    if (bin->span) {
        if (*bin->word || more_of_span(bin))
            return true;
        mt_bin_retire(cache, bin);
    }
    return use_partial(cache, bin);
}

/* A class that is wanted often has spans of its own. */
static bool may_borrow(const struct mt_cache *cache, uint32_t c)
{
    uint32_t size = mt_class_size(c);
    return size > 4096 || cache->bins[c].loans < (size > 1024 ? 8 : 2);
}

/* Instead of touching a new span, takes free blocks of a slightly larger class,
 * whose memory is present. The bin then shares the other's word and span, as
 * long as that is the other's current span. Without this, a thread with few
 * blocks of a class would need a page for each class. */
static void take_loan(struct mt_cache *cache, uint32_t c, uint32_t d)
{
    struct mt_bin *bin = &cache->bins[c];
    const struct mt_bin *lender = &cache->bins[d];
    bin->word = lender->word;
    bin->base = lender->base;
    bin->size = lender->size;
    bin->span = lender->span;
    bin->loans += bin->loans < UINT16_MAX;
}

static bool cache_borrow(struct mt_cache *cache, uint32_t c)
{
    uint32_t most = loan_limit(mt_class_size(c));
    for (uint32_t d = c + 1; d <= c + MT_MAX_LOAN && d < MT_N_CLASSES; d++) {
        struct mt_bin *lender = &cache->bins[d];
        if (mt_class_size(d) > most)
            break;
        if (mt_bin_is_loan(lender, d) || !refill_own(cache, d))
            continue;
        take_loan(cache, c, d);
        return true;
    }
    return false;
}

/* Memory has run out: a block of any larger class. */
static bool borrow_any(struct mt_cache *cache, uint32_t c)
{
    for (uint32_t d = c + 1; d < MT_N_CLASSES; d++) {
        struct mt_bin *lender = &cache->bins[d];
        if (mt_bin_is_loan(lender, d) ||
            (!refill_own(cache, d) &&
             (!mt_take_orphan(cache, d) || !use_partial(cache, lender))))
            continue;
        take_loan(cache, c, d);
        cache->far_loans = 1;
        return true;
    }
    errno = ENOMEM;
    return false;
}

static bool cache_refill(struct mt_cache *cache, uint32_t c, bool loans);

/* A thread's first span of a class is of one that can lend to its neighbours:
 * every fourth. */
static bool found_lender(struct mt_cache *cache, uint32_t c)
{
    uint32_t lender = c | 3, size = mt_class_size(c);
    return size <= 1024 && lender != c && !cache->bins[c].given &&
           mt_class_size(lender) <= loan_limit(size) &&
           !cache->bins[lender].given && cache_refill(cache, lender, false) &&
           cache_borrow(cache, c);
}

static bool cache_refill(struct mt_cache *cache, uint32_t c, bool loans)
{
    struct mt_bin *bin = &cache->bins[c];
    if (bin->span) {
        if (more_of_span(bin))
            return true;
        if (mt_bin_is_loan(bin, c))
            mt_bin_empty(cache, c);
        else
            mt_bin_retire(cache, bin);
    }
    if (mt_load_relaxed(&cache->pending))
        mt_cache_drain(cache);
    mt_epoch_tick();
    if (use_partial(cache, bin))
        return true;
    if (cache->heap->cache == NULL) {
        if (loans && may_borrow(cache, c) &&
            (cache_borrow(cache, c) || found_lender(cache, c)))
            return true;
        if (mt_take_orphan(cache, c) && use_partial(cache, bin))
            return true;
    }
    mt_span *span = mt_span_new(cache->heap, c, cache->id, !bin->given);
    if (span == NULL)
        return loans && cache->desperate && borrow_any(cache, c);
    bin->given = 1;
    if (cache->heap->modes & MT_MODE_FILL_FREE)
        mt_fill_span(span);
    mt_bin_make_current(cache, span);
    return mt_bin_next_word(bin, span, 0); /* all of it is free */
}

bool mt_refill(struct mt_cache *cache, uint32_t c)
{
    return cache_refill(cache, c, true);
}

bool mt_refill_aligned(struct mt_cache *cache, uint32_t c)
{
    struct mt_bin *bin = &cache->bins[c];
    if (mt_bin_is_loan(bin, c))
        mt_bin_empty(cache, c);
    return *bin->word || cache_refill(cache, c, false);
}
