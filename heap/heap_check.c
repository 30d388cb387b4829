/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace_heap_check(): every invariant of layout.h and heap.c, verified
 * from the structures alone.
 */
#include "heap/seldom.h"
#include "heap/memtrace.h"
#include "heap/attributes.h"
#include "heap/raw_print.h"
#include "heap/block_walk.h"
#include "heap/heap_check.h"
#include "heap/safety.h"

#include <errno.h>
#include <string.h>

struct check {
    struct memtrace_heap *heap;
    bool shared; /* other threads use the heap during the check */
    int violations;
    uint64_t span_bytes, dirty_bytes;
    uint64_t n_free[MT_RUNS_KINDS]; /* runs found in regions */
    uint64_t class_bytes[MT_N_CLASSES + 1];
};

static void heap_check_violation(struct check *check, const char *what,
                                 uint64_t where)
{
    char text[200];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    if (check->violations++ >= 20)
        return;
    mt_print(&out, "memtrace: heap check: ");
    mt_print(&out, what);
    mt_print(&out, " at ");
    mt_print_hex(&out, where);
    mt_print(&out, "\n");
    mt_print_flush(&out);
}

static bool heap_check_in_section(unsigned id, uint64_t address, uint64_t bytes)
{
    const struct mt_section_record *s = &memtrace_root->sections[id];
    return address >= s->base && bytes <= s->used &&
           address - s->base <= s->used - bytes;
}

static void check_small(struct check *check, const mt_span *span,
                        const struct mt_region_record *r)
{
    uint64_t where = (uintptr_t)span;
    uint32_t c = span->size_class;
    if (c >= MT_N_CLASSES || span->block_bytes != mt_class_size(c) ||
        (span->n_slices != mt_class_slices(c) &&
         span->n_slices != mt_class_first_slices(c))) {
        heap_check_violation(check, "span of no size class", where);
        return;
    }
    if (span->recip != mt_reciprocal(span->block_bytes))
        heap_check_violation(check, "wrong reciprocal", where);
    if (span->n_blocks != span->n_slices * MT_SLICE_BYTES / span->block_bytes ||
        span->base !=
            r->base + ((uint64_t)span->first_slice << MT_SLICE_SHIFT)) {
        heap_check_violation(check, "wrong block count or base", where);
        return;
    }
    uint32_t words = mt_bitmap_words(span->n_blocks);
    bool inlined = span->n_blocks <= 64 &&
                   span->local == (uintptr_t)&span->inline_local &&
                   span->remote == (uintptr_t)&span->inline_remote;
    if (!inlined &&
        (!heap_check_in_section(MT_SECTION_BITMAPS, span->local, words * 16) ||
         span->remote != span->local + words * 8)) {
        heap_check_violation(check, "bitmap outside its section", where);
        return;
    }
    for (uint32_t w = 0; w < words; w++)
        if ((mt_local(span)[w] | mt_remote(span)[w]) & ~mt_word_mask(span, w))
            heap_check_violation(check, "free bit of no block", where);
    if (span->tags && span->n_blocks == 1 &&
        span->tags != (uintptr_t)&span->inline_tag)
        heap_check_violation(check, "tag outside its record", where);
    if (span->tags && span->n_blocks > 1 &&
        !heap_check_in_section(MT_SECTION_TAGS, span->tags,
                               span->n_blocks * 8ul))
        heap_check_violation(check, "tags outside their section", where);
    if (mt_cache_of(span->owner) == NULL)
        heap_check_violation(check, "span of no owner", where);
    if (check->shared && span->owner != mt_tls->id)
        return; /* the rest is what its owner changes without a lock */
    if (span->owner_key && span->owner_key != span->owner)
        heap_check_violation(check, "key is not the owner's", where);
    if ((span->flags & MT_SPAN_FULL) && span->owner_key)
        heap_check_violation(check, "full span with a key", where);
    struct mt_finding finding = {0};
    if (check->heap->modes & MT_MODE_FILL_FREE && !check->shared)
        mt_fill_check_span(span, &finding);
    if (finding.block)
        heap_check_violation(check, "freed block that was written to",
                             finding.block + finding.offset);
}

