/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cache.c - the spans that one thread owns: their lists, the words of their
 * bitmaps, and what other threads freed in them. The protocol between owner and
 * other threads is at the head of heap.c.
 */
#include "heap/cache.h"
#include "heap/debug.h"

/* --- the lists: of spans with free blocks by class, and of full spans --- */

static uint32_t *list_of(struct mt_cache *cache, const mt_span *span)
{
    return span->flags & MT_SPAN_FULL ? &cache->full
                                      : &cache->bins[span->size_class].partial;
}

/* The spans of a list know their neighbours, and the first one the last. */
static inline MT_CHECK_ONLY bool cache_list_is_whole(uint32_t list)
{
    uint32_t prev = 0;
    for (uint32_t id = list; id; id = mt_span_at(id)->next) {
        if (prev && mt_span_at(id)->prev != prev)
            return false;
        prev = id;
    }
    return !list || mt_span_at(list)->prev == prev;
}

/* At the end: what is used next has been in the list for longest, and has most
 * free blocks. But large blocks are packed into few spans: what was used last
 * is next. The first one's `prev` is the last. */
static void cache_list_add(struct mt_cache *cache, mt_span *span)
{
    uint32_t *list = list_of(cache, span), id = mt_span_id(span);
    MT_ASSERT(span->state == MT_SPAN_SMALL && span->owner == cache->id);
    MT_ASSERT(*list != id);
    MT_ASSERT_COSTLY(cache_list_is_whole(*list));
    span->next = 0;
    if (*list) {
        mt_span *first = mt_span_at(*list);
        span->prev = first->prev;
        if (span->block_bytes > 4096) {
            span->next = *list;
            mt_store_relaxed(list, id); /* mt_take_orphan() looks at it */
        } else {
            mt_span_at(first->prev)->next = id;
        }
        first->prev = id;
    } else {
        span->prev = id;
        mt_store_relaxed(list, id);
    }
}

void mt_cache_list_remove(struct mt_cache *cache, mt_span *span)
{
    uint32_t *list = list_of(cache, span);
    MT_ASSERT(span->state == MT_SPAN_SMALL && span->owner == cache->id);
    MT_ASSERT(*list == mt_span_id(span) ||
              mt_span_at(span->prev)->next == mt_span_id(span));
    MT_ASSERT(!span->next || mt_span_at(span->next)->prev == mt_span_id(span));
    MT_ASSERT_COSTLY(cache_list_is_whole(*list));
    if (*list == mt_span_id(span))
        mt_store_relaxed(list, span->next);
    else
        mt_span_at(span->prev)->next = span->next;
    if (span->next)
        mt_span_at(span->next)->prev = span->prev;
    else if (*list)
        mt_span_at(*list)->prev = span->prev;
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
    MT_ASSERT(w < mt_bitmap_words(span->n_blocks));
    MT_ASSERT((mt_local(span)[w] & ~mt_word_mask(span, w)) == 0);
    bin->base = span->base + (uint64_t)w * 64 * span->block_bytes;
    bin->word = &mt_local(span)[w];
}

/* The next word of the span, after `from` and around, that has a free bit; one
 * whose memory nobody has touched yet is the last choice. */
bool mt_bin_next_word(struct mt_bin *bin, mt_span *span, uint32_t from)
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

void mt_bin_empty(struct mt_cache *cache, uint32_t c)
{
    struct mt_bin *bin = &cache->bins[c];
    bin->span = 0;
    bin->word = &mt_no_free_bits;
    bin->size = mt_class_size(c);
}

/* A heap with one cache for all: each free takes its lock. */
static uint32_t cache_key_of(const struct mt_cache *cache)
{
    return cache->heap->cache ? 0 : cache->id;
}

void mt_bin_make_current(struct mt_cache *cache, mt_span *span)
{
    struct mt_bin *bin = &cache->bins[span->size_class];
    MT_ASSERT(span->owner == cache->id && !(span->flags & MT_SPAN_FULL));
    MT_ASSERT(bin->size == span->block_bytes);
    bin->span = mt_span_id(span);
    mt_store_relaxed(&span->owner_key, cache_key_of(cache));
}

/* The bin's current span has no free block left: release it, and the bins that
 * borrow from it. */
void mt_bin_retire(struct mt_cache *cache, struct mt_bin *bin)
{
    mt_span *span = mt_span_at(bin->span);
    uint32_t c = span->size_class, id = bin->span;
    MT_ASSERT(id && cache->bins[c].span == id);
    span->flags |= MT_SPAN_FULL;
    mt_store_relaxed(&span->owner_key, 0); /* its owner's free must list it */
    cache_list_add(cache, span);
    uint32_t first = c > MT_MAX_LOAN && !cache->far_loans ? c - MT_MAX_LOAN : 0;
    for (uint32_t i = first; i <= c; i++)
        if (cache->bins[i].span == id)
            mt_bin_empty(cache, i);
}

static bool is_all_free(mt_span *span)
{
    uint32_t words = mt_bitmap_words(span->n_blocks);
    for (uint32_t w = words; w-- > 0;)
        if (mt_local(span)[w] != mt_word_mask(span, w))
            return false;
    return true;
}

/* A full span, in its list, has free blocks now. */
static void cache_relist(struct mt_cache *cache, mt_span *span)
{
    MT_ASSERT(span->flags & MT_SPAN_FULL);
    mt_cache_list_remove(cache, span);
    span->flags &= ~MT_SPAN_FULL;
    mt_store_relaxed(&span->owner_key, cache_key_of(cache));
    cache_list_add(cache, span);
}

