/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Regions, and the spans cut from them.
 *
 * A free run is a span record too, found from its first and last slice in
 * the slice map, so that neighbours are joined without a search.  Runs that
 * may hold memory (dirty), runs that hold none (clean), and runs where nothing
 * is mapped (holes) are not joined: a clean run is known to read as zero.
 * Purging makes dirty runs clean, and large ones holes: what is mapped counts
 * for limits of the process and, with strict overcommit, of the machine.
 *
 * Everything here is under the heap's lock, but for the look-ups.
 */
#include "heap/alloc.h"
#include "heap/debug.h"
#include "heap/exit/save_at.h"
#include "heap/page_kinds.h"
#include "heap/pages.h"
#include "heap/time_index.h"

#include <errno.h>
#include <string.h>

#define MIB(n) ((uint64_t)(n) << 20)

/* Holes: not smaller, and not more, as the kernel limits the mappings. A heap
 * of fixed size has none: to join what is free counts there. */
#define HOLE_LEAST MIB(1)
#define HOLES_MOST 4096

/* Dirty memory kept: see allowed_dirty(). */
#define KEEP_LEAST MIB(1)
#define KEEP_MOST MIB(16)
#define LEARN_MOST MIB(64) /* or what is in use */
#define REGRET_NS UINT64_C(100000000)
#define RETAIN_NS UINT64_C(1000000000)

/* The record, its region and the map of slices agree on where the span is. */
static inline MT_CHECK_ONLY bool
span_is_in_place(const struct memtrace_heap *heap, const mt_span *span)
{
    const struct mt_region_record *r = mt_region_at(span->region);
    const uint32_t *map = mt_slice_map(r);
    uint32_t id = mt_span_id(span);
    return span->heap == heap->id && r->heap == heap->id &&
           span->n_slices > 0 && span->first_slice < r->top &&
           span->n_slices <= r->top - span->first_slice &&
           map[span->first_slice] == id &&
           map[span->first_slice + span->n_slices - 1] == id;
}

/* --- free runs --- */

static mt_span *free_neighbour(struct mt_region_record *r, uint32_t slice,
                               uint32_t flags)
{
    uint32_t id = slice < r->top ? mt_slice_map(r)[slice] : 0;
    mt_span *run = id ? mt_span_at(id) : NULL;
    return run && mt_load_relaxed(&run->state) == MT_SPAN_FREE &&
                   run->flags == flags
               ? run
               : NULL;
}

/* Makes `run` (slices set) a free run, joined with its neighbours. */
static void put_run(struct memtrace_heap *heap, mt_span *run)
{
    struct mt_region_record *r = mt_region_at(run->region);
    MT_ASSERT(run->n_slices > 0 && run->first_slice < r->top &&
              run->n_slices <= r->top - run->first_slice);
    mt_store_relaxed(&run->state, MT_SPAN_FREE);
    run->flags &= MT_SPAN_DIRTY | MT_SPAN_HOLE;
    run->heap = (uint16_t)heap->id;
    mt_span *before = run->first_slice
                          ? free_neighbour(r, run->first_slice - 1, run->flags)
                          : NULL;
    mt_span *after =
        free_neighbour(r, run->first_slice + run->n_slices, run->flags);
    mt_slice_map_set(r, run->first_slice, run->n_slices, 0);
    if (before) {
        mt_run_remove(heap, before);
        mt_slice_map(r)[run->first_slice - 1] = 0;
        run->first_slice = before->first_slice;
        run->n_slices += before->n_slices;
        mt_record_free(heap, before);
    }
    if (after) {
        mt_run_remove(heap, after);
        mt_slice_map(r)[after->first_slice] = 0;
        run->n_slices += after->n_slices;
        mt_record_free(heap, after);
    }
    run->base = r->base + ((uint64_t)run->first_slice << MT_SLICE_SHIFT);
    run->block_bytes = run->n_slices * MT_SLICE_BYTES;
    run->n_blocks = 0;
    mt_slice_map(r)[run->first_slice] = mt_span_id(run);
    mt_slice_map(r)[run->first_slice + run->n_slices - 1] = mt_span_id(run);
    mt_run_insert(heap, run);
}

