/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The traced heap: allocation, resizing and freeing.
 *
 * THEORY
 *
 * A span holds blocks of one size.  Each block has two free bits, one written
 * by the thread that owns the span (`local`, plain stores), one by all others
 * (`remote`, atomic or).  A block is live while neither is set.  Nothing else
 * records which blocks are live: no free lists, no counts, nothing in the
 * blocks.  An allocation clears a local bit, a free sets one, each with one
 * store, so that a reader that stops the process between any two instructions
 * sees every block right, but for the one that a thread is just about to return
 * or has just been given back.
 *
 * A thread's bin points at one word of the local bits of its current span of
 * a class; while that word has a bit set, malloc needs nothing else.  When it
 * is empty, the next word of the span is taken, then the next span that has
 * free blocks, then the word of a slightly larger class, then a span that an
 * ended thread left, then a new one.
 *
 * OWNER AND OTHERS.  span->owner names the cache that owns a span.
 * span->owner_key is the same, or 0 when a free by the owner has more to do
 * than set the bit: when the span is full and in no list.  So free compares
 * one word and takes the plain path, or finds out the rest.
 *
 * A free by another thread sets the remote bit, then makes sure that the span
 * is on its owner's `pending` list: span->pending goes 0 -> 1, the one who
 * changed it pushes.  The owner takes the whole list, sets pending to 0 first
 * and reads the bits after: a free that saw 1 is seen by that reading, a free
 * that comes later sees 0 and pushes again.  A span can change hands while such
 * a push is under way; a thread that then finds it in its list and is not its
 * owner notifies the owner, or drops it if it is no longer a small span.
 *
 * TAGS are written before the block's bit is cleared, and stay when it is
 * set: a live block never shows another's tag.  With tracing off again, the
 * tag 0 is written, for spans that have tags.
 *
 * LOCK ORDER (each before those after it)
 *   the gate of a black box (box.c), a heap's cache_lock, idle_lock, heap lock,
 * region_lock, side pools' locks, the lock of idle record pages, capture_lock,
 * epoch_lock, the sections' locks. Captures run with none of these held, but
 * the sections' (below them).
 *
 * FORK.  All locks are taken before and released after, so what they guard is
 * whole in the child.  Other threads' caches, which no lock guards, are rebuilt
 * (threads.c).
 */
#include "heap/block_walk.h"
#include "heap/box.h"
#include "heap/capture/capture_fast.h"
#include "heap/fast.h"
#include "heap/libc_heap.h"
#include "heap/debug.h"
#include "heap/safety.h"

#include <errno.h>
#include <string.h>

/* --- allocation --- */

/* The tag of an allocation of this thread's, without its slack. Its capture
 * lasts until tag_written(). */
static inline __attribute__((always_inline)) uint64_t
new_tag(struct mt_cache *cache, size_t size, const struct mt_regs *regs)
{
    uint64_t mean = mt_load_relaxed(&memtrace_root->sample_bytes);
    if (MT_UNLIKELY(mean != 0) && mt_sample_passes_over(cache, size, mean))
        return MT_TAG(MT_STACK_UNSAMPLED, memtrace_root->epoch, 0);
    struct mt_capture *capture = cache->capture;
    uint32_t stack = MT_LIKELY(capture != NULL)
                         ? mt_capture_hold(capture, regs, size)
                         : mt_first_capture(cache, size, regs);
    return MT_TAG(stack, mt_epoch_tick(), 0);
}

/* Or there is no block. */
static inline void tag_written(const struct mt_regs *regs)
{
    if (regs)
        mt_capture_release(mt_tls->capture, regs->rsp);
}

/* Between memtrace_ignore_begin and _end. */
static MT_COLD uint64_t ignored_tag(struct mt_cache *cache, size_t size,
                                    const struct mt_regs *regs)
{
    return mt_ignored_tag(new_tag(cache, size, regs), true);
}