/* Gives a listed span back if no block of it is live. */
static void release_if_free(struct mt_cache *cache, mt_span *span)
{
    if (cache->bins[span->size_class].span == mt_span_id(span) ||
        !is_all_free(span))
        return;
    mt_cache_list_remove(cache, span);
    mt_span_release(cache->heap, span);
    mt_epoch_tick(); /* a process that frees has a time, too */
}

void mt_word_free(struct mt_cache *cache, mt_span *span, uint32_t w)
{
    if (mt_local(span)[w] == mt_word_mask(span, w) &&
        cache->bins[span->size_class].span != mt_span_id(span))
        release_if_free(cache, span);
}

void mt_cache_free(struct mt_cache *cache, mt_span *span, uint32_t index)
{
    uint64_t *word = &mt_local(span)[index / 64];
    MT_ASSERT(index < span->n_blocks && span->owner == cache->id);
    MT_ASSERT((*word >> (index % 64) & 1) == 0 ||
              span->flags & MT_SPAN_DELAYED); /* it leaves the quarantine */
    mt_store_relaxed(word, *word | UINT64_C(1) << (index % 64));
    if (span->flags & MT_SPAN_FULL)
        cache_relist(cache, span);
    mt_word_free(cache, span, index / 64);
}

/* --- other threads' side --- */

/* Tells the owner that the span has remote frees, unless it has been told;
 * returns whom it told, or NULL. */
struct mt_cache *mt_cache_notify(mt_span *span)
{
    if (mt_load_relaxed(&span->pending) ||
        __atomic_exchange_n(&span->pending, 1, __ATOMIC_SEQ_CST))
        return NULL;
    struct mt_cache *owner = mt_cache_of(mt_load_acquire(&span->owner));
    if (owner == NULL) { /* released since: it has no owner to notify */
        __atomic_exchange_n(&span->pending, 0, __ATOMIC_SEQ_CST);
        return NULL;
    }
    uint32_t head = mt_load_relaxed(&owner->pending);
    do
        span->pending_next = head;
    while (!__atomic_compare_exchange_n(&owner->pending, &head,
                                        mt_span_id(span), true,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return owner;
}

static void drain_span(struct mt_cache *cache, mt_span *span)
{
    uint32_t words = mt_bitmap_words(span->n_blocks);
    uint64_t any = 0;
    for (uint32_t w = 0; w < words; w++)
        any |= collect_word(span, w);
    if (any && (span->flags & MT_SPAN_FULL))
        cache_relist(cache, span);
    if (!(span->flags & MT_SPAN_FULL))
        release_if_free(cache, span);
}

void mt_cache_drain(struct mt_cache *cache)
{
    uint32_t id = __atomic_exchange_n(&cache->pending, 0, __ATOMIC_SEQ_CST);
    while (id) {
        mt_span *span = mt_span_at(id);
        id = span->pending_next;
        /* Before the bits are read: a later free notifies again. */
        __atomic_exchange_n(&span->pending, 0, __ATOMIC_SEQ_CST);
        if (mt_load_acquire(&span->state) != MT_SPAN_SMALL)
            continue;
        if (mt_load_relaxed(&span->owner) == cache->id)
            drain_span(cache, span);
        else
            mt_cache_notify(span); /* it has another owner by now */
    }
}

/* --- changes of owner --- */

void mt_cache_adopt(struct mt_cache *cache, mt_span *span)
{
    uint32_t words = mt_bitmap_words(span->n_blocks);
    uint64_t any = 0;
    mt_store_release(&span->owner, cache->id);
    for (uint32_t w = 0; w < words; w++)
        any |= collect_word(span, w);
    span->flags |= MT_SPAN_FULL;
    mt_store_relaxed(&span->owner_key, 0);
    cache_list_add(cache, span);
    if (any) {
        cache_relist(cache, span);
        release_if_free(cache, span);
    }
}

void mt_cache_move(struct mt_cache *from, struct mt_cache *to, mt_span *span)
{
    mt_cache_list_remove(from, span);
    mt_cache_adopt(to, span);
}

void mt_cache_move_all(struct mt_cache *from, struct mt_cache *to)
{
    while (from->full)
        mt_cache_move(from, to, mt_span_at(from->full));
    for (uint32_t c = 0; c < MT_N_CLASSES; c++)
        while (from->bins[c].partial)
            mt_cache_move(from, to, mt_span_at(from->bins[c].partial));
}

void mt_cache_trim(struct mt_cache *cache)
{
    mt_cache_drain(cache);
    cache->far_loans = 0; /* there will be no loans */
    for (uint32_t c = 0; c < MT_N_CLASSES; c++) {
        struct mt_bin *bin = &cache->bins[c];
        bin->loans = bin->given = 0;
        if (mt_bin_is_loan(bin, c))
            mt_bin_empty(cache, c);
        if (bin->span) {
            mt_span *span = mt_span_at(bin->span);
            bool any = mt_bin_next_word(bin, span, 0);
            mt_bin_retire(cache, bin);
            if (any) /* the lists hold no full span */
                cache_relist(cache, span);
        }
        for (uint32_t id = bin->partial; id;) {
            mt_span *span = mt_span_at(id);
            id = span->next;
            release_if_free(cache, span);
        }
    }
}