static void check_large(struct check *check, const mt_span *span)
{
    uint64_t where = (uintptr_t)span;
    if (span->n_blocks != 1 || span->recip != 0 ||
        span->local != (uintptr_t)&span->inline_local ||
        span->remote != (uintptr_t)&span->inline_remote)
        heap_check_violation(check, "large span with foreign bits", where);
    if ((span->requested > span->block_bytes && !check->shared) ||
        span->block_bytes > span->n_slices * MT_SLICE_BYTES)
        heap_check_violation(check, "large block beyond its span", where);
    if (span->inline_local & 1 && !(span->flags & MT_SPAN_DELAYED) &&
        !check->shared) /* it is being allocated or freed */
        heap_check_violation(check, "large span without a live block", where);
}

static void check_map(struct check *check, const struct mt_region_record *r,
                      const mt_span *span)
{
    const uint32_t *map = (const uint32_t *)r->slice_map;
    uint32_t first = span->first_slice, last = first + span->n_slices - 1;
    for (uint32_t s = first; s <= last; s++) {
        bool marked = span->state != MT_SPAN_FREE || s == first || s == last;
        if (map[s] != (marked ? mt_span_id(span) : 0))
            heap_check_violation(check, "slice map disagrees with span",
                                 (uintptr_t)span);
    }
}

static void check_region(struct check *check, const struct mt_region_record *r,
                         uint32_t region)
{
    const uint32_t *map = (const uint32_t *)r->slice_map;
    uint64_t n_spans =
        memtrace_root->sections[MT_SECTION_SPANS].used / sizeof(mt_span);
    uint32_t s = 0;
    while (s < r->top) {
        if (map[s] == 0 || map[s] >= n_spans) {
            heap_check_violation(check, "slice of no span",
                                 r->base + ((uint64_t)s << MT_SLICE_SHIFT));
            return;
        }
        const mt_span *span = mt_span_at(map[s]);
        if (span->first_slice != s || span->region != region ||
            span->heap != check->heap->id || span->n_slices == 0 ||
            span->n_slices > r->top - s) {
            heap_check_violation(check,
                                 "span does not start where its slices do",
                                 (uintptr_t)span);
            return;
        }
        check_map(check, r, span);
        uint64_t bytes = span->n_slices * MT_SLICE_BYTES;
        if (span->state == MT_SPAN_FREE) {
            unsigned kind = mt_runs_kind(span);
            check->n_free[kind]++;
            check->dirty_bytes += kind == MT_RUNS_DIRTY ? bytes : 0;
        } else if (span->state == MT_SPAN_SMALL) {
            check_small(check, span, r);
            check->span_bytes += bytes;
            check->class_bytes[span->size_class % MT_N_CLASSES] += bytes;
        } else if (span->state == MT_SPAN_LARGE) {
            check_large(check, span);
            check->span_bytes += bytes;
            check->class_bytes[MT_N_CLASSES] += bytes;
        } else {
            heap_check_violation(check, "unused span in the map",
                                 (uintptr_t)span);
        }
        s += span->n_slices;
    }
}

static void check_runs(struct check *check, unsigned kind)
{
    const struct mt_runs *runs = &check->heap->runs[kind];
    uint64_t found = 0;
    for (uint32_t bin = 0; bin < MT_N_RUN_BINS; bin++) {
        bool marked = runs->nonempty[bin / 64] >> (bin % 64) & 1;
        if (marked != (runs->head[bin] != 0))
            heap_check_violation(check, "wrong mark of a list of runs", bin);
        uint32_t prev = 0;
        for (uint32_t id = runs->head[bin]; id;) {
            const mt_span *run = mt_span_at(id);
            if (run->state != MT_SPAN_FREE || run->prev != prev ||
                mt_runs_kind(run) != kind || found++ > check->n_free[kind]) {
                heap_check_violation(check, "broken list of runs",
                                     (uintptr_t)run);
                return;
            }
            prev = id;
            id = run->next;
        }
    }
    if (found != check->n_free[kind])
        heap_check_violation(check, "free run in no list", found);
}