/* Like new_tag, 0 for an allocation that is not traced. */
static uint64_t tag_for(uint32_t trace, size_t size, const struct mt_regs *regs)
{
    bool traced = trace == MT_TRACE_ON || trace == MT_TRACE_SCOPE;
    struct mt_cache *cache = traced && regs ? mt_cache_get() : NULL;
    if (cache && MT_UNLIKELY(cache->ignoring))
        return ignored_tag(cache, size, regs);
    return cache ? new_tag(cache, size, regs) : 0;
}

static void set_tag(mt_span *span, uint32_t index, uint64_t tag)
{
    uint64_t *tags = (uint64_t *)mt_load_acquire(&span->tags);
    if (MT_UNLIKELY(tags == NULL && tag != 0)) {
        mt_side_tags(span); /* also by one whose span it is not: realloc() */
        tags = (uint64_t *)mt_load_acquire(&span->tags);
    }
    if (MT_LIKELY(tags != NULL))
        mt_store_release(&tags[index], tag);
}

/* `tag` is without its slack, or 0 and not looked at while `trace` says that
 * no block has one. */
static inline void *take_block(struct mt_cache *cache, uint32_t c, size_t size,
                               uint32_t trace, uint64_t tag)
{
    struct mt_bin *bin = &cache->bins[c];
    if (MT_UNLIKELY(*bin->word == 0) && !mt_refill(cache, c))
        return NULL;
    uint64_t bits = *bin->word;
    uint32_t i = (uint32_t)__builtin_ctzll(bits);
    MT_ASSERT(mt_span_at(bin->span)->state == MT_SPAN_SMALL &&
              mt_span_at(bin->span)->block_bytes == bin->size);
    if (trace != MT_TRACE_NEVER) {
        mt_span *span = mt_span_at(bin->span);
        uint32_t index = (uint32_t)(bin->word - mt_local(span)) * 64 + i;
        if (tag)
            tag |= MT_TAG(0, 0, bin->size - size);
        set_tag(span, index, tag);
    }
    mt_store_release(bin->word, bits & (bits - 1));
    return (void *)(bin->base + (uint64_t)i * bin->size);
}

void *mt_take_small(struct mt_cache *cache, uint32_t c, size_t size,
                    uint64_t tag)
{
    void *block = take_block(cache, c, size, MT_TRACE_ON, tag);
    mt_capture_end(cache->capture); /* which mt_traced_fast() began */
    return block;
}

void *mt_take_untraced(struct mt_cache *cache, size_t size)
{
    if (size >= mt_hot.small_sizes ||
        mt_load_relaxed(cache->trace) != MT_TRACE_NEVER)
        return NULL;
    return take_block(cache, mt_class_of[MT_CLASS_INDEX(size)], size,
                      MT_TRACE_NEVER, 0);
}

void *mt_alloc_small(struct mt_cache *cache, uint32_t c, size_t size,
                     const struct mt_regs *regs)
{
    uint32_t trace = mt_load_relaxed(cache->trace);
    uint64_t tag = trace == MT_TRACE_ON      ? new_tag(cache, size, regs)
                   : trace == MT_TRACE_SCOPE ? ignored_tag(cache, size, regs)
                                             : 0;
    void *block = take_block(cache, c, size, trace, tag);
    tag_written(regs);
    return block;
}

static MT_NOINLINE void *take_small(struct mt_cache *cache, uint32_t c,
                                    size_t size, uint32_t trace, uint64_t tag)
{
    return take_block(cache, c, size, trace, tag);
}

static void *alloc_small(struct mt_cache *cache, uint32_t c, size_t size,
                         const struct mt_regs *regs)
{
    uint32_t trace = mt_load_relaxed(cache->trace);
    return take_small(cache, c, size, trace, tag_for(trace, size, regs));
}

