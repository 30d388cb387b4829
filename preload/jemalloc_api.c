/* SPDX-License-Identifier: BSD-2-Clause
 *
 * jemalloc_api.c - the non-standard interface of jemalloc's manual, on the
 * main heap.  A program that is linked with jemalloc mixes it with malloc and
 * free, which are ours.
 *
 * Served are the functions that give, change and take blocks.  mallctl and
 * what else asks or tunes jemalloc itself stay jemalloc's.  The flags name
 * arenas and thread caches of jemalloc, which have no counterpart here; the
 * alignment and MALLOCX_ZERO are heeded.
 */
#include "heap/seldom.h"
#include "heap/traced_fast.h"
#include "preload/preload.h"

#include <errno.h>
#include <string.h>

/* From <jemalloc/jemalloc.h>: the log2 of the alignment, and MALLOCX_ZERO. */
#define FLAGS_LG_ALIGN 0x3f
#define FLAGS_ZERO 0x40
#define FLAGS_HEEDED 0x7f

/* A size that no block has; xallocx passes its flags above such a one. */
#define SIZE_BITS 48
#define SIZE_TOP ((UINT64_C(1) << SIZE_BITS) - 1)

void *mt_enter_mallocx(size_t size, size_t flags);
void *mt_enter_rallocx(void *, size_t size, size_t flags);
size_t mt_enter_xallocx(void *, size_t size, size_t extra_and_flags);
void *mt_traced_mallocx(size_t size, size_t flags, size_t,
                        const struct mt_regs *);
void *mt_traced_rallocx(void *, size_t size, size_t flags,
                        const struct mt_regs *);
size_t mt_traced_xallocx(void *, size_t size, size_t extra_and_flags,
                         const struct mt_regs *);

static size_t flags_align(size_t flags)
{
    size_t align = (size_t)1 << (flags & FLAGS_LG_ALIGN);
    return align < MT_MIN_BLOCK ? MT_MIN_BLOCK : align;
}

/* Zeroes a block from `from` to the end of what it may use. */
static void zero_rest(unsigned char *block, size_t from)
{
    size_t usable = mt_usable_size_slow(block, false);
    if (usable > from)
        memset(block + from, 0, usable - from);
}

void *mt_traced_mallocx(size_t size, size_t flags, size_t a3,
                        const struct mt_regs *regs)
{
    (void)a3;
    bool zero = flags & FLAGS_ZERO;
    unsigned char *block = mt_alloc(NULL, size, flags_align(flags), zero, regs);
    if (block && zero)
        zero_rest(block, size);
    return block;
}

void *mt_traced_rallocx(void *p, size_t size, size_t flags,
                        const struct mt_regs *regs)
{
    uint32_t index;
    size_t align = flags_align(flags);
    if (p == NULL) /* undefined by the manual */
        return mt_traced_mallocx(size, flags, 0, regs);
    mt_span *span =
        mt_block_of((uintptr_t)p, &index, "rallocx()", MT_ERROR_FREED);
    if (span == NULL) {
        errno = EINVAL;
        return NULL;
    }
    size_t old = mt_usable_bytes(span);
    unsigned char *block = p;
    if (((uintptr_t)p & (align - 1)) != 0 ||
        !mt_resize_in_place(span, index, size, regs)) {
        block = mt_alloc(mt_heap_at(span->heap), size, align, false, regs);
        if (block == NULL)
            return NULL; /* the old block is as it was */
        memcpy(block, p, size < old ? size : old);
        mt_free_any(p, "rallocx()");
    }
    if (flags & FLAGS_ZERO)
        zero_rest(block, old);
    return block;
}

size_t mt_traced_xallocx(void *p, size_t size, size_t extra_and_flags,
                         const struct mt_regs *regs)
{
    uint32_t index;
    size_t extra = extra_and_flags & SIZE_TOP;
    size_t flags = extra_and_flags >> SIZE_BITS;
    mt_span *span =
        mt_block_of((uintptr_t)p, &index, "xallocx()", MT_ERROR_FREED);
    if (span == NULL)
        return 0;
    size_t old = mt_usable_bytes(span);
    if (((uintptr_t)p & (flags_align(flags) - 1)) != 0)
        return old;
    if (extra == 0 || !mt_resize_in_place(span, index, size + extra, regs))
        mt_resize_in_place(span, index, size, regs);
    if (flags & FLAGS_ZERO)
        zero_rest(p, old);
    return mt_usable_bytes(span);
}

static MT_NOINLINE void *sampled_mallocx(size_t size)
{
    void *block = mt_unsampled_fast(size);
    return block != NULL ? block : mt_enter_malloc(size);
}

MT_EXPORT void *mallocx(size_t size, int flags)
{
    if (MT_UNLIKELY((flags & FLAGS_HEEDED) != 0))
        return mt_enter_mallocx(size, (size_t)flags & FLAGS_HEEDED);
    void *block = mt_malloc_fast(size);
    return MT_LIKELY(block != NULL) ? block : sampled_mallocx(size);
}

MT_EXPORT void *rallocx(void *block, size_t size, int flags)
{
    return mt_enter_rallocx(block, size, (size_t)flags & FLAGS_HEEDED);
}

/* Sizes beyond what any block has are cut to one of them. */
MT_EXPORT size_t xallocx(void *block, size_t size, size_t extra, int flags)
{
    size = size < SIZE_TOP ? size : SIZE_TOP;
    extra = extra < SIZE_TOP ? extra : SIZE_TOP;
    return mt_enter_xallocx(
        block, size, extra | ((size_t)flags & FLAGS_HEEDED) << SIZE_BITS);
}

MT_EXPORT size_t sallocx(const void *block, int flags)
{
    (void)flags; /* as nallocx() and xallocx() have it, traced or not */
    return mt_usable_size_slow(block, false);
}

MT_EXPORT void dallocx(void *block, int flags)
{
    (void)flags;
    mt_free(block);
}

MT_EXPORT void sdallocx(void *block, size_t size, int flags)
{
    (void)size, (void)flags;
    mt_free(block);
}

MT_EXPORT size_t nallocx(size_t size, int flags)
{
    size_t align = flags_align((size_t)flags);
    if (size > SIZE_TOP || align > SIZE_TOP || !mt_start())
        return 0;
    uint32_t c = mt_class_for(size, align);
    if (c != MT_CLASS_NONE)
        return mt_class_size(c) - MT_SPARE_BYTES;
    size_t step = mt_main->modes & MT_MODE_GUARD && align < 4096 ? align : 4096;
    return (size + step - 1) & ~(step - 1);
}
