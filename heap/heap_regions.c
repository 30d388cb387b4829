/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Regions of heaps, their slice maps, and the way from an address to its span.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/page_kinds.h"
#include "heap/pages.h"
#include "heap/trace_region.h"

#include <errno.h>

#define MIB(n) ((uint64_t)(n) << 20)

struct mt_region_record *mt_region_at(uint32_t i)
{
    return (struct mt_region_record *)memtrace_root
               ->sections[MT_SECTION_REGIONS]
               .base +
           i;
}

uint32_t mt_region_count(void)
{
    return (uint32_t)(mt_load_acquire(
                          &memtrace_root->sections[MT_SECTION_REGIONS].used) /
                      sizeof(struct mt_region_record));
}

uint32_t *mt_slice_map(const struct mt_region_record *region)
{
    return (uint32_t *)region->slice_map;
}

struct mt_region_record *mt_region_of(uintptr_t p)
{
    uint32_t n = mt_region_count();
    for (uint32_t i = 0; i < n; i++) {
        struct mt_region_record *r = mt_region_at(i);
        if (r->state && p - r->base < r->size)
            return r;
    }
    return NULL;
}

mt_span *mt_span_of(uintptr_t p)
{
    struct mt_region_record *r = mt_region_of(p);
    if (r == NULL || p - r->base >= mt_load_acquire(&r->committed))
        return NULL;
    uint32_t id = mt_slice_map(r)[(p - r->base) >> MT_SLICE_SHIFT];
    return id ? mt_span_at(id) : NULL;
}

bool mt_is_free_slice(uintptr_t p)
{
    struct mt_region_record *r = mt_region_of(p);
    return r && (p - r->base) >> MT_SLICE_SHIFT < r->top && !mt_span_of(p);
}

/* By words of two slices: a large block of many MiB has hundreds. */
void mt_slice_map_set(struct mt_region_record *region, uint32_t first,
                      uint32_t n, uint32_t id)
{
    uint32_t *map = mt_slice_map(region) + first;
    if (n && (uintptr_t)map % 8) {
        mt_store_relaxed(map, id);
        map++;
        n--;
    }
    uint64_t *pairs = (uint64_t *)map, pair = (uint64_t)id << 32 | id;
    for (; n >= 8; n -= 8, pairs += 4) {
        mt_store_relaxed(&pairs[0], pair);
        mt_store_relaxed(&pairs[1], pair);
        mt_store_relaxed(&pairs[2], pair);
        mt_store_relaxed(&pairs[3], pair);
    }
    map = (uint32_t *)pairs;
    for (uint32_t i = 0; i < n; i++)
        mt_store_relaxed(&map[i], id);
}

/* --- regions --- */

/* Size of a slice map for `bytes`. */
static uint64_t map_bytes_for(uint64_t bytes)
{
    uint64_t map = (bytes >> MT_SLICE_SHIFT) * sizeof(uint32_t);
    return (map + 4095) & ~UINT64_C(4095);
}

/* One that is reused keeps its slice map, so that has to be large enough. */
static struct mt_region_record *new_region_record(uint64_t bytes)
{
    for (uint32_t i = 0; i < mt_region_count(); i++)
        if (!mt_region_at(i)->state &&
            mt_region_at(i)->map_reserved >= map_bytes_for(bytes))
            return mt_region_at(i);
    return mt_section_alloc(MT_SECTION_REGIONS,
                            sizeof(struct mt_region_record));
}

/* Regions change hands only here and in heap_destroy; rare, so one lock. */
static struct mt_lock region_lock;

void mt_pages_fork_prepare(void)
{
    mt_lock_acquire(&region_lock);
}

void mt_pages_fork_parent(void)
{
    mt_lock_release(&region_lock);
}

void mt_pages_fork_child(void)
{
    mt_lock_reset(&region_lock);
}

/* Makes the slice map readable for the first `bytes` of the region. */
static bool map_slices(struct mt_region_record *r, uint64_t bytes)
{
    uint64_t need = map_bytes_for(bytes);
    if (need > r->map_bytes) {
        if (!mt_trace_commit((char *)r->slice_map + r->map_bytes,
                             need - r->map_bytes))
            return false;
        r->map_bytes = need;
    }
    return true;
}

/* A slice map for a region of `bytes`, unless the record has it. */
static bool give_map(struct mt_region_record *r, uint64_t bytes)
{
    if (r->map_reserved >= map_bytes_for(bytes))
        return true;
    uint32_t *map = mt_section_map(map_bytes_for(bytes));
    if (map) {
        r->slice_map = (uintptr_t)map;
        r->map_bytes = 0;
        r->map_reserved = map_bytes_for(bytes);
    }
    return map != NULL;
}