/* A list of spans of a cache; c is MT_N_CLASSES for that of full spans. */
static void check_list(struct check *check, const struct mt_cache *cache,
                       uint32_t list, uint32_t c, uint32_t current)
{
    uint32_t full = c == MT_N_CLASSES ? MT_SPAN_FULL : 0, prev = 0;
    for (uint32_t id = list; id;) {
        const mt_span *span = mt_span_at(id);
        if (span->state != MT_SPAN_SMALL || (prev && span->prev != prev) ||
            (!full && span->size_class != c) || span->owner != cache->id ||
            (span->flags & MT_SPAN_FULL) != full || id == current) {
            heap_check_violation(check, "broken list of spans",
                                 (uintptr_t)span);
            return;
        }
        prev = id;
        id = span->next;
    }
    if (list && mt_span_at(list)->prev != prev)
        heap_check_violation(check, "list of spans without its end",
                             (uintptr_t)mt_span_at(list));
}

/* Checks the invariants of the caller's own (or the named heap's) cache. */
static void check_cache(struct check *check, const struct mt_cache *cache)
{
    for (uint32_t c = 0; cache && c < MT_N_CLASSES; c++) {
        const struct mt_bin *bin = &cache->bins[c];
        const mt_span *current = bin->span ? mt_span_at(bin->span) : NULL;
        if (current &&
            (current->state != MT_SPAN_SMALL ||
             cache->bins[current->size_class % MT_N_CLASSES].span !=
                 bin->span ||
             current->owner != cache->id || bin->word < mt_local(current) ||
             bin->word >=
                 mt_local(current) + mt_bitmap_words(current->n_blocks)))
            heap_check_violation(check, "bin points outside its span", c);
        check_list(check, cache, bin->partial, c, bin->span);
    }
    check_list(check, cache, cache->full, MT_N_CLASSES, 0);
}

static int heap_verify(struct memtrace_heap *heap, bool shared)
{
    struct check check = {.heap = heap, .shared = shared};
    mt_lock_acquire(&heap->lock);
    const struct mt_section_record *regions =
        &memtrace_root->sections[MT_SECTION_REGIONS];
    uint32_t n = (uint32_t)(regions->used / sizeof(struct mt_region_record));
    for (uint32_t i = 0; i < n; i++) {
        const struct mt_region_record *r =
            (struct mt_region_record *)regions->base + i;
        if (r->state && r->heap == heap->id)
            check_region(&check, r, i);
    }
    for (unsigned kind = 0; kind < MT_RUNS_KINDS; kind++)
        check_runs(&check, kind);
    if (check.span_bytes != heap->record->span_bytes)
        heap_check_violation(&check, "span_bytes is not the sum",
                             check.span_bytes);
    for (uint32_t c = 0; c <= MT_N_CLASSES; c++)
        if (check.class_bytes[c] != heap->class_bytes[c] ||
            heap->class_peak[c] < heap->class_bytes[c])
            heap_check_violation(&check, "bytes of a class are not the sum", c);
    if (check.dirty_bytes != heap->record->dirty_bytes)
        heap_check_violation(&check, "dirty_bytes is not the sum",
                             check.dirty_bytes);
    const struct mt_cache *cache = heap->cache ? heap->cache : mt_tls;
    if (cache != &mt_no_cache)
        check_cache(&check, cache);
    mt_lock_release(&heap->lock);
    return check.violations;
}

MT_EXPORT int memtrace_heap_check(memtrace_heap *heap)
{
    heap = mt_heap_meant(heap);
    return heap ? heap_verify(heap, false) : -1;
}

#if defined(MT_DEBUG) && MT_DEBUG > 0
#define LEAST_BETWEEN 4096 /* allocations of a thread from check to check */

uint32_t mt_heap_checks_off;

void mt_heap_check_sometimes(void)
{
    static MT_TLS uint32_t left = LEAST_BETWEEN;
    static MT_TLS bool checking;
    if (mt_load_relaxed(&mt_heap_checks_off) || checking || --left > 0)
        return;
    int saved = errno;
    checking = true;
    uint64_t spans = memtrace_root->sections[MT_SECTION_SPANS].used;
    left = LEAST_BETWEEN + (uint32_t)(spans / sizeof(mt_span));
    for (uint32_t i = 0; i < MT_MAX_HEAPS && mt_heap_at(i); i++) {
        struct memtrace_heap *heap = mt_heap_at(i);
        mt_lock_acquire(&heap->cache_lock);
        if (heap->record->flags & MT_HEAP_IN_USE)
            MT_ASSERT(heap_verify(heap, true) == 0);
        mt_lock_release(&heap->cache_lock);
    }
    checking = false;
    errno = saved;
}
#endif