/* From the one cache of a heap. */
static MT_NOINLINE void *take_locked(struct memtrace_heap *heap, uint32_t c,
                                     size_t size, uint32_t trace, uint64_t tag)
{
    struct mt_bin *bin = &heap->cache->bins[c];
    struct mt_finding finding = {0};
    void *block = NULL;
    mt_lock_acquire(&heap->cache_lock);
    if (*bin->word != 0 || mt_refill(heap->cache, c)) {
        if (heap->modes & MT_MODE_FILL_FREE) {
            mt_span *span = mt_span_at(bin->span);
            uint32_t w = (uint32_t)(bin->word - mt_local(span));
            mt_fill_check(span, w * 64 + (uint32_t)__builtin_ctzll(*bin->word),
                          &finding);
        }
        block = take_block(heap->cache, c, size, trace, tag);
    }
    mt_lock_release(&heap->cache_lock);
    mt_finding_report(&finding, "allocation");
    return block;
}

static MT_NOINLINE void *alloc_locked(struct memtrace_heap *heap, uint32_t c,
                                      size_t size, const struct mt_regs *regs)
{
    uint32_t trace = mt_load_relaxed(&heap->record->trace);
    return take_locked(heap, c, size, trace, tag_for(trace, size, regs));
}

static MT_NOINLINE void *alloc_large(struct memtrace_heap *heap, size_t size,
                                     size_t align, bool *zeroed,
                                     const struct mt_regs *regs)
{
    uint32_t trace = mt_load_relaxed(&heap->record->trace);
    uint64_t tag = tag_for(trace, size, regs);
    mt_span *span = mt_span_new_large(heap, size, align, zeroed);
    if (span == NULL)
        return NULL;
    if (tag)
        set_tag(span, 0, tag);
    mt_store_release(&span->inline_local, 0); /* live */
    mt_epoch_tick();                          /* now that a peak has it */
    return (void *)span->base;
}

static void *alloc_once(struct memtrace_heap *heap, size_t size, size_t align,
                        bool zero, const struct mt_regs *regs)
{
    uint32_t c = mt_class_for(size, align);
    bool zeroed = false, gated = MT_UNLIKELY(heap->modes & MT_MODE_BOX);
    void *block;
    if (gated)
        mt_box_enter();
    if (c == MT_CLASS_NONE) {
        block = alloc_large(heap, size, align, &zeroed, regs);
    } else if (heap->cache == NULL) {
        struct mt_cache *cache = mt_cache_get();
        bool ready =
            cache && (align <= MT_MIN_BLOCK || mt_refill_aligned(cache, c));
        block = ready ? alloc_small(cache, c, size, regs) : NULL;
    } else {
        block = alloc_locked(heap, c, size, regs);
    }
    tag_written(regs);
    if (gated)
        mt_box_leave();
    if (block && MT_UNLIKELY(heap->modes & MT_MODE_CLEAN) && !zeroed)
        memset(block, 0, mt_usable_bytes(mt_span_of((uintptr_t)block)));
    if (block && !zero && MT_UNLIKELY(heap->modes & MT_MODE_FILL_ALLOC))
        memset(block, MT_FILL_ALLOCATED, size);
    if (block && zero && !zeroed)
        memset(block, 0, size);
    return block;
}

/* The system gives no memory.  Empty spans are given back to the heap; after
 * that any larger block will do.  Free blocks in other threads' spans stay
 * theirs. */
static MT_COLD void *alloc_again(struct memtrace_heap *heap, size_t size,
                                 size_t align, bool zero,
                                 const struct mt_regs *regs)
{
    if (size > heap->record->span_bytes)
        return NULL;
    if (heap->cache) {
        mt_lock_acquire(&heap->cache_lock);
        mt_cache_trim(heap->cache);
        mt_lock_release(&heap->cache_lock);
        return alloc_once(heap, size, align, zero, regs);
    }
    struct mt_cache *cache = mt_cache_get();
    mt_idle_trim();
    if (cache == NULL)
        return NULL;
    mt_cache_trim(cache);
    cache->desperate = 1;
    void *block = alloc_once(heap, size, align, zero, regs);
    cache->desperate = 0;
    return block;
}