bool mt_heap_add_region(struct memtrace_heap *heap, void *base, uint64_t bytes)
{
    bool given = base != NULL;
    struct mt_heap_record *hr = heap->record;
    if (!given) {
        bytes = (bytes + MT_SLICE_BYTES - 1) & ~(MT_SLICE_BYTES - 1);
        base = mt_memory_reserve(heap, &bytes);
        if (base == NULL)
            return false;
    }
    mt_lock_acquire(&region_lock);
    struct mt_region_record *r = new_region_record(bytes);
    if (r) /* a page that is read first costs two faults */
        mt_store_relaxed(&r->heap, heap->id);
    bool ok = r && give_map(r, bytes) && (!given || map_slices(r, bytes));
    if (ok) {
        r->base = (uintptr_t)base;
        r->size = bytes;
        r->committed = given ? bytes : 0;
        r->top = 0;
        if (hr->flags & MT_HEAP_MAIN && hr->n_regions == 0) {
            mt_hot.base = r->base; /* its size stays 0 until it is committed */
            mt_hot.map = mt_slice_map(r);
        }
        mt_store_release(&r->state, 1);
        if (hr->n_regions++ == 0)
            hr->base = r->base;
        hr->size += bytes;
        hr->committed += r->committed;
    }
    mt_lock_release(&region_lock);
    if (!ok && !given)
        mt_os_release(base, bytes);
    if (!ok)
        errno = ENOMEM;
    return ok;
}

/* A region for a heap that may grow: as large as the kernel will have it. */
bool mt_heap_grow(struct memtrace_heap *heap, uint64_t least)
{
    least += MT_SLICE_BYTES;
    while (heap->region_step < 24 &&
           MT_MAIN_RESERVE >> heap->region_step > mt_os_reserve_most())
        heap->region_step++;
    for (; heap->region_step < 24; heap->region_step++) {
        uint64_t bytes = MT_MAIN_RESERVE >> heap->region_step;
        if (bytes < least)
            break;
        if (mt_heap_add_region(heap, NULL, bytes))
            return true;
    }
    return mt_heap_add_region(heap, NULL, least);
}

/* Commits the region up to `want`. */
static bool commit_to(struct memtrace_heap *heap, struct mt_region_record *r,
                      uint64_t want)
{
    char *at = (char *)r->base + r->committed;
    uint64_t bytes = want - r->committed;
    if (!mt_memory_commit(heap, at, bytes))
        return false;
    if (!map_slices(r, want)) {
        mt_os_uncommit(at, bytes);
        return false;
    }
    heap->record->committed += bytes;
    mt_store_release(&r->committed, want);
    if (r->base == mt_hot.base)
        mt_store_release(&mt_hot.size, want);
    return true;
}

bool mt_region_commit(struct memtrace_heap *heap, struct mt_region_record *r,
                      uint64_t need)
{
    uint64_t step = r->committed / 8, size = r->size;
    uint64_t least = heap->memory.thp == MT_THP_ON ? MIB(2) : MIB(1);
    if (step < least)
        step = least;
    if (step > MIB(64))
        step = MIB(64);
    uint64_t page = mt_memory_page(heap);
    uint64_t unit = page > MT_SLICE_BYTES ? page : MT_SLICE_BYTES;
    need = (need + unit - 1) & ~(unit - 1);
    uint64_t want = page > step ? need : (need + step - 1) & ~(unit - 1);
    if (want > size)
        want = size;
    if (need > size)
        return false;
    bool ok = commit_to(heap, r, want) || commit_to(heap, r, need);
    /* The program has mapped something there: the region ends here. */
    if (!ok && errno == EEXIST)
        r->size = r->committed;
    return ok;
}

void mt_heap_map_ahead(struct memtrace_heap *heap, uint64_t bytes)
{
    mt_lock_acquire(&heap->lock);
    for (uint32_t i = mt_region_count(); i-- > 0;) {
        struct mt_region_record *r = mt_region_at(i);
        uint64_t want = ((uint64_t)r->top << MT_SLICE_SHIFT) + bytes;
        if (r->state && r->heap == heap->id &&
            (want <= r->committed || mt_region_commit(heap, r, want)))
            break;
    }
    mt_lock_release(&heap->lock);
}

bool mt_slices_have_room(const struct memtrace_heap *heap, uint32_t n)
{
    for (uint32_t i = 0; i < mt_region_count(); i++) {
        const struct mt_region_record *r = mt_region_at(i);
        if (r->state && r->heap == heap->id &&
            (r->size >> MT_SLICE_SHIFT) - r->top >= n)
            return true;
    }
    return false;
}

/* n slices above all that were handed out so far. */
mt_span *mt_slices_top(struct memtrace_heap *heap, uint32_t n)
{
    for (uint32_t i = 0; i < mt_region_count(); i++) {
        struct mt_region_record *r = mt_region_at(i);
        uint64_t end = ((uint64_t)r->top + n) << MT_SLICE_SHIFT;
        if (!r->state || r->heap != heap->id || end > r->size)
            continue;
        if (end > r->committed && !mt_region_commit(heap, r, end))
            continue;
        mt_span *run = mt_record_new(heap);
        if (run == NULL)
            return NULL;
        run->region = i;
        run->first_slice = r->top;
        run->n_slices = n;
        /* Only memory fresh from the kernel is known to be zero. */
        run->flags = heap->record->flags & MT_HEAP_GIVEN ? MT_SPAN_DIRTY : 0;
        r->top += n;
        return run;
    }
    return NULL;
}