/* A run that is in no list any more; its neighbours must not join it. */
static mt_span *pages_claim(mt_span *run)
{
    uint32_t *map = mt_slice_map(mt_region_at(run->region));
    MT_ASSERT(run->state == MT_SPAN_FREE && run->next == 0 && run->prev == 0);
    MT_ASSERT(map[run->first_slice] == mt_span_id(run));
    mt_store_relaxed(&run->state, MT_SPAN_UNUSED);
    map[run->first_slice] = 0;
    map[run->first_slice + run->n_slices - 1] = 0;
    return run;
}

static mt_span *pages_take_run(struct memtrace_heap *heap, uint32_t n)
{
    mt_span *run = mt_run_take(heap, n);
    return run ? pages_claim(run) : NULL;
}

/* Splits the slices after the first n off `run` into a free run. */
static bool pages_split(struct memtrace_heap *heap, mt_span *run, uint32_t n)
{
    if (run->n_slices == n)
        return true;
    mt_span *rest = mt_record_new(heap);
    if (rest == NULL)
        return false;
    rest->region = run->region;
    rest->first_slice = run->first_slice + n;
    rest->n_slices = run->n_slices - n;
    rest->flags = run->flags & (MT_SPAN_DIRTY | MT_SPAN_HOLE);
    run->n_slices = n;
    put_run(heap, rest);
    return true;
}

bool mt_may_be_hole(const struct memtrace_heap *heap, uint64_t bytes)
{
    return !(heap->record->flags & (MT_HEAP_FIXED | MT_HEAP_GIVEN)) &&
           bytes >= HOLE_LEAST && bytes >= heap->record->committed / HOLES_MOST;
}

/* Makes a run that is in no list a hole, if it is large enough. */
static bool pages_unmap(struct memtrace_heap *heap, mt_span *run)
{
    if (!mt_may_be_hole(heap, run->block_bytes) ||
        !mt_os_uncommit((void *)run->base, run->block_bytes))
        return false;
    heap->record->committed -= run->block_bytes;
    run->flags = MT_SPAN_HOLE;
    return true;
}

static void purge_run(struct memtrace_heap *heap, mt_span *run)
{
    mt_run_remove(heap, run);
    if (!pages_unmap(heap, run) &&
        mt_os_decommit((void *)run->base, run->block_bytes))
        run->flags &= ~MT_SPAN_DIRTY;
    put_run(heap, run);
    if (mt_runs_kind(run) == MT_RUNS_CLEAN) { /* with its neighbours */
        mt_run_remove(heap, run);
        pages_unmap(heap, run);
        put_run(heap, run);
    }
}

/* Heap lock held. */
static uint64_t pages_purge(struct memtrace_heap *heap, uint64_t keep)
{
    uint64_t before = heap->record->dirty_bytes;
    if (heap->record->flags & MT_HEAP_GIVEN || mt_memory_page(heap) > 4096)
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
    uint64_t given = pages_purge(heap, keep);
    if (keep == 0)
        mt_records_trim(heap, true);
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
    if (heap->purge_delay_bytes &&
        mt_os_monotonic_ns() - heap->purge_backoff_ns > RETAIN_NS) {
        heap->purge_delay_bytes /= 2;
        heap->purge_backoff_ns += RETAIN_NS;
    }
    uint64_t learned = heap->purge_delay_bytes;
    uint64_t most = used > LEARN_MOST ? used : LEARN_MOST;
    if (learned > most)
        learned = most;
    if (allowed < learned)
        allowed = learned;
    return allowed < KEEP_LEAST ? KEEP_LEAST : allowed;
}