void *mt_heap_alloc(struct memtrace_heap *heap, size_t size, size_t align,
                    bool zero, const struct mt_regs *regs)
{
    if (heap == NULL)
        heap = mt_main;
    if (!(heap->record->flags & MT_HEAP_IN_USE)) {
        errno = EINVAL; /* destroyed */
        return NULL;
    }
    for (;;) {
        void *block = alloc_once(heap, size, align, zero, regs);
        if (MT_LIKELY(block != NULL))
            return block;
        block = alloc_again(heap, size, align, zero, regs);
        if (block)
            return block;
        if (heap->quarantine.most && mt_quarantine_shrink(heap, 0))
            continue;
        if (!heap->on_full || !heap->on_full(heap, size, heap->on_full_arg))
            return mt_out_of_memory(heap, size);
    }
}

/* --- which block is this? --- */

static bool is_free(const mt_span *span, uint32_t index)
{
    uint64_t bits = mt_load_relaxed(&mt_local(span)[index / 64]) |
                    mt_load_relaxed(&mt_remote(span)[index / 64]);
    return bits >> (index % 64) & 1;
}

static uint64_t tag_of(const mt_span *span, uint32_t index)
{
    return span->tags ? mt_tags(span)[index] : 0;
}

/* A pointer into a block of the span, but not to its start. */
static mt_span *heap_inside(mt_span *span, uint64_t index, uintptr_t p,
                            const char *who)
{
    if (index >= span->n_blocks || is_free(span, (uint32_t)index))
        mt_error(MT_ERROR_MISALIGNED, who, p, 0);
    else
        mt_error(MT_ERROR_INTERIOR, who, p, tag_of(span, (uint32_t)index));
    return NULL;
}

mt_span *mt_block_of(uintptr_t p, uint32_t *index, const char *who,
                     uint32_t freed_kind)
{
    mt_span *span = mt_started() ? mt_span_of(p) : NULL;
    uint8_t state = span ? mt_load_acquire(&span->state) : MT_SPAN_UNUSED;
    if (span == NULL && mt_started() && mt_is_free_slice(p))
        state = MT_SPAN_FREE;
    if (state == MT_SPAN_FREE) {
        mt_error(freed_kind, who, p, mt_recent_free_tag(p));
        return NULL;
    }
    if (state == MT_SPAN_UNUSED || p < span->base) {
        mt_error(state ? MT_ERROR_MISALIGNED : MT_ERROR_FOREIGN, who, p, 0);
        return NULL;
    }
    uint64_t i = state == MT_SPAN_SMALL ? mt_block_index(span, p) : 0;
    if (i >= span->n_blocks || span->base + i * span->block_bytes != p)
        return heap_inside(span, i, p, who);
    if (is_free(span, (uint32_t)i)) {
        mt_error(freed_kind, who, p, tag_of(span, (uint32_t)i));
        return NULL;
    }
    *index = (uint32_t)i;
    return span;
}

/* Is p in no heap of ours, but in the C library's? */
static MT_NOINLINE bool is_libcs(const void *p)
{
    const struct mt_libc_heap *libc = mt_load_acquire(&mt_libc_heap);
    uintptr_t at = (uintptr_t)p;
    return libc &&
           !(mt_started() && (mt_span_of(at) || mt_is_free_slice(at))) &&
           libc->owns(at);
}

size_t mt_usable_size_slow(const void *p, bool asked)
{
    uint32_t index;
    if (p == NULL)
        return 0;
    if (MT_UNLIKELY(is_libcs(p)))
        return mt_libc_heap->usable_size((void *)(uintptr_t)p);
    mt_span *span =
        mt_block_of((uintptr_t)p, &index, "usable_size()", MT_ERROR_FREED);
    if (!span)
        return 0;
    uint64_t tag = asked ? tag_of(span, index) : 0;
    if (MT_TAG_STACK(tag) != MT_STACK_UNTRACED)
        return mt_block_requested(span, tag);
    /* A block that fills its span has its spare byte there. */
    return mt_usable_bytes(span) -
           (span->state == MT_SPAN_LARGE &&
                    span->block_bytes == span->n_slices * MT_SLICE_BYTES
                ? MT_SPARE_BYTES
                : 0);
}

