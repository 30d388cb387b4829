/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fast.h - the paths that most allocations and frees take.
 */
#ifndef MT_FAST_H
#define MT_FAST_H

#include "heap/alloc.h"

/* traced.S: these continue an allocation function that cannot take the fast
 * path, with the registers of its caller. Reached by tail calls. */
void *mt_enter_malloc(size_t size);
void *mt_enter_calloc(size_t count, size_t size);
void *mt_enter_realloc(void *, size_t size);
void *mt_enter_aligned(size_t align, size_t size); /* any power of two */
/* posix_memalign() with an alignment that has been checked */
int mt_enter_posix(void **out, size_t align, size_t size);
void *mt_enter_heap_alloc(struct memtrace_heap *, size_t size, size_t align);
void *mt_enter_heap_calloc(struct memtrace_heap *, size_t count, size_t size);
void *mt_enter_heap_realloc(struct memtrace_heap *, void *, size_t size);

/* A block, or NULL: then a slower path must do. */
static inline void *mt_malloc_fast(size_t size)
{
    struct mt_cache *cache = mt_tls;
    if (MT_LIKELY(size <= MT_SMALL_MAX) &&
        MT_LIKELY(mt_load_relaxed(cache->trace) == MT_TRACE_NEVER)) {
        struct mt_bin *bin = &cache->bins[mt_class_of[MT_CLASS_INDEX(size)]];
        uint64_t bits = *bin->word;
        if (MT_LIKELY(bits != 0)) {
            mt_store_relaxed(bin->word, bits & (bits - 1));
            return (void *)(bin->base +
                            (uint64_t)__builtin_ctzll(bits) * bin->size);
        }
    }
    return NULL;
}

/* within * 2^64 / block_bytes: the index, and a fraction that is below the
 * reciprocal if and only if the block starts at p. */
#define MT_BLOCK_PRODUCT(p, span, fraction, index)                             \
    __asm__("mulq %3"                                                          \
            : "=a"(*(fraction)), "=d"(*(index))                                \
            : "0"((p) - (span)->base), "m"((span)->recip)                      \
            : "cc")

/* The span of the live small block of the main heap at p and the block's index;
 * or NULL: mt_block_of() must then find out what p is. */
static inline mt_span *mt_small_at(const void *block, uint32_t *at)
{
    uintptr_t p = (uintptr_t)block;
    uint64_t offset = p - mt_hot.base;
    if (MT_UNLIKELY(offset >= mt_load_folded(&mt_hot.size)))
        return NULL;
    mt_span *span = &mt_hot.spans[mt_hot.map[offset >> MT_SLICE_SHIFT]];
    if (MT_UNLIKELY(mt_load_folded(&span->state) != MT_SPAN_SMALL))
        return NULL;
    __atomic_signal_fence(__ATOMIC_ACQUIRE); /* as the processor orders loads */
    uint64_t fraction, index;
    MT_BLOCK_PRODUCT(p, span, &fraction, &index);
    if (MT_UNLIKELY(fraction >= span->recip ||
                    (uint32_t)index >= span->n_blocks))
        return NULL;
    uint64_t w = index >> 6;
    uint64_t bits = mt_load_relaxed(&mt_local(span)[w]) |
                    mt_load_folded(&mt_remote(span)[w]);
    if (MT_UNLIKELY(bits >> (index & 63) & 1))
        return NULL;
    *at = (uint32_t)index;
    return span;
}

/* A traced block has the bytes that were asked for, as below Valgrind: readers
 * look for pointers in those alone. */
static inline size_t mt_usable_size(const void *block)
{
    uint32_t index;
    mt_span *span = mt_small_at(block, &index);
    if (MT_UNLIKELY(span == NULL))
        return mt_usable_size_slow(block, true);
    if (MT_LIKELY(mt_load_folded(&span->tags) == 0))
        return span->block_bytes - MT_SPARE_BYTES;
    uint64_t tag = mt_load_relaxed(&mt_tags(span)[index]);
    if (MT_UNLIKELY(MT_TAG_STACK(tag) == MT_STACK_UNTRACED))
        return span->block_bytes - MT_SPARE_BYTES;
    return span->block_bytes - MT_TAG_SLACK(tag);
}

/* Written so that gcc makes 36 instructions of it (tests/budget): operands in
 * memory where a register would be one load more. */
static inline void mt_free(void *block)
{
    uintptr_t p = (uintptr_t)block;
    uint64_t offset = p - mt_hot.base;
    if (MT_UNLIKELY(offset >= mt_load_folded(&mt_hot.size)))
        goto other;
    mt_span *span = &mt_hot.spans[mt_hot.map[offset >> MT_SLICE_SHIFT]];
    if (MT_UNLIKELY(mt_load_relaxed(&span->owner_key) != mt_tls_id)) {
        mt_free_main(block, span);
        return;
    }
    uint64_t fraction, index;
    MT_BLOCK_PRODUCT(p, span, &fraction, &index);
    if (MT_UNLIKELY(fraction >= span->recip ||
                    (uint32_t)index >= span->n_blocks))
        goto other;
    uint64_t w = index >> 6;
    uint64_t *local = mt_local(span), bits = local[w];
    if (MT_UNLIKELY(
            (bits | mt_load_relaxed(&mt_remote(span)[w])) >> (index & 63) & 1))
        goto other;
    /* bits |= 1 << (index & 63), which gcc 12 makes four instructions of */
    __asm__("bts %1, %0" : "+r"(bits) : "r"(index) : "cc");
    mt_store_indexed(local, w, bits);
    /* All free, or (in a last word, or by chance) all up to some block. */
    if (MT_UNLIKELY((bits & (bits + 1)) == 0))
        mt_free_word(block, span, (uint32_t)w);
    return;
other:
    mt_free_any(block, "free()");
}

#endif
