/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heaps_api.c - memtrace.h's creation and destruction of heaps, and their
 * names.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/memtrace.h"
#include "heap/page_kinds.h"
#include "heap/safety.h"

#include <errno.h>
#include <string.h>

static bool is_heap(const struct memtrace_heap *heap)
{
    for (uint32_t i = 0; heap && mt_heap_at(i); i++)
        if (mt_heap_at(i) == heap)
            return heap->record->flags & MT_HEAP_IN_USE;
    return false;
}

/* The heap that a caller means, or NULL with EINVAL. */
struct memtrace_heap *mt_heap_meant(struct memtrace_heap *heap)
{
    if (!mt_start())
        return NULL;
    if (heap == NULL)
        return mt_main;
    if (is_heap(heap))
        return heap;
    errno = EINVAL;
    return NULL;
}

static uint32_t modes_of(unsigned flags)
{
    return (flags & MEMTRACE_HEAP_GUARD ? MT_MODE_GUARD : 0) |
           (flags & MEMTRACE_HEAP_FILL_FREE ? MT_MODE_FILL_FREE : 0) |
           (flags & MEMTRACE_HEAP_FILL_ALLOC ? MT_MODE_FILL_ALLOC : 0);
}

static bool set_options(struct memtrace_heap *heap,
                        const struct memtrace_heap_options *options)
{
    const struct mt_memory_options memory = {
        .page_size = options->page_size,
        .thp = options->flags & MEMTRACE_HEAP_THP ? MT_THP_ON : MT_THP_SYSTEM,
        .fallback = options->flags & MEMTRACE_HEAP_PAGE_FALLBACK,
        .nodes = options->numa_nodes};
    if (options->base && (options->page_size || options->numa_nodes)) {
        errno = EINVAL; /* given memory is as it is */
        return false;
    }
    return mt_memory_setup(heap, &memory) &&
           mt_safety_setup(heap, modes_of(options->flags), options->quarantine);
}

MT_EXPORT memtrace_heap *
memtrace_heap_create(const struct memtrace_heap_options *options)
{
    if (!options || !options->name || !*options->name) {
        errno = EINVAL;
        return NULL;
    }
    if (!mt_start())
        return NULL;
    uint32_t flags = 0;
    uintptr_t base = (uintptr_t)options->base;
    uint64_t size = options->size;
    if (base) {
        uintptr_t aligned = (base + MT_SLICE_BYTES - 1) & ~(MT_SLICE_BYTES - 1);
        size = size > aligned - base
                   ? (size - (aligned - base)) & ~(MT_SLICE_BYTES - 1)
                   : 0;
        base = aligned;
        flags |= MT_HEAP_GIVEN;
        if (size == 0) {
            errno = EINVAL;
            return NULL;
        }
    }
    if (size)
        flags |= MT_HEAP_FIXED;
    if (options->flags & MEMTRACE_HEAP_LOCKED)
        flags |= MT_HEAP_LOCKED;
    if (!base || (options->flags & MEMTRACE_HEAP_UNMAP_ON_DESTROY))
        flags |= MT_HEAP_UNMAP_ON_DESTROY;
    struct memtrace_heap *heap = mt_heap_new(options->name, flags);
    if (heap == NULL)
        return NULL;
    if (!set_options(heap, options) ||
        (size && !mt_heap_add_region(heap, (void *)base, size))) {
        int why = errno;
        mt_heap_forget(heap);
        errno = why;
        return NULL;
    }
    if (options->flags & MEMTRACE_HEAP_TRACE)
        heap->record->trace = MT_TRACE_ON;
    return heap;
}

MT_EXPORT int memtrace_heap_destroy(memtrace_heap *heap)
{
    if (mt_heap_meant(heap) == NULL || heap == NULL || heap == mt_main) {
        errno = EINVAL;
        return -1;
    }
    mt_heap_remove(heap);
    return 0;
}

MT_EXPORT memtrace_heap *memtrace_heap_main(void)
{
    return mt_heap_meant(NULL);
}

MT_EXPORT memtrace_heap *memtrace_heap_find(const char *name)
{
    struct memtrace_heap *heap;
    for (uint32_t i = 0; mt_start() && (heap = mt_heap_at(i)); i++)
        if (is_heap(heap) && strcmp(heap->record->name, name) == 0)
            return heap;
    errno = ENOENT;
    return NULL;
}

MT_EXPORT memtrace_heap *memtrace_heap_of(const void *p)
{
    mt_span *span = mt_started() ? mt_span_of((uintptr_t)p) : NULL;
    return span ? mt_heap_at(span->heap) : NULL;
}