/* --- free --- */

static void free_large(struct memtrace_heap *heap, mt_span *span,
                       const char *who)
{
    /* If two threads free it at once, one of them gets the report. */
    if (__atomic_fetch_or(&span->inline_local, 1, __ATOMIC_ACQ_REL) & 1) {
        mt_error(MT_ERROR_DOUBLE_FREE, who, span->base, tag_of(span, 0));
        return;
    }
    if (heap->quarantine.most) {
        struct mt_finding finding = {0};
        mt_lock_acquire(&heap->cache_lock);
        mt_safe_free(heap, span, 0, &finding);
        mt_lock_release(&heap->cache_lock);
        mt_finding_report(&finding, who);
        mt_quarantine_shrink(heap, heap->quarantine.most);
    } else {
        mt_span_release(heap, span);
    }
    mt_epoch_tick();
}

/* A small block of a heap with one cache for all. */
static void free_locked(struct memtrace_heap *heap, mt_span *span,
                        uint32_t index, const char *who)
{
    struct mt_finding finding = {0};
    mt_lock_acquire(&heap->cache_lock);
    bool twice = is_free(span, index); /* another thread was here first */
    if (!twice && (heap->modes || heap->quarantine.most))
        mt_safe_free(heap, span, index, &finding);
    else if (!twice)
        mt_free_other(heap->cache, span, index);
    mt_lock_release(&heap->cache_lock);
    mt_finding_report(&finding, who);
    if (twice)
        mt_error(MT_ERROR_DOUBLE_FREE, who,
                 span->base + index * span->block_bytes, tag_of(span, index));
    if (heap->quarantine.most)
        mt_quarantine_shrink(heap, heap->quarantine.most);
}

static void free_block(mt_span *span, uint32_t index, const char *who)
{
    struct memtrace_heap *heap = mt_heap_at(span->heap);
    if (span->state == MT_SPAN_LARGE) {
        free_large(heap, span, who);
    } else if (heap->cache == NULL) {
        mt_free_other(mt_tls, span, index);
    } else {
        free_locked(heap, span, index, who);
    }
}

/* The span is what the main heap's map says for p; another thread's, or full,
 * or none at all. */
void mt_free_main(void *p, mt_span *span)
{
    if (MT_LIKELY(mt_load_acquire(&span->state) == MT_SPAN_SMALL &&
                  mt_hot.small_sizes != 0)) {
        uint64_t within = (uintptr_t)p - span->base;
        uint64_t index = mt_block_index(span, (uintptr_t)p);
        if (MT_LIKELY(index < span->n_blocks &&
                      index * span->block_bytes == within &&
                      !is_free(span, (uint32_t)index))) {
            int saved = errno;
            mt_free_other(mt_tls, span, (uint32_t)index);
            errno = saved;
            return;
        }
    }
    mt_free_any(p, "free()");
}

void mt_free_word(void *p, mt_span *span, uint32_t w)
{
    (void)p;
    mt_word_free(mt_tls, span, w);
}

void mt_free_any(void *p, const char *who)
{
    uint32_t index;
    if (p == NULL)
        return;
    int saved = errno;
    if (MT_UNLIKELY(is_libcs(p))) {
        mt_libc_heap->free(p);
        errno = saved;
        return;
    }
    mt_span *span =
        mt_block_of((uintptr_t)p, &index, who, MT_ERROR_DOUBLE_FREE);
    if (span)
        free_block(span, index, who);
    errno = saved;
}

/* --- realloc --- */

