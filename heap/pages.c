/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Regions, and the spans cut from them.
 *
 * A free run is a span record too, found from its first and last slice in
 * the slice map, so that neighbours are joined without a search.  Runs that
 * may hold memory (dirty) and runs that hold none (clean) are not joined: a
 * clean run is known to read as zero.  Purging makes dirty runs clean.
 *
 * Everything here is under the heap's lock, but for the look-ups.
 */
#include "alloc.h"
#include "region.h"

#include <errno.h>
#include <string.h>

#define MIB(n) ((uint64_t)(n) << 20)
#define RECORD_BATCH 32

/* Dirty memory kept: see allowed_dirty(). */
#define KEEP_LEAST MIB(1)
#define KEEP_MOST MIB(16)
#define REGRET_NS UINT64_C(100000000)
#define RETAIN_NS UINT64_C(1000000000)

struct mt_hot mt_hot;

mt_span *mt_record_new(struct memtrace_heap *heap)
{
    if (heap->free_records == 0) {
        mt_span *batch =
            mt_section_alloc(MT_SECTION_SPANS, RECORD_BATCH * sizeof *batch);
        if (batch == NULL)
            return NULL;
        for (uint32_t i = RECORD_BATCH; i-- > 0;)
            mt_record_free(heap, &batch[i]);
    }
    mt_span *span = mt_span_at(heap->free_records);
    heap->free_records = span->next;
    span->next = 0;
    return span;
}

void mt_record_free(struct memtrace_heap *heap, mt_span *span)
{
    span->state = MT_SPAN_UNUSED;
    span->owner_key = span->owner = 0;
    span->next = heap->free_records;
    heap->free_records = mt_span_id(span);
}

static struct mt_region_record *region_at(uint32_t i)
{
    return (struct mt_region_record *)memtrace_root
               ->sections[MT_SECTION_REGIONS]
               .base +
           i;
}

static uint32_t region_count(void)
{
    return (uint32_t)(mt_load_acquire(
                          &memtrace_root->sections[MT_SECTION_REGIONS].used) /
                      sizeof(struct mt_region_record));
}

static uint32_t *map_of(const struct mt_region_record *region)
{
    return (uint32_t *)region->slice_map;
}

