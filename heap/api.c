/* SPDX-License-Identifier: BSD-2-Clause
 *
 * api.c - the allocation half of memtrace.h.
 */
#include "heap/fast.h"
#include "heap/memtrace.h"

#include <errno.h>

MT_EXPORT void *memtrace_alloc(memtrace_heap *heap, size_t size)
{
    return mt_enter_heap_alloc(heap, size, MT_MIN_BLOCK);
}

MT_EXPORT void *memtrace_alloc_aligned(memtrace_heap *heap, size_t align,
                                       size_t size)
{
    if (align == 0 || (align & (align - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    return mt_enter_heap_alloc(heap, size, align);
}

MT_EXPORT void *memtrace_calloc(memtrace_heap *heap, size_t count, size_t size)
{
    return mt_enter_heap_calloc(heap, count, size);
}

MT_EXPORT void *memtrace_realloc(memtrace_heap *heap, void *p, size_t size)
{
    return mt_enter_heap_realloc(heap, p, size);
}

MT_EXPORT void memtrace_free(void *p)
{
    mt_free(p);
}

MT_EXPORT size_t memtrace_usable_size(const void *p)
{
    return mt_usable_size(p);
}
