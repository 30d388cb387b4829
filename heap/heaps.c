/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heaps.c - the table of heaps: records are made, used again, and left.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/page_kinds.h"
#include "heap/pages.h"
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

/* Unmaps a region's memory, all that is mapped: [*from, to), if anything. */
static void unmap_run(const struct mt_region_record *r, uint64_t *from,
                      uint64_t to, uint64_t next)
{
    if (to > *from)
        mt_os_uncommit((char *)r->base + *from, to - *from);
    *from = next;
}

static void unmap_region(const struct mt_region_record *r)
{
    const uint32_t *map = mt_slice_map(r);
    uint64_t from = 0;
    for (uint32_t s = 0; s < r->top;) {
        const mt_span *span = mt_span_at(map[s]);
        uint64_t start = (uint64_t)s << MT_SLICE_SHIFT;
        s += span->n_slices;
        if (span->flags & MT_SPAN_HOLE && span->state == MT_SPAN_FREE)
            unmap_run(r, &from, start, (uint64_t)s << MT_SLICE_SHIFT);
    }
    unmap_run(r, &from, r->committed, 0);
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
        bool given = heap->record->flags & MT_HEAP_GIVEN;
        uint32_t *map = mt_slice_map(r);
        if (unmap && given)
            mt_os_unmap((void *)r->base, r->size);
        else if (unmap)
            unmap_region(r);
        for (uint32_t s = 0; s < r->top;) {
            mt_span *span = mt_span_at(map[s]);
            s += span->n_slices;
            span->state = MT_SPAN_FREE; /* a reader skips it from here on */
            mt_side_free(span);
            mt_record_free(heap, span);
        }
        memset(map, 0, r->top * sizeof *map);
        mt_store_release(&r->state, 0);
        if (unmap && !given)
            mt_os_release((void *)r->base, r->size);
    }
}

void mt_heap_forget(struct memtrace_heap *heap)
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

void mt_heap_remove(struct memtrace_heap *heap)
{
    mt_lock_acquire(&table_lock);
    mt_lock_acquire(&heap->cache_lock);
    mt_lock_acquire(&heap->lock);
    drop_regions(heap, heap->record->flags & MT_HEAP_UNMAP_ON_DESTROY);
    __atomic_fetch_sub(&mt_spans_total, heap->record->span_bytes,
                       __ATOMIC_RELAXED);
    mt_heap_forget(heap);
    mt_lock_release(&heap->lock);
    mt_lock_release(&heap->cache_lock);
    mt_lock_release(&table_lock);
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