/* Memory is wanted that has to come from the kernel: was it given back just
 * now?  Then this heap swings, and keeps that much more for a while. */
static void delay_purge(struct memtrace_heap *heap, uint64_t bytes)
{
    uint64_t now = mt_os_monotonic_ns();
    if (now - heap->purged_ns > REGRET_NS)
        return;
    heap->purge_backoff_ns = now;
    heap->purge_delay_bytes += bytes;
    if (heap->purge_delay_bytes > heap->record->span_bytes_peak)
        heap->purge_delay_bytes = heap->record->span_bytes_peak;
}

/* --- spans --- */

static bool over_limit(const struct memtrace_heap *heap, uint64_t more)
{
    const struct mt_heap_record *hr = heap->record;
    return hr->limit && hr->span_bytes + more > hr->limit;
}

uint64_t mt_spans_total, mt_spans_alarm;

static void pages_alarm(void)
{
    mt_store_relaxed(&mt_spans_alarm, UINT64_MAX);
    mt_epoch_hasten();
}

/* The class that a span is counted under, entered as small or large. */
static uint32_t pages_class_of(const mt_span *span)
{
    return span->recip ? span->size_class : MT_N_CLASSES;
}

static void count_span(struct memtrace_heap *heap, const mt_span *span,
                       uint64_t bytes)
{
    struct mt_heap_record *hr = heap->record;
    uint32_t c = pages_class_of(span);
    hr->span_bytes += bytes;
    if (hr->span_bytes > hr->span_bytes_peak)
        hr->span_bytes_peak = hr->span_bytes;
    if (MT_UNLIKELY(
            __atomic_add_fetch(&mt_spans_total, bytes, __ATOMIC_RELAXED) >
            mt_load_relaxed(&mt_spans_alarm)))
        pages_alarm();
    heap->class_bytes[c] += bytes;
    if (heap->class_bytes[c] > heap->class_peak[c])
        heap->class_peak[c] = heap->class_bytes[c];
}

static void uncount_span(struct memtrace_heap *heap, const mt_span *span,
                         uint64_t bytes)
{
    MT_ASSERT(heap->record->span_bytes >= bytes);
    MT_ASSERT(heap->class_bytes[pages_class_of(span)] >= bytes);
    heap->record->span_bytes -= bytes;
    __atomic_fetch_sub(&mt_spans_total, bytes, __ATOMIC_RELAXED);
    heap->class_bytes[pages_class_of(span)] -= bytes;
}

/* Free runs at the end of a region's used part join its unused part, so that
 * both can serve one request. This is the last resort: a second free of a block
 * in there is then reported as foreign. */
static bool lower_tops(struct memtrace_heap *heap)
{
    bool any = false;
    for (uint32_t i = 0; i < mt_region_count(); i++) {
        struct mt_region_record *r = mt_region_at(i);
        if (!r->state || r->heap != heap->id)
            continue;
        mt_span *run = r->top ? free_neighbour(r, r->top - 1, 0) : NULL;
        if (run == NULL && r->top && heap->record->flags & MT_HEAP_GIVEN)
            run = free_neighbour(r, r->top - 1, MT_SPAN_DIRTY);
        if (run == NULL)
            continue;
        mt_run_remove(heap, run);
        r->top = pages_claim(run)->first_slice;
        mt_record_free(heap, run);
        any = true;
    }
    return any;
}

/* Maps a hole that is in no list: n slices, or small blocks' in some number. */
static bool fill_hole(struct memtrace_heap *heap, mt_span *run, uint32_t n)
{
    uint32_t least = HOLE_LEAST >> MT_SLICE_SHIFT;
    uint32_t more = (least + n - 1) / n * n;
    if (!pages_split(heap, run, run->n_slices > more ? more : n))
        return false;
    uint64_t bytes = run->n_slices * MT_SLICE_BYTES;
    uint64_t base = mt_region_at(run->region)->base +
                    ((uint64_t)run->first_slice << MT_SLICE_SHIFT);
    if (!mt_memory_commit(heap, (void *)base, bytes))
        return false;
    heap->record->committed += bytes;
    run->flags &= ~MT_SPAN_HOLE;
    return true;
}

