/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Caches: the spans that one thread owns, and what happens when a bin's word
 * is empty, a word becomes all free, or a block is freed by another thread.
 * The protocol between owner and other threads is at the head of heap.c.
 */
#include "alloc.h"
#include "safety.h"

#include <errno.h>

/* Classes above a class that it may borrow from, and how much larger their
 * blocks may be. */
#define MAX_LOAN 5u
static uint32_t loan_limit(uint32_t size)
{
    return size <= 4096 ? size + size / 3 + 16 : size + size / 2;
}

static uint64_t no_free_bits; /* the word of a bin without a span; always 0 */

void mt_cache_setup(struct mt_cache *cache, struct memtrace_heap *heap,
                    uint32_t id)
{
    cache->heap = heap;
    cache->id = id;
    cache->trace = &heap->record->trace;
    for (uint32_t c = 0; c < MT_N_CLASSES; c++) {
        struct mt_bin *bin = &cache->bins[c];
        bin->word = &no_free_bits;
        bin->size = mt_class_size(c);
        bin->span = bin->partial = 0;
        bin->loans = bin->given = 0;
    }
}

/* --- the list of spans with free blocks --- */

static void list_add(struct mt_cache *cache, mt_span *span)
{
    struct mt_bin *bin = &cache->bins[span->size_class];
    uint32_t id = mt_span_id(span);
    span->prev = 0;
    span->next = bin->partial;
    if (span->next)
        mt_span_at(span->next)->prev = id;
    bin->partial = id;
}

static void list_remove(struct mt_cache *cache, mt_span *span)
{
    if (span->prev)
        mt_span_at(span->prev)->next = span->next;
    else
        cache->bins[span->size_class].partial = span->next;
    if (span->next)
        mt_span_at(span->next)->prev = span->prev;
    span->next = span->prev = 0;
}

/* --- the owner's side --- */

/* Moves bits that other threads freed to the owner's word: set there before
 * they are cleared here, so that a reader never sees them live again. */
static uint64_t collect_word(mt_span *span, uint32_t w)
{
    uint64_t *remote = &mt_remote(span)[w];
    uint64_t freed = mt_load_relaxed(remote);
    if (freed && !(span->flags & MT_SPAN_DELAYED)) {
        mt_store_relaxed(&mt_local(span)[w], mt_local(span)[w] | freed);
        __atomic_and_fetch(remote, ~freed, __ATOMIC_ACQ_REL);
    }
    return mt_local(span)[w];
}

static void set_word(struct mt_bin *bin, mt_span *span, uint32_t w)
{
    bin->base = span->base + (uint64_t)w * 64 * span->block_bytes;
    bin->word = &mt_local(span)[w];
}

/* The next word of the span, after `from` and around, that has a free bit; one
 * whose memory nobody has touched yet is the last choice. */
static bool next_word(struct mt_bin *bin, mt_span *span, uint32_t from)
{
    uint32_t words = (uint32_t)span->requested;
    for (uint32_t i = 0, w = from; i < words; i++, w++) {
        if (w >= words)
            w = 0;
        if (collect_word(span, w)) {
            set_word(bin, span, w);
            return true;
        }
    }
    if (words == mt_bitmap_words(span->n_blocks))
        return false;
    span->requested = words + 1;
    set_word(bin, span, words);
    return true;
}

static void empty_bin(struct mt_cache *cache, uint32_t c)
{
    struct mt_bin *bin = &cache->bins[c];
    bin->span = 0;
    bin->word = &no_free_bits;
    bin->size = mt_class_size(c);
}

/* A heap with one cache for all: each free takes its lock. */
static uint32_t key_of(const struct mt_cache *cache)
{
    return cache->heap->cache ? 0 : cache->id;
}

static void make_current(struct mt_cache *cache, mt_span *span)
{
    struct mt_bin *bin = &cache->bins[span->size_class];
    bin->span = mt_span_id(span);
    mt_store_relaxed(&span->owner_key, key_of(cache));
}

/* The bin's current span has no free block left; let go of it, and with it the
 * bins that borrow from it. */
static void retire_current(struct mt_cache *cache, struct mt_bin *bin)
{
    mt_span *span = mt_span_at(bin->span);
    uint32_t c = span->size_class, id = bin->span;
    span->flags |= MT_SPAN_FULL;
    mt_store_relaxed(&span->owner_key, 0); /* its owner's free must list it */
    for (uint32_t i = c > MAX_LOAN ? c - MAX_LOAN : 0; i <= c; i++)
        if (cache->bins[i].span == id)
            empty_bin(cache, i);
}

static bool is_all_free(mt_span *span)
{
    uint32_t words = mt_bitmap_words(span->n_blocks);
    for (uint32_t w = words; w-- > 0;)
        if (mt_local(span)[w] != mt_word_mask(span, w))
            return false;
    return true;
}

static void relist(struct mt_cache *cache, mt_span *span)
{
    span->flags &= ~MT_SPAN_FULL;
    mt_store_relaxed(&span->owner_key, key_of(cache));
    list_add(cache, span);
}