/* Keeps the block for another size: its tag records the new request. */
static void heap_retag(mt_span *span, uint32_t index, size_t size,
                       const struct mt_regs *regs)
{
    struct memtrace_heap *heap = mt_heap_at(span->heap);
    uint32_t trace = mt_load_relaxed(&heap->record->trace);
    if (span->state == MT_SPAN_LARGE)
        span->requested = size;
    if (trace == MT_TRACE_NEVER)
        return;
    bool gated = MT_UNLIKELY(heap->modes & MT_MODE_BOX);
    if (gated)
        mt_box_enter();
    uint64_t tag = tag_for(trace, size, regs);
    if (tag && span->state == MT_SPAN_SMALL)
        tag |= MT_TAG(0, 0, span->block_bytes - size);
    set_tag(span, index, tag);
    tag_written(regs);
    if (gated)
        mt_box_leave();
}

/* Can the block serve `size` without wasting half of itself? */
static bool heap_fits(const mt_span *span, size_t size)
{
    return size <= mt_usable_bytes(span) &&
           (size >= span->block_bytes / 2 || span->block_bytes <= 64);
}

bool mt_resize_in_place(mt_span *span, uint32_t index, size_t size,
                        const struct mt_regs *regs)
{
    uint64_t before = span->block_bytes; /* all may have been written to */
    bool in_place = span->state == MT_SPAN_LARGE
                        ? size > MT_SMALL_MAX &&
                              mt_span_resize(mt_heap_at(span->heap), span, size)
                        : heap_fits(span, size);
    /* The rest of a small block was cleaned with it. */
    if (in_place && span->state == MT_SPAN_LARGE &&
        span->block_bytes > before &&
        MT_UNLIKELY(mt_heap_at(span->heap)->modes & MT_MODE_CLEAN))
        memset((char *)span->base + before, 0, span->block_bytes - before);
    if (in_place)
        heap_retag(span, index, size, regs);
    return in_place;
}

/* Frees a block that was live when realloc() began, and has been copied. */
static inline void free_moved(mt_span *span, uint32_t index)
{
    if (MT_UNLIKELY(mt_load_relaxed(&span->owner_key) != mt_tls_id)) {
        free_block(span, index, "realloc()");
        return;
    }
    uint64_t *word = &mt_local(span)[index / 64];
    mt_store_relaxed(word, *word | UINT64_C(1) << (index % 64));
    mt_word_free(mt_tls, span, index / 64);
}

/* A realloc that moves.  It is called last, so that the capture of its stack
 * has the room that mt_resize took. */
static MT_NOINLINE void *resize_by_move(mt_span *span, uint32_t index, void *p,
                                        size_t size, const struct mt_regs *regs)
{
    struct mt_cache *cache = mt_tls;
    bool own = mt_load_relaxed(&span->owner_key) == cache->id;
    void *moved = NULL;
    if (MT_LIKELY(own && size < mt_hot.small_sizes))
        moved = mt_alloc_small(cache, mt_class_of[MT_CLASS_INDEX(size)], size,
                               regs);
    struct memtrace_heap *heap = mt_heap_at(span->heap);
    if (moved == NULL)
        moved = mt_heap_alloc(heap, size, MT_MIN_BLOCK, false, regs);
    if (moved == NULL)
        return NULL; /* the old block is as it was */
    uint64_t kept = size < span->block_bytes ? size : span->block_bytes;
    if (span->state == MT_SPAN_LARGE && mt_large_may_move(heap, span, moved))
        return mt_large_move(heap, span, kept, moved);
    memcpy(moved, p, kept);
    free_moved(span, index);
    return moved;
}

void *mt_resize(void *p, size_t size, const struct mt_regs *regs)
{
    uint32_t index;
    mt_span *span = mt_small_at(p, &index);
    if (span == NULL && MT_UNLIKELY(is_libcs(p)))
        return mt_libc_heap->realloc(p, size);
    if (span == NULL) {
        /* Not &index, which would outlast the last call. */
        uint32_t found;
        span = mt_block_of((uintptr_t)p, &found, "realloc()", MT_ERROR_FREED);
        index = found;
    }
    if (span == NULL) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        free_block(span, index, "realloc()");
        return NULL;
    }
    if (mt_resize_in_place(span, index, size, regs))
        return p;
    return resize_by_move(span, index, p, size, regs);
}
