/* SPDX-License-Identifier: BSD-2-Clause
 *
 * traced_fast.h - the path that most allocations take while tracing is on: a
 * small block, by a stack that the memo knows.
 */
#ifndef MT_TRACED_FAST_H
#define MT_TRACED_FAST_H

#include "heap/capture/capture_fast.h"
#include "heap/fast.h"

/* Takes the block of the lowest bit of `bits`, which are the free ones of the
 * bin's word, and gives it the tag, which is without its slack. */
static inline __attribute__((always_inline)) void *
mt_take_tagged(const struct mt_bin *bin, const mt_span *span, uint64_t bits,
               size_t size, uint64_t tag)
{
    uint32_t i = (uint32_t)__builtin_ctzll(bits);
    uint64_t *tags = mt_tags(span) + (size_t)(bin->word - mt_local(span)) * 64;
    mt_store_release(&tags[i], tag | MT_TAG(0, 0, bin->size - size));
    mt_store_release(bin->word, bits & (bits - 1));
    return (void *)(bin->base + (uint64_t)i * bin->size);
}

/* A small block that sampling passes over (sample.c), or NULL: sampling is off,
 * or the block is to be traced, or none is free in the bin. */
static inline __attribute__((always_inline)) void *
mt_unsampled_fast(size_t size)
{
    struct mt_cache *cache = mt_tls;
    if (MT_UNLIKELY(size - 1 >= MT_SMALL_MAX - MT_SPARE_BYTES ||
                    cache->sample_left <= (int64_t)size ||
                    mt_load_relaxed(cache->trace) != MT_TRACE_ON ||
                    mt_load_relaxed(&memtrace_root->sample_bytes) !=
                        cache->sample_mean))
        return NULL;
    const struct mt_bin *bin = &cache->bins[mt_class_of[MT_CLASS_INDEX(size)]];
    const mt_span *span = mt_span_at(bin->span);
    uint64_t bits = *bin->word;
    if (MT_UNLIKELY(bits == 0 || span->tags == 0))
        return NULL;
    uint64_t tag = MT_TAG(MT_STACK_UNSAMPLED, memtrace_root->epoch, 0);
    cache->sample_left -= (int64_t)size;
    return mt_take_tagged(bin, span, bits, size, tag);
}

/* The registers that the capture needs, of the caller of the enclosing
 * function, which thereby gets a frame with rbp.  The program must have called
 * that function, or jumped to it; other registers are not known. */
#define MT_CALLER_REGS                                                         \
    {                                                                          \
        .rip = (uintptr_t)__builtin_return_address(0),                         \
        .rsp = (uintptr_t)__builtin_frame_address(0) + 16,                     \
        .rbp = *(const uintptr_t *)__builtin_frame_address(0)                  \
    }

/* A block, or NULL: an entry of fast.h must then do the work, by a tail call.
 * (So no local variable here may have its address passed on.) */
static inline __attribute__((always_inline)) void *
mt_traced_fast(size_t size, const struct mt_regs *regs)
{
    struct mt_cache *cache = mt_tls;
    struct mt_capture *capture = cache->capture;
    if (MT_UNLIKELY(size >= mt_hot.small_sizes ||
                    mt_load_relaxed(cache->trace) != MT_TRACE_ON ||
                    mt_load_relaxed(&memtrace_root->sample_bytes) != 0 ||
                    !mt_capture_begin(capture, regs->rsp)))
        return NULL;
    const struct mt_memo_slot *slot = mt_capture_expected(capture, regs);
    if (!slot)
        slot = mt_capture_find(capture, regs->rip, regs->rsp, regs->rbp);
    if (MT_UNLIKELY(!slot || !mt_capture_is_plain(capture, slot))) {
        mt_capture_end(capture);
        return NULL;
    }
    uint64_t tag = MT_TAG(mt_capture_hit(capture, slot, size), 0, 0);
    mt_os_clock(MT_OS_MONOTONIC, &capture->now);
    tag |= MT_TAG(0, mt_epoch_at(mt_os_ns(&capture->now)), 0);
    uint32_t c = mt_class_of[MT_CLASS_INDEX(size)];
    const struct mt_bin *bin = &cache->bins[c];
    const mt_span *span = mt_span_at(bin->span);
    uint64_t bits = *bin->word;
    if (MT_UNLIKELY(bits == 0 || span->tags == 0))
        return mt_take_small(cache, c, size, tag);
    void *block = mt_take_tagged(bin, span, bits, size, tag);
    mt_capture_end(capture);
    return block;
}

#endif