/* Gives a listed span back if no block of it is live. */
static void release_if_free(struct mt_cache *cache, mt_span *span)
{
    if (cache->bins[span->size_class].span == mt_span_id(span) ||
        !is_all_free(span))
        return;
    list_remove(cache, span);
    mt_span_release(cache->heap, span);
}

void mt_word_free(struct mt_cache *cache, mt_span *span, uint32_t w)
{
    if (mt_local(span)[w] == mt_word_mask(span, w) &&
        cache->bins[span->size_class].span != mt_span_id(span))
        release_if_free(cache, span);
}

/* --- other threads' side --- */

/* Tells the owner that the span has remote frees, unless it has been told. */
static void notify(mt_span *span)
{
    if (mt_load_relaxed(&span->pending) ||
        __atomic_exchange_n(&span->pending, 1, __ATOMIC_SEQ_CST))
        return;
    struct mt_cache *owner = mt_cache_of(mt_load_acquire(&span->owner));
    if (owner == NULL) { /* released since; there is nobody to tell */
        __atomic_exchange_n(&span->pending, 0, __ATOMIC_SEQ_CST);
        return;
    }
    uint32_t head = mt_load_relaxed(&owner->pending);
    do
        span->pending_next = head;
    while (!__atomic_compare_exchange_n(&owner->pending, &head,
                                        mt_span_id(span), true,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

static void drain_span(struct mt_cache *cache, mt_span *span)
{
    uint32_t words = mt_bitmap_words(span->n_blocks);
    uint64_t any = 0;
    for (uint32_t w = 0; w < words; w++)
        any |= collect_word(span, w);
    if (any && (span->flags & MT_SPAN_FULL))
        relist(cache, span);
    if (!(span->flags & MT_SPAN_FULL))
        release_if_free(cache, span);
}

void mt_cache_drain(struct mt_cache *cache)
{
    uint32_t id = __atomic_exchange_n(&cache->pending, 0, __ATOMIC_SEQ_CST);
    while (id) {
        mt_span *span = mt_span_at(id);
        id = span->pending_next;
        /* Before the bits are read: a free that comes later tells again. */
        __atomic_exchange_n(&span->pending, 0, __ATOMIC_SEQ_CST);
        if (mt_load_acquire(&span->state) != MT_SPAN_SMALL)
            continue;
        if (mt_load_relaxed(&span->owner) == cache->id)
            drain_span(cache, span);
        else
            notify(span); /* it has another owner by now */
    }
}

/* A block freed by a thread that does not own its span. */
static void free_remote(mt_span *span, uint32_t index)
{
    uint32_t w = index / 64;
    uint64_t bit = UINT64_C(1) << (index % 64);
    uint64_t mask = mt_word_mask(span, w);
    uint64_t before =
        __atomic_fetch_or(&mt_remote(span)[w], bit, __ATOMIC_SEQ_CST);
    if (MT_UNLIKELY(before & bit)) { /* two threads freed it at once */
        mt_error(MT_ERROR_DOUBLE_FREE, "free(): double free of",
                 span->base + (uint64_t)index * span->block_bytes,
                 span->tags ? mt_tags(span)[index] : 0);
        return;
    }
    notify(span);
    /* Nobody drains an idle cache but us; when a word's worth is free. */
    if (MT_UNLIKELY((before | bit) == mask)) {
        struct mt_cache *owner = mt_cache_of(mt_load_relaxed(&span->owner));
        if (owner && mt_load_acquire(&owner->idle))
            mt_idle_drain(owner);
    }
}

void mt_free_other(struct mt_cache *cache, mt_span *span, uint32_t index)
{
    if (mt_load_relaxed(&span->owner) != cache->id) {
        free_remote(span, index);
        return;
    }
    uint64_t *word = &mt_local(span)[index / 64];
    mt_store_relaxed(word, *word | UINT64_C(1) << (index % 64));
    if (span->flags & MT_SPAN_FULL)
        relist(cache, span);
    mt_word_free(cache, span, index / 64);
}

/* --- refill --- */

static bool use_partial(struct mt_cache *cache, struct mt_bin *bin)
{
    while (bin->partial) {
        mt_span *span = mt_span_at(bin->partial);
        list_remove(cache, span);
        make_current(cache, span);
        if (next_word(bin, span, 0))
            return true;
        retire_current(cache, bin);
    }
    return false;
}

/* Another word of the span that the bin has. */
static bool more_of_span(struct mt_bin *bin)
{
    mt_span *span = mt_span_at(bin->span);
    return next_word(bin, span, (uint32_t)(bin->word - mt_local(span)));
}

static bool is_loan(const struct mt_bin *bin, uint32_t c)
{
    return bin->span && mt_span_at(bin->span)->size_class != c;
}

/* Blocks that the cache has. */
static bool refill_own(struct mt_cache *cache, uint32_t c)
{
    struct mt_bin *bin = &cache->bins[c];
    if (bin->span) {
        if (*bin->word || more_of_span(bin))
            return true;
        retire_current(cache, bin);
    }
    return use_partial(cache, bin);
}

/* A class that is wanted often has spans of its own. */
static bool may_borrow(const struct mt_cache *cache, uint32_t c)
{
    uint32_t size = mt_class_size(c);
    return size > 4096 || cache->bins[c].loans < (size > 1024 ? 8 : 2);
}

/* Rather than touch a new span, take free blocks of a slightly larger class,
 * whose memory is there: the bin then has the other's word and span, as long as
 * that is the other's current one. What a thread has few of would else take a
 * page for each class. */
static bool borrow(struct mt_cache *cache, uint32_t c)
{
    uint32_t most = loan_limit(mt_class_size(c));
    for (uint32_t d = c + 1; d <= c + MAX_LOAN && d < MT_N_CLASSES; d++) {
        struct mt_bin *lender = &cache->bins[d];
        if (mt_class_size(d) > most)
            break;
        if (is_loan(lender, d) || !refill_own(cache, d))
            continue;
        struct mt_bin *bin = &cache->bins[c];
        bin->word = lender->word;
        bin->base = lender->base;
        bin->size = lender->size;
        bin->span = lender->span;
        bin->loans += bin->loans < UINT16_MAX;
        return true;
    }
    return false;
}

static bool refill(struct mt_cache *cache, uint32_t c, bool loans);

/* A thread's first span of a class is of one that can lend to its neighbours:
 * every fourth. */
static bool found_lender(struct mt_cache *cache, uint32_t c)
{
    uint32_t lender = c | 3, size = mt_class_size(c);
    return size <= 1024 && lender != c && !cache->bins[c].given &&
           mt_class_size(lender) <= loan_limit(size) &&
           !cache->bins[lender].given && refill(cache, lender, false) &&
           borrow(cache, c);
}

static bool refill(struct mt_cache *cache, uint32_t c, bool loans)
{
    struct mt_bin *bin = &cache->bins[c];
    if (bin->span) {
        if (more_of_span(bin))
            return true;
        if (is_loan(bin, c))
            empty_bin(cache, c);
        else
            retire_current(cache, bin);
    }
    if (mt_load_relaxed(&cache->pending))
        mt_cache_drain(cache);
    mt_epoch_tick();
    if (use_partial(cache, bin))
        return true;
    mt_span *span = NULL;
    if (cache->heap->cache == NULL) {
        if (loans && may_borrow(cache, c) &&
            (borrow(cache, c) || found_lender(cache, c)))
            return true;
        span = mt_idle_steal(cache, c);
    }
    if (span == NULL) {
        span = mt_span_new(cache->heap, c, cache->id, !bin->given);
        if (span == NULL)
            return false;
        bin->given = 1;
        if (cache->heap->modes & MT_MODE_FILL_FREE)
            mt_fill_span(span);
    }
    make_current(cache, span);
    if (next_word(bin, span, 0))
        return true;
    errno = ENOMEM; /* not reached: a new or stolen span has free blocks */
    return false;
}

bool mt_refill(struct mt_cache *cache, uint32_t c)
{
    return refill(cache, c, true);
}

bool mt_refill_aligned(struct mt_cache *cache, uint32_t c)
{
    struct mt_bin *bin = &cache->bins[c];
    if (is_loan(bin, c))
        empty_bin(cache, c);
    return *bin->word || refill(cache, c, false);
}

/* Puts a span that came with no lists into those of its cache. */
void mt_cache_adopt(struct mt_cache *cache, mt_span *span)
{
    uint32_t words = mt_bitmap_words(span->n_blocks);
    uint64_t any = 0;
    for (uint32_t w = 0; w < words; w++)
        any |= collect_word(span, w);
    span->flags |= MT_SPAN_FULL;
    mt_store_relaxed(&span->owner_key, 0);
    if (any)
        relist(cache, span);
}

mt_span *mt_cache_give(struct mt_cache *cache, uint32_t c)
{
    struct mt_bin *bin = &cache->bins[c];
    if (bin->partial == 0)
        return NULL;
    mt_span *span = mt_span_at(bin->partial);
    list_remove(cache, span);
    mt_store_relaxed(&span->owner_key, 0);
    return span;
}

void mt_cache_trim(struct mt_cache *cache)
{
    mt_cache_drain(cache);
    for (uint32_t c = 0; c < MT_N_CLASSES; c++) {
        struct mt_bin *bin = &cache->bins[c];
        bin->loans = bin->given = 0;
        if (is_loan(bin, c))
            empty_bin(cache, c);
        if (bin->span) {
            mt_span *span = mt_span_at(bin->span);
            bool any = next_word(bin, span, 0);
            retire_current(cache, bin);
            if (any) /* the lists hold no full span */
                relist(cache, span);
        }
        for (uint32_t id = bin->partial; id;) {
            mt_span *span = mt_span_at(id);
            id = span->next;
            release_if_free(cache, span);
        }
    }
}