/* A free run of n slices or more, in no list. */
static mt_span *take_mapped(struct memtrace_heap *heap, uint32_t n)
{
    mt_span *run = pages_take_run(heap, n);
    if (run && run->flags & MT_SPAN_HOLE && !fill_hole(heap, run, n)) {
        put_run(heap, run);
        run = NULL;
    }
    return run;
}

/* Exactly n slices, in no list and no map. */
static mt_span *pages_take(struct memtrace_heap *heap, uint32_t n)
{
    mt_save_at_take(n * MT_SLICE_BYTES);
    if (over_limit(heap, n * MT_SLICE_BYTES))
        return NULL;
    mt_span *run = take_mapped(heap, n);
    if (run == NULL)
        run = mt_slices_top(heap, n);
    if (run && heap->purged_ns && !(run->flags & MT_SPAN_DIRTY))
        delay_purge(heap, n * MT_SLICE_BYTES);
    if (run == NULL && heap->record->dirty_bytes && pages_purge(heap, 0)) {
        run = take_mapped(heap, n); /* joined runs may fit now */
        if (run == NULL)
            run = mt_slices_top(heap, n); /* or what was unmapped may be had */
    }
    if (run == NULL && !(heap->record->flags & MT_HEAP_FIXED) &&
        !mt_slices_have_room(heap, n) && mt_heap_grow(heap, n * MT_SLICE_BYTES))
        run = mt_slices_top(heap, n);
    if (run == NULL && lower_tops(heap))
        run = mt_slices_top(heap, n);
    if (run && !pages_split(heap, run, n)) {
        put_run(heap, run);
        run = NULL;
    }
    return run;
}

static void pages_enter(struct memtrace_heap *heap, mt_span *span,
                        uint8_t state, uint32_t flags)
{
    struct mt_region_record *r = mt_region_at(span->region);
    MT_ASSERT(span->state == MT_SPAN_UNUSED && span->local);
    MT_ASSERT(span->first_slice + span->n_slices <= r->top);
    span->heap = (uint16_t)heap->id;
    span->flags = flags;
    /* A thread that sees the state sees the rest of the record. */
    mt_store_release(&span->state, state);
    mt_slice_map_set(r, span->first_slice, span->n_slices, mt_span_id(span));
    count_span(heap, span, span->n_slices * MT_SLICE_BYTES);
}

