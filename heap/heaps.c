/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Heaps by number and name: creation and destruction.
 */
#include "heap/alloc.h"
#include "heap/page_kinds.h"
#include "heap/memtrace.h"
#include "heap/trace_region.h"
#include "heap/safety.h"

#include <errno.h>
#include <string.h>

static struct mt_lock table_lock;
static uint32_t n_heaps;

static struct memtrace_heap *unused_heap(void)
{
    for (uint32_t i = 0; i < n_heaps; i++)
        if (!(mt_heaps[i]->record->flags & MT_HEAP_IN_USE))
            return mt_heaps[i];
    if (n_heaps == MT_MAX_HEAPS)
        return NULL;
    struct memtrace_heap *heap =
        mt_section_alloc(MT_SECTION_PRIVATE, (sizeof *heap + 63) & ~(size_t)63);
    struct mt_heap_record *record =
        heap ? mt_section_alloc(MT_SECTION_HEAPS, sizeof *record) : NULL;
    if (record == NULL)
        return NULL;
    heap->record = record;
    heap->id = n_heaps;
    mt_store_release(&mt_heaps[n_heaps], heap);
    n_heaps++;
    return heap;
}

struct memtrace_heap *mt_heap_new(const char *name, uint32_t flags)
{
    mt_lock_acquire(&table_lock);
    struct memtrace_heap *heap = unused_heap();
    /* A heap that is used again keeps its cache. */
    if (heap && !(flags & MT_HEAP_MAIN) && heap->cache == NULL) {
        heap->cache = mt_cache_new(heap, MT_THREAD_HEAP);
        if (heap->cache == NULL)
            heap = NULL;
    }
    if (heap) {
        struct mt_heap_record *record = heap->record;
        memset(record->name, 0, sizeof record->name);
        strncpy(record->name, name, sizeof record->name - 1);
        record->page_bytes = memtrace_root->page_bytes;
        record->numa_node = -1;
        record->id = heap->id;
        record->handle = (uintptr_t)heap;
        record->created_ns = mt_os_monotonic_ns();
        mt_store_release(&record->flags, flags | MT_HEAP_IN_USE);
    }
    mt_lock_release(&table_lock);
    if (heap == NULL)
        errno = ENOMEM;
    return heap;
}

/* Forgets the heap's regions and spans; their memory is unmapped or left. */
static void drop_regions(struct memtrace_heap *heap, bool unmap)
{
    struct mt_section_record *regions =
        &memtrace_root->sections[MT_SECTION_REGIONS];
    uint32_t n = (uint32_t)(regions->used / sizeof(struct mt_region_record));
    for (uint32_t i = 0; i < n; i++) {
        struct mt_region_record *r =
            (struct mt_region_record *)regions->base + i;
        if (!r->state || r->heap != heap->id)
            continue;
        uint32_t *map = (uint32_t *)r->slice_map;
        for (uint32_t s = 0; s < r->top;) {
            mt_span *span = mt_span_at(map[s]);
            s += span->n_slices;
            span->state = MT_SPAN_FREE; /* a reader skips it from here on */
            mt_side_free(span);
            mt_record_free(heap, span);
        }
        memset(map, 0, r->top * sizeof *map);
        mt_store_release(&r->state, 0);
        if (unmap)
            mt_os_release((void *)r->base, r->size);
    }
}

static void heaps_forget(struct memtrace_heap *heap)
{
    struct mt_heap_record *record = heap->record;
    mt_store_release(&record->flags, 0);
    memset((char *)record + sizeof record->name, 0,
           sizeof *record - sizeof record->name);
    record->id = heap->id;
    memset(heap->runs, 0, sizeof heap->runs);
    memset(heap->class_bytes, 0, sizeof heap->class_bytes);
    memset(heap->class_peak, 0, sizeof heap->class_peak);
    heap->on_full = NULL;
    mt_safety_forget(heap);
    mt_memory_forget(heap);
    heap->region_step = 0;
    heap->purge_delay_bytes = heap->purged_ns = heap->purge_backoff_ns = 0;
    if (heap->cache) {
        mt_cache_setup(heap->cache, heap, heap->cache->id);
        heap->cache->pending = 0;
    }
}

static bool is_heap(const struct memtrace_heap *heap)
{
    for (uint32_t i = 0; heap && i < n_heaps; i++)
        if (mt_heaps[i] == heap)
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
        heaps_forget(heap);
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
    mt_lock_acquire(&table_lock);
    mt_lock_acquire(&heap->cache_lock);
    mt_lock_acquire(&heap->lock);
    drop_regions(heap, heap->record->flags & MT_HEAP_UNMAP_ON_DESTROY);
    heaps_forget(heap);
    mt_lock_release(&heap->lock);
    mt_lock_release(&heap->cache_lock);
    mt_lock_release(&table_lock);
    return 0;
}

MT_EXPORT memtrace_heap *memtrace_heap_main(void)
{
    return mt_heap_meant(NULL);
}

MT_EXPORT memtrace_heap *memtrace_heap_find(const char *name)
{
    if (mt_start())
        for (uint32_t i = 0; i < n_heaps; i++)
            if (is_heap(mt_heaps[i]) &&
                strcmp(mt_heaps[i]->record->name, name) == 0)
                return mt_heaps[i];
    errno = ENOENT;
    return NULL;
}

MT_EXPORT memtrace_heap *memtrace_heap_of(const void *p)
{
    mt_span *span = mt_started() ? mt_span_of((uintptr_t)p) : NULL;
    return span ? mt_heap_at(span->heap) : NULL;
}

void mt_heaps_fork_prepare(void)
{
    mt_lock_acquire(&table_lock);
    for (uint32_t i = 0; i < n_heaps; i++)
        mt_lock_acquire(&mt_heaps[i]->cache_lock);
    mt_threads_fork_prepare();
    for (uint32_t i = 0; i < n_heaps; i++)
        mt_lock_acquire(&mt_heaps[i]->lock);
}

void mt_heaps_fork_parent(void)
{
    for (uint32_t i = n_heaps; i-- > 0;)
        mt_lock_release(&mt_heaps[i]->lock);
    mt_threads_fork_parent();
    for (uint32_t i = n_heaps; i-- > 0;)
        mt_lock_release(&mt_heaps[i]->cache_lock);
    mt_lock_release(&table_lock);
}

void mt_heaps_fork_child(void)
{
    mt_lock_reset(&table_lock);
    for (uint32_t i = 0; i < n_heaps; i++) {
        mt_lock_reset(&mt_heaps[i]->cache_lock);
        mt_lock_reset(&mt_heaps[i]->lock);
    }
}
