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
    uint64_t i, bytes = bin->size, *word = bin->word;
    /* __builtin_ctzll(), whose int gcc 12 takes two instructions more for; the
     * 64 tags of a word take 64 times its bytes. */
    __asm__("tzcnt %1, %0" : "=r"(i) : "r"(bits) : "cc");
    uintptr_t tags = (uintptr_t)mt_tags(span) +
                     64 * ((uintptr_t)word - (uintptr_t)mt_local(span));
    mt_store_release(&((uint64_t *)tags)[i], tag | MT_TAG(0, 0, bytes - size));
    mt_store_release(word, bits & (bits - 1));
    return (void *)(bin->base + i * bytes);
}

/* Is sampling on, and its next sample further away? */
static inline bool mt_may_be_unsampled(size_t size)
{
    return mt_tls->sample_left > (int64_t)size;
}

/* A small block that sampling passes over, or NULL: sampling is off, or none is
 * free in the bin. Only if it may be unsampled. */
static inline __attribute__((always_inline)) void *
mt_take_unsampled(size_t size)
{
    struct mt_cache *cache = mt_tls;
    if (MT_UNLIKELY(size - 1 >= MT_SMALL_MAX ||
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

static inline __attribute__((always_inline)) void *
mt_unsampled_fast(size_t size)
{
    return mt_may_be_unsampled(size) ? mt_take_unsampled(size) : NULL;
}

/* A small block from a stack that the memo knows, or NULL. The stack need not
 * be aligned. */
void *mt_traced_small(size_t size, uint64_t rip, uint64_t rsp, uint64_t rbp);

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
    return mt_traced_small(size, regs->rip, regs->rsp, regs->rbp);
}

#endif