mt_span *mt_span_new(struct memtrace_heap *heap, uint32_t c, uint32_t owner,
                     bool least)
{
    mt_lock_acquire(&heap->lock);
    mt_span *span =
        pages_take(heap, least ? mt_class_first_slices(c) : mt_class_slices(c));
    if (span) {
        uint32_t size = mt_class_size(c);
        struct mt_region_record *r = mt_region_at(span->region);
        span->base = r->base + ((uint64_t)span->first_slice << MT_SLICE_SHIFT);
        span->block_bytes = size;
        span->recip = mt_reciprocal(size);
        span->n_blocks = (uint32_t)(span->n_slices * MT_SLICE_BYTES / size);
        span->size_class = (uint8_t)c;
        span->tags = 0;
        span->requested = 0;
        mt_store_relaxed(&span->owner, owner);
        mt_store_relaxed(&span->owner_key, 0);
        if (mt_side_bitmaps(span)) {
            uint32_t words = mt_bitmap_words(span->n_blocks);
            for (uint32_t w = 0; w < words; w++)
                mt_local(span)[w] = mt_word_mask(span, w);
            if (mt_load_relaxed(&heap->record->trace) == MT_TRACE_ON)
                mt_side_tags(span);
            pages_enter(heap, span, MT_SPAN_SMALL,
                        heap->quarantine.most ? MT_SPAN_DELAYED : 0);
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
    struct mt_region_record *r = mt_region_at(run->region);
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
        rest->flags = run->flags & (MT_SPAN_DIRTY | MT_SPAN_HOLE);
        run->n_slices = skip;
    }
    put_run(heap, run);
    return rest;
}

static uint64_t slices_for(size_t bytes)
{
    return ((uint64_t)bytes + MT_SPARE_BYTES + MT_SLICE_BYTES - 1) >>
           MT_SLICE_SHIFT;
}

/* --- guards --- */

/* With a page that cannot be accessed. */
static uint64_t guarded_bytes(size_t bytes)
{
    return (((uint64_t)bytes + 4095) & ~UINT64_C(4095)) + 4096;
}

/* Moves the block to where its aligned end is that of a page, and makes what
 * follows inaccessible. False, with the block as it was, when the kernel has
 * no more mappings for us. */
static bool guard_span(mt_span *span, size_t bytes, size_t align)
{
    uint64_t whole = span->n_slices * MT_SLICE_BYTES;
    uint64_t step = align < 4096 ? align : 4096;
    uint64_t body = ((uint64_t)bytes + step - 1) & ~(step - 1);
    uint64_t guard = guarded_bytes(bytes) - 4096;
    if (!mt_os_protect((char *)span->base + guard, whole - guard))
        return false;
    span->base += guard - body;
    span->block_bytes = body;
    return true;
}

/* Makes all of the span's memory accessible again. */
static bool open_span(mt_span *span)
{
    struct mt_region_record *r = mt_region_at(span->region);
    uint64_t end = r->base + (((uint64_t)span->first_slice + span->n_slices)
                              << MT_SLICE_SHIFT);
    uint64_t from = span->flags & MT_SPAN_SHUT ? span->base & ~UINT64_C(4095)
                                               : span->base + span->block_bytes;
    return mt_os_unprotect((void *)from, end - from);
}

mt_span *mt_span_new_large(struct memtrace_heap *heap, size_t bytes,
                           size_t align, bool *zeroed)
{
    bool guard = heap->modes & MT_MODE_GUARD;
    if (bytes > PTRDIFF_MAX)
        return NULL;
    uint64_t n = slices_for(guard ? guarded_bytes(bytes) : bytes), extra = 0;
    if (align > MT_SLICE_BYTES)
        extra = (align >> MT_SLICE_SHIFT) - 1;
    if (n + extra > UINT32_MAX / 2)
        return NULL;
    mt_lock_acquire(&heap->lock);
    mt_span *span = NULL;
    if (!over_limit(heap, n * MT_SLICE_BYTES))
        span = pages_take(heap, (uint32_t)(n + extra));
    if (span && extra) {
        span = align_run(heap, span, align);
        if (span && !pages_split(heap, span, (uint32_t)n)) {
            put_run(heap, span);
            span = NULL;
        }
    }
    if (span) {
        struct mt_region_record *r = mt_region_at(span->region);
        *zeroed = !(span->flags & MT_SPAN_DIRTY);
        span->base = r->base + ((uint64_t)span->first_slice << MT_SLICE_SHIFT);
        span->block_bytes = (bytes + 4095) & ~(uint64_t)4095;
        span->recip = 0;
        span->n_blocks = 1;
        span->size_class = 0;
        span->tags = 0;
        span->requested = bytes;
        mt_store_relaxed(&span->owner, 0);
        mt_store_relaxed(&span->owner_key, 0);
        mt_side_bitmaps(span);
        span->inline_local = 1; /* free, until its tag is written */
        bool guarded = guard && guard_span(span, bytes, align);
        pages_enter(heap, span, MT_SPAN_LARGE, guarded ? MT_SPAN_GUARDED : 0);
    }
    mt_lock_release(&heap->lock);
    return span;
}

void mt_span_release_as(struct memtrace_heap *heap, mt_span *span,
                        uint32_t flags)
{
    if (span->flags & (MT_SPAN_GUARDED | MT_SPAN_SHUT) && !open_span(span)) {
        span->flags |= MT_SPAN_DELAYED; /* lost, but for its owner's limit */
        return;
    }
    mt_lock_acquire(&heap->lock);
    struct mt_heap_record *hr = heap->record;
    MT_ASSERT(span->state == MT_SPAN_SMALL || span->state == MT_SPAN_LARGE);
    MT_ASSERT(span_is_in_place(heap, span));
    uncount_span(heap, span, span->n_slices * MT_SLICE_BYTES);
    mt_store_relaxed(&span->owner_key, 0);
    mt_store_relaxed(&span->owner, 0);
    mt_store_release(&span->state, MT_SPAN_FREE);
    if (span->tags && span->n_blocks == 1)
        mt_remember_free(span->base, mt_tags(span)[0]);
    mt_side_free(span);
    span->flags = flags;
    if (flags & MT_SPAN_HOLE)
        hr->committed -= span->n_slices * MT_SLICE_BYTES;
    put_run(heap, span);
    uint64_t allowed = allowed_dirty(heap);
    if (hr->dirty_bytes > allowed) {
        pages_purge(heap, allowed - allowed / 4);
        heap->purged_ns = mt_os_is_limited() ? 0 : mt_os_monotonic_ns();
        mt_records_trim(heap, false);
        mt_side_trim(false);
    }
    mt_lock_release(&heap->lock);
}

static bool pages_extend(struct memtrace_heap *heap, mt_span *span,
                         uint32_t more)
{
    struct mt_region_record *r = mt_region_at(span->region);
    uint32_t end = span->first_slice + span->n_slices;
    mt_save_at_take(more * MT_SLICE_BYTES);
    if (over_limit(heap, more * MT_SLICE_BYTES))
        return false;
    if (end == r->top) {
        uint64_t need = ((uint64_t)end + more) << MT_SLICE_SHIFT;
        if (need > r->size ||
            (need > r->committed && !mt_region_commit(heap, r, need)))
            return false;
        r->top += more;
    } else {
        uint32_t id = mt_slice_map(r)[end];
        mt_span *next = id ? mt_span_at(id) : NULL;
        if (!next || next->state != MT_SPAN_FREE || next->n_slices < more)
            return false;
        mt_run_remove(heap, next);
        pages_claim(next);
        if ((next->flags & MT_SPAN_HOLE && !fill_hole(heap, next, more)) ||
            !pages_split(heap, next, more)) {
            put_run(heap, next);
            return false;
        }
        mt_record_free(heap, next);
    }
    span->n_slices += more;
    mt_slice_map_set(r, end, more, mt_span_id(span));
    count_span(heap, span, more * MT_SLICE_BYTES);
    return true;
}

bool mt_span_resize(struct memtrace_heap *heap, mt_span *span, size_t bytes)
{
    uint64_t n = slices_for(bytes);
    if (bytes > PTRDIFF_MAX || n > UINT32_MAX / 2)
        return false;
    if (span->flags & MT_SPAN_GUARDED) /* its end is where it is */
        return bytes <= span->block_bytes && span->block_bytes - bytes < 16;
    bool ok = true;
    mt_lock_acquire(&heap->lock);
    if (n > span->n_slices) {
        ok = pages_extend(heap, span, (uint32_t)n - span->n_slices);
    } else if (n < span->n_slices) {
        uint64_t cut = (span->n_slices - n) * MT_SLICE_BYTES;
        span->flags = MT_SPAN_DIRTY; /* of the part that is cut off */
        if (pages_split(heap, span, (uint32_t)n))
            uncount_span(heap, span, cut);
        span->flags = 0;
    }
    if (ok)
        span->block_bytes = (bytes + 4095) & ~(uint64_t)4095;
    mt_lock_release(&heap->lock);
    return ok;
}