struct mt_region_record *mt_region_of(uintptr_t p)
{
    uint32_t n = region_count();
    for (uint32_t i = 0; i < n; i++) {
        struct mt_region_record *r = region_at(i);
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
    uint32_t id = map_of(r)[(p - r->base) >> MT_SLICE_SHIFT];
    return id ? mt_span_at(id) : NULL;
}

bool mt_is_free_slice(uintptr_t p)
{
    struct mt_region_record *r = mt_region_of(p);
    return r && (p - r->base) >> MT_SLICE_SHIFT < r->top && !mt_span_of(p);
}

static void set_map(struct mt_region_record *region, uint32_t first, uint32_t n,
                    uint32_t id)
{
    uint32_t *map = map_of(region) + first;
    for (uint32_t i = 0; i < n; i++)
        mt_store_relaxed(&map[i], id);
}

/* --- regions --- */

static struct mt_region_record *new_region_record(void)
{
    for (uint32_t i = 0; i < region_count(); i++)
        if (!region_at(i)->state)
            return region_at(i);
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

bool mt_heap_add_region(struct memtrace_heap *heap, void *base, uint64_t bytes)
{
    bool given = base != NULL;
    struct mt_heap_record *hr = heap->record;
    if (!given) {
        bytes = (bytes + MT_SLICE_BYTES - 1) & ~(MT_SLICE_BYTES - 1);
        base = mt_os_reserve(bytes, bytes >= MIB(64) ? MIB(2) : MT_SLICE_BYTES);
        if (base == NULL)
            return false;
    }
    mt_lock_acquire(&region_lock);
    struct mt_region_record *r = new_region_record();
    uint64_t map_bytes = (bytes >> MT_SLICE_SHIFT) * sizeof(uint32_t);
    /* A record that is reused keeps its map if that is large enough. */
    uint32_t *map = NULL;
    if (r && r->slice_map && r->size >= bytes)
        map = map_of(r);
    else if (r)
        map = mt_section_map(map_bytes);
    if (map) {
        r->base = (uintptr_t)base;
        r->size = bytes;
        r->committed = given ? bytes : 0;
        r->slice_map = (uintptr_t)map;
        r->heap = heap->id;
        r->top = 0;
        if (given)
            mt_os_dump(map, (map_bytes + 4095) & ~(size_t)4095);
        if (hr->flags & MT_HEAP_MAIN && hr->n_regions == 0) {
            mt_hot.base = r->base; /* its size stays 0 until it is committed */
            mt_hot.map = map;
        }
        mt_store_release(&r->state, 1);
        if (hr->n_regions++ == 0)
            hr->base = r->base;
        hr->size += bytes;
        hr->committed += r->committed;
    }
    mt_lock_release(&region_lock);
    if (map == NULL && !given)
        mt_os_release(base, bytes);
    return map != NULL;
}

/* A region for a heap that may grow: as large as the kernel will have it. */
static bool add_growth(struct memtrace_heap *heap, uint64_t least)
{
    least += MT_SLICE_BYTES;
    for (; heap->region_step < 24; heap->region_step++) {
        uint64_t bytes = MT_MAIN_RESERVE >> heap->region_step;
        if (bytes < least)
            break;
        if (mt_heap_add_region(heap, NULL, bytes))
            return true;
    }
    return mt_heap_add_region(heap, NULL, least);
}

static bool commit(struct memtrace_heap *heap, struct mt_region_record *r,
                   uint64_t need)
{
    uint64_t step = r->committed / 8, size = r->size;
    if (step < MIB(1))
        step = MIB(1);
    if (step > MIB(64))
        step = MIB(64);
    uint64_t want = (need + step - 1) & ~(MT_SLICE_BYTES - 1);
    if (want > size)
        want = size;
    char *at = (char *)r->base + r->committed;
    if (!mt_os_commit(at, want - r->committed)) {
        want = need;
        if (!mt_os_commit(at, want - r->committed))
            return false;
    }
    /* The map's pages that tell of the new slices belong in cores. */
    uint64_t old_map = (r->committed >> MT_SLICE_SHIFT) * 4 & ~UINT64_C(4095);
    uint64_t new_map = ((want >> MT_SLICE_SHIFT) * 4 + 4095) & ~UINT64_C(4095);
    mt_os_dump((char *)r->slice_map + old_map, new_map - old_map);
    heap->record->committed += want - r->committed;
    mt_store_release(&r->committed, want);
    if (r->base == mt_hot.base)
        mt_store_release(&mt_hot.size, want);
    return true;
}

/* n slices above all that were handed out so far. */
static mt_span *take_top(struct memtrace_heap *heap, uint32_t n)
{
    for (uint32_t i = 0; i < region_count(); i++) {
        struct mt_region_record *r = region_at(i);
        uint64_t end = ((uint64_t)r->top + n) << MT_SLICE_SHIFT;
        if (!r->state || r->heap != heap->id || end > r->size)
            continue;
        if (end > r->committed && !commit(heap, r, end))
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

/* --- free runs --- */

static mt_span *free_neighbour(struct mt_region_record *r, uint32_t slice,
                               uint32_t flags)
{
    uint32_t id = slice < r->top ? map_of(r)[slice] : 0;
    mt_span *run = id ? mt_span_at(id) : NULL;
    return run && run->state == MT_SPAN_FREE && run->flags == flags ? run
                                                                    : NULL;
}

/* Makes `run` (slices set) a free run, joined with its neighbours. */
static void put_run(struct memtrace_heap *heap, mt_span *run)
{
    struct mt_region_record *r = region_at(run->region);
    run->state = MT_SPAN_FREE;
    run->flags &= MT_SPAN_DIRTY;
    run->heap = (uint16_t)heap->id;
    mt_span *before = run->first_slice
                          ? free_neighbour(r, run->first_slice - 1, run->flags)
                          : NULL;
    mt_span *after =
        free_neighbour(r, run->first_slice + run->n_slices, run->flags);
    set_map(r, run->first_slice, run->n_slices, 0);
    if (before) {
        mt_run_remove(heap, before);
        map_of(r)[run->first_slice - 1] = 0;
        run->first_slice = before->first_slice;
        run->n_slices += before->n_slices;
        mt_record_free(heap, before);
    }
    if (after) {
        mt_run_remove(heap, after);
        map_of(r)[after->first_slice] = 0;
        run->n_slices += after->n_slices;
        mt_record_free(heap, after);
    }
    run->base = r->base + ((uint64_t)run->first_slice << MT_SLICE_SHIFT);
    run->block_bytes = run->n_slices * MT_SLICE_BYTES;
    run->n_blocks = 0;
    map_of(r)[run->first_slice] = mt_span_id(run);
    map_of(r)[run->first_slice + run->n_slices - 1] = mt_span_id(run);
    mt_run_insert(heap, run);
}

/* A run that is in no list any more; its neighbours must not join it. */
static mt_span *claim(mt_span *run)
{
    uint32_t *map = map_of(region_at(run->region));
    run->state = MT_SPAN_UNUSED;
    map[run->first_slice] = 0;
    map[run->first_slice + run->n_slices - 1] = 0;
    return run;
}

static mt_span *take_run(struct memtrace_heap *heap, uint32_t n)
{
    mt_span *run = mt_run_take(heap, n);
    return run ? claim(run) : NULL;
}

/* Splits the slices behind the first n off `run` into a free run. */
static bool split(struct memtrace_heap *heap, mt_span *run, uint32_t n)
{
    if (run->n_slices == n)
        return true;
    mt_span *rest = mt_record_new(heap);
    if (rest == NULL)
        return false;
    rest->region = run->region;
    rest->first_slice = run->first_slice + n;
    rest->n_slices = run->n_slices - n;
    rest->flags = run->flags & MT_SPAN_DIRTY;
    run->n_slices = n;
    put_run(heap, rest);
    return true;
}

static void purge_run(struct memtrace_heap *heap, mt_span *run)
{
    mt_run_remove(heap, run);
    if (mt_os_decommit((void *)run->base, run->block_bytes))
        run->flags &= ~MT_SPAN_DIRTY;
    put_run(heap, run);
}

/* Heap lock held. */
static uint64_t purge(struct memtrace_heap *heap, uint64_t keep)
{
    uint64_t before = heap->record->dirty_bytes;
    if (heap->record->flags & MT_HEAP_GIVEN)
        return 0;
    while (heap->record->dirty_bytes > keep) {
        uint64_t dirty = heap->record->dirty_bytes;
        purge_run(heap, mt_run_largest_dirty(heap));
        if (heap->record->dirty_bytes >= dirty)
            break; /* the kernel refuses */
    }
    return before - heap->record->dirty_bytes;
}

uint64_t mt_heap_purge(struct memtrace_heap *heap, uint64_t keep)
{
    mt_lock_acquire(&heap->lock);
    uint64_t given = purge(heap, keep);
    mt_lock_release(&heap->lock);
    return given;
}

/* How much dirty memory a heap may keep for the next allocations: a share of
 * what is in use, so that a heap that empties keeps next to nothing, and at
 * least what it lately had to ask back for. */
static uint64_t allowed_dirty(struct memtrace_heap *heap)
{
    uint64_t used = heap->record->span_bytes;
    uint64_t allowed = used / 4;
    if (allowed < KEEP_MOST)
        allowed = used / 2 < KEEP_MOST ? used / 2 : KEEP_MOST;
    if (heap->retain && mt_os_monotonic_ns() - heap->regret_ns > RETAIN_NS) {
        heap->retain /= 2;
        heap->regret_ns += RETAIN_NS;
    }
    if (allowed < heap->retain)
        allowed = heap->retain;
    return allowed < KEEP_LEAST ? KEEP_LEAST : allowed;
}

/* Memory is wanted that has to come from the kernel: was it given back just
 * now?  Then this heap swings, and keeps that much more for a while. */
static void regret(struct memtrace_heap *heap, uint64_t bytes)
{
    uint64_t now = mt_os_monotonic_ns();
    if (now - heap->purged_ns > REGRET_NS)
        return;
    heap->regret_ns = now;
    heap->retain += bytes;
    if (heap->retain > heap->record->span_bytes_peak)
        heap->retain = heap->record->span_bytes_peak;
}

/* --- spans --- */

static bool over_limit(const struct memtrace_heap *heap, uint64_t more)
{
    const struct mt_heap_record *hr = heap->record;
    return hr->limit && hr->span_bytes + more > hr->limit;
}

static void count_span(struct memtrace_heap *heap, uint64_t bytes)
{
    struct mt_heap_record *hr = heap->record;
    hr->span_bytes += bytes;
    if (hr->span_bytes > hr->span_bytes_peak)
        hr->span_bytes_peak = hr->span_bytes;
}

/* Exactly n slices, in no list and no map. */
static mt_span *take(struct memtrace_heap *heap, uint32_t n)
{
    if (over_limit(heap, n * MT_SLICE_BYTES))
        return NULL;
    mt_span *run = take_run(heap, n);
    if (run == NULL)
        run = take_top(heap, n);
    if (run && heap->purged_ns && !(run->flags & MT_SPAN_DIRTY))
        regret(heap, n * MT_SLICE_BYTES);
    if (run == NULL && heap->record->dirty_bytes && purge(heap, 0))
        run = take_run(heap, n); /* joined runs may fit now */
    if (run == NULL && !(heap->record->flags & MT_HEAP_FIXED) &&
        add_growth(heap, n * MT_SLICE_BYTES))
        run = take_top(heap, n);
    if (run && !split(heap, run, n)) {
        put_run(heap, run);
        run = NULL;
    }
    return run;
}

static void enter(struct memtrace_heap *heap, mt_span *span, uint8_t state)
{
    struct mt_region_record *r = region_at(span->region);
    span->heap = (uint16_t)heap->id;
    span->flags = 0;
    /* Whoever sees the state sees the rest of the record. */
    mt_store_release(&span->state, state);
    set_map(r, span->first_slice, span->n_slices, mt_span_id(span));
    count_span(heap, span->n_slices * MT_SLICE_BYTES);
}

mt_span *mt_span_new(struct memtrace_heap *heap, uint32_t c, uint32_t owner)
{
    mt_lock_acquire(&heap->lock);
    mt_span *span = take(heap, mt_class_slices(c));
    if (span) {
        uint32_t size = mt_class_size(c);
        struct mt_region_record *r = region_at(span->region);
        span->base = r->base + ((uint64_t)span->first_slice << MT_SLICE_SHIFT);
        span->block_bytes = size;
        span->recip = mt_reciprocal(size);
        span->n_blocks = (uint32_t)(span->n_slices * MT_SLICE_BYTES / size);
        span->size_class = (uint8_t)c;
        span->tags = 0;
        span->requested = 0;
        span->owner = owner;
        span->owner_key = 0;
        if (mt_side_bitmaps(span)) {
            uint32_t words = mt_bitmap_words(span->n_blocks);
            for (uint32_t w = 0; w < words; w++)
                mt_local(span)[w] = mt_word_mask(span, w);
            if (heap->record->trace == MT_TRACE_ON)
                mt_side_tags(span);
            enter(heap, span, MT_SPAN_SMALL);
        } else {
            put_run(heap, span);
            span = NULL;
        }
    }
    mt_lock_release(&heap->lock);
    return span;
}

/* Cuts what lies before the first aligned address off the run. */
static mt_span *align_run(struct memtrace_heap *heap, mt_span *run,
                          size_t align)
{
    struct mt_region_record *r = region_at(run->region);
    uintptr_t base = r->base + ((uint64_t)run->first_slice << MT_SLICE_SHIFT);
    uintptr_t aligned = (base + align - 1) & ~(uintptr_t)(align - 1);
    uint32_t skip = (uint32_t)((aligned - base) >> MT_SLICE_SHIFT);
    if (skip == 0)
        return run;
    mt_span *rest = mt_record_new(heap);
    if (rest) {
        rest->region = run->region;
        rest->first_slice = run->first_slice + skip;
        rest->n_slices = run->n_slices - skip;
        rest->flags = run->flags & MT_SPAN_DIRTY;
        run->n_slices = skip;
    }
    put_run(heap, run);
    return rest;
}

static uint64_t slices_for(size_t bytes)
{
    if (bytes == 0)
        return 1;
    return ((uint64_t)bytes + MT_SLICE_BYTES - 1) >> MT_SLICE_SHIFT;
}

mt_span *mt_span_new_large(struct memtrace_heap *heap, size_t bytes,
                           size_t align, bool *zeroed)
{
    uint64_t n = slices_for(bytes), extra = 0;
    if (align > MT_SLICE_BYTES)
        extra = (align >> MT_SLICE_SHIFT) - 1;
    if (bytes > PTRDIFF_MAX || n + extra > UINT32_MAX / 2)
        return NULL;
    mt_lock_acquire(&heap->lock);
    mt_span *span = NULL;
    if (!over_limit(heap, n * MT_SLICE_BYTES))
        span = take(heap, (uint32_t)(n + extra));
    if (span && extra) {
        span = align_run(heap, span, align);
        if (span && !split(heap, span, (uint32_t)n)) {
            put_run(heap, span);
            span = NULL;
        }
    }
    if (span) {
        struct mt_region_record *r = region_at(span->region);
        *zeroed = !(span->flags & MT_SPAN_DIRTY);
        span->base = r->base + ((uint64_t)span->first_slice << MT_SLICE_SHIFT);
        span->block_bytes = (bytes + 4095) & ~(uint64_t)4095;
        span->recip = 0;
        span->n_blocks = 1;
        span->size_class = 0;
        span->tags = 0;
        span->requested = bytes;
        span->owner = span->owner_key = 0;
        mt_side_bitmaps(span);
        span->inline_local = 1; /* free, until its tag is written */
        enter(heap, span, MT_SPAN_LARGE);
    }
    mt_lock_release(&heap->lock);
    return span;
}

void mt_span_release(struct memtrace_heap *heap, mt_span *span)
{
    mt_lock_acquire(&heap->lock);
    struct mt_heap_record *hr = heap->record;
    hr->span_bytes -= span->n_slices * MT_SLICE_BYTES;
    span->owner_key = span->owner = 0;
    mt_store_release(&span->state, MT_SPAN_FREE);
    mt_side_free(span);
    span->flags = MT_SPAN_DIRTY;
    put_run(heap, span);
    uint64_t allowed = allowed_dirty(heap);
    if (hr->dirty_bytes > allowed) {
        purge(heap, allowed - allowed / 4);
        heap->purged_ns = mt_os_monotonic_ns();
    }
    mt_lock_release(&heap->lock);
}

static bool extend(struct memtrace_heap *heap, mt_span *span, uint32_t more)
{
    struct mt_region_record *r = region_at(span->region);
    uint32_t end = span->first_slice + span->n_slices;
    if (over_limit(heap, more * MT_SLICE_BYTES))
        return false;
    if (end == r->top) {
        uint64_t need = ((uint64_t)end + more) << MT_SLICE_SHIFT;
        if (need > r->size || (need > r->committed && !commit(heap, r, need)))
            return false;
        r->top += more;
    } else {
        uint32_t id = map_of(r)[end];
        mt_span *next = id ? mt_span_at(id) : NULL;
        if (!next || next->state != MT_SPAN_FREE || next->n_slices < more)
            return false;
        mt_run_remove(heap, next);
        claim(next);
        if (!split(heap, next, more)) {
            put_run(heap, next);
            return false;
        }
        mt_record_free(heap, next);
    }
    span->n_slices += more;
    set_map(r, end, more, mt_span_id(span));
    count_span(heap, more * MT_SLICE_BYTES);
    return true;
}

bool mt_span_resize(struct memtrace_heap *heap, mt_span *span, size_t bytes)
{
    uint64_t n = slices_for(bytes);
    if (bytes > PTRDIFF_MAX || n > UINT32_MAX / 2)
        return false;
    bool ok = true;
    mt_lock_acquire(&heap->lock);
    if (n > span->n_slices) {
        ok = extend(heap, span, (uint32_t)n - span->n_slices);
    } else if (n < span->n_slices) {
        uint64_t cut = (span->n_slices - n) * MT_SLICE_BYTES;
        span->flags = MT_SPAN_DIRTY; /* of the part that is cut off */
        if (split(heap, span, (uint32_t)n))
            heap->record->span_bytes -= cut;
        span->flags = 0;
    }
    if (ok)
        span->block_bytes = (bytes + 4095) & ~(uint64_t)4095;
    mt_lock_release(&heap->lock);
    return ok;
}
