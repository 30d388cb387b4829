/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark.c - what the roots reach.
 *
 * The roots are cut into parts, which the threads take one by one; what a part
 * leads to is followed at once.  REACHED means some chain of pointers, so
 * DEFINITE, a chain of pointers to starts alone, may come later for the same
 * block: it is then scanned again, and hands DEFINITE on.
 */
#include "coreanalyze/reach/mark.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/reach/mark_workers.h"

#include <stdlib.h>

#define PART_BYTES (UINT64_C(256) << 10)
#define SPANS_OF_PART 64u

struct roots {
    const struct mt_mark_range *ranges;
    size_t n_ranges;
    uint64_t *first; /* part that a range begins with; one more at the end */
    const uint64_t *words;
    size_t n_words, n_certain;
};

/* The range that a part lies in: the last one that begins at it or before. */
static size_t range_of(const struct roots *roots, uint64_t part)
{
    size_t n = mt_search(roots->first, roots->n_ranges, sizeof *roots->first,
                         part + 1);

    return n > 0 ? n - 1 : 0;
}

static void reach_word(struct mt_worker *worker, uint64_t word)
{
    struct mt_hit hit;

    if (mt_scan_whole_word(&worker->scan, 0, word, &hit))
        mt_worker_reach(worker, &hit);
}

static void mark_scan_roots(struct mt_worker *worker, void *context)
{
    const struct roots *roots = context;
    uint64_t n_parts = roots->first[roots->n_ranges];
    uint64_t part;

    while (mt_workers_next(worker, n_parts + 1, &part)) {
        /* Draining changes it. */
        worker->definite = true;
        if (part == n_parts) {
            for (size_t i = 0; i < roots->n_words; i++) {
                worker->definite = i < roots->n_certain;
                reach_word(worker, roots->words[i]);
            }
        } else {
            size_t i = range_of(roots, part);
            const struct mt_mark_range *range = &roots->ranges[i];
            uint64_t start =
                range->start + (part - roots->first[i]) * PART_BYTES;
            uint64_t end = range->end - start > PART_BYTES ? start + PART_BYTES
                                                           : range->end;
            mt_scan_range(&worker->scan, start, end, mt_worker_reach, worker);
        }
        mt_worker_drain(worker);
    }
}

/* Scans what did not fit on a stack when it was found. */
static void mark_sweep(struct mt_worker *worker, void *context)
{
    struct mt_map *map = worker->map;
    uint64_t n_parts = map->n_spans / SPANS_OF_PART + 1, part;

    (void)context;
    while (mt_workers_next(worker, n_parts, &part)) {
        uint64_t end = (part + 1) * SPANS_OF_PART;
        if (end > map->n_spans)
            end = map->n_spans;
        for (uint64_t id = part * SPANS_OF_PART; id < end; id++) {
            const struct mt_span_view *span = &map->spans[id];
            for (uint32_t i = 0; i < span->n_blocks; i++) {
                uint8_t *flags = &map->flags[span->first + i];
                struct mt_block_ref place = {(uint32_t)id, i, span->first + i,
                                             0};
                if (!(__atomic_load_n(flags, __ATOMIC_RELAXED) &
                      MT_BLOCK_PENDING))
                    continue;
                __atomic_fetch_and(flags, (uint8_t)~MT_BLOCK_PENDING,
                                   __ATOMIC_RELAXED);
                mt_worker_push(worker, &place);
                mt_worker_drain(worker);
            }
        }
    }
}

/* The parts of the ranges that are not in idle stacks. */
static struct mt_mark_range *cut_idle(const struct mt_idle_stacks *idle,
                                      const struct mt_mark_range *ranges,
                                      size_t n_ranges, size_t *n)
{
    size_t most = n_ranges + (idle ? idle->n : 0);
    const struct mt_idle_stacks none = {0};
    struct mt_mark_range *cut = calloc(most + 1, sizeof *cut);
    uint64_t at, end;

    *n = 0;
    for (size_t i = 0; cut && i < n_ranges; i++)
        for (at = ranges[i].start;
             *n < most &&
             mt_idle_stacks_next(idle ? idle : &none, &at, ranges[i].end, &end);
             at = end)
            cut[(*n)++] = (struct mt_mark_range){at, end};
    return cut;
}

/* The parts of the ranges that have memory: a reservation may be a million
 * times larger. */
static struct mt_mark_range *clip_ranges(const struct mt_source *source,
                                         const struct mt_mark_range *ranges,
                                         size_t n_ranges, size_t *n)
{
    size_t most = n_ranges + source->n_present;
    struct mt_mark_range *clipped = calloc(most + 1, sizeof *clipped);

    *n = 0;
    for (size_t i = 0; clipped && i < n_ranges; i++) {
        uint64_t at = ranges[i].start, end = ranges[i].end;
        while (at < end && *n < most) {
            uint64_t start = mt_source_skip_empty(source, at, end);
            const struct mt_present *p = mt_source_present(source, start);
            at = source->present_known && p && p->start <= start && p->end < end
                     ? p->end
                     : end;
            if (start < end)
                clipped[(*n)++] = (struct mt_mark_range){start, at};
        }
    }
    return clipped;
}

/* --- stacks that no thread runs on --- */

struct idle_reach {
    struct mt_idle_stacks *idle;
    uint64_t blocks;
    bool more; /* one was searched */
};

static void reach_idle(void *context, const struct mt_hit *hit)
{
    struct mt_worker *worker = context;
    struct idle_reach *reach = worker->all->context;
    uint8_t *flags = &worker->map->flags[hit->place.slot];

    if (!(__atomic_load_n(flags, __ATOMIC_RELAXED) & MT_BLOCK_REACHED))
        __atomic_fetch_add(&reach->blocks, 1, __ATOMIC_RELAXED);
    mt_worker_reach(worker, hit);
}

/* One in a block holds something only if the block is reached. */
static void mark_scan_idle(struct mt_worker *worker, void *context)
{
    struct idle_reach *reach = context;
    uint64_t part;

    while (mt_workers_next(worker, reach->idle->n, &part)) {
        struct mt_idle_stack *stack = &reach->idle->items[part];
        if (stack->searched || stack->nothing ||
            (stack->in_block &&
             !(__atomic_load_n(&worker->map->flags[stack->slot],
                               __ATOMIC_RELAXED) &
               MT_BLOCK_REACHED)))
            continue;
        stack->searched = true;
        __atomic_store_n(&reach->more, true, __ATOMIC_RELAXED);
        worker->definite = false;
        mt_scan_range(&worker->scan, stack->start, stack->end, reach_idle,
                      worker);
        mt_worker_drain(worker);
    }
}

static bool mark_reach_idle(struct mt_mark *mark, struct mt_error *error)
{
    struct idle_reach reach = {.idle = mark->idle};
    struct mt_workers all;
    bool ok = true;

    do {
        reach.more = false;
        ok = mt_workers_run(mark, &all, false, mark_scan_idle, &reach, error);
        while (ok && all.overflow && !all.parts.stopped)
            ok = mt_workers_run(mark, &all, false, mark_sweep, NULL, error);
    } while (ok && reach.more && !mark->stopped);
    mark->idle_blocks = reach.blocks;
    return ok;
}

bool mt_mark_reach(struct mt_mark *mark, const struct mt_mark_range *ranges,
                   size_t n_ranges, const uint64_t *words, size_t n_words,
                   size_t n_certain, struct mt_error *error)
{
    struct roots roots = {
        .words = words, .n_words = n_words, .n_certain = n_certain};
    size_t n_cut;
    struct mt_mark_range *cut = cut_idle(mark->idle, ranges, n_ranges, &n_cut);
    struct mt_mark_range *clipped =
        cut ? clip_ranges(mark->source, cut, n_cut, &roots.n_ranges) : NULL;
    struct mt_workers all;
    bool ok;

    free(cut);
    if (!mark->lists && !mt_pointer_lists_make(mark, error)) {
        free(clipped);
        return false;
    }
    roots.ranges = ranges = clipped;
    n_ranges = roots.n_ranges;
    roots.first = clipped ? calloc(n_ranges + 1, sizeof *roots.first) : NULL;
    if (!roots.first) {
        free(clipped);
        return mt_no_memory(error, "the roots");
    }
    for (size_t i = 0; i < n_ranges; i++)
        roots.first[i + 1] =
            roots.first[i] +
            (ranges[i].end - ranges[i].start + PART_BYTES - 1) / PART_BYTES;
    ok = mt_workers_run(mark, &all, false, mark_scan_roots, &roots, error);
    while (ok && all.overflow && !all.parts.stopped)
        ok = mt_workers_run(mark, &all, false, mark_sweep, NULL, error);
    if (ok && mark->idle && mark->idle->n > 0 && !mark->stopped)
        ok = mark_reach_idle(mark, error);
    free(roots.first);
    free(clipped);
    return ok;
}

/* --- what is missing --- */

static void pass_over(void *context, const struct mt_hit *hit)
{
    (void)context;
    (void)hit;
}

uint64_t mt_mark_missing(const struct mt_mark *mark,
                         const struct mt_mark_range *ranges, size_t n_ranges)
{
    struct mt_map none = *mark->map;
    struct mt_scan scan;
    uint64_t missing;

    /* With these bounds no word is a pointer. */
    none.bytes = 0;
    mt_scan_init(&scan, &none, mark->source, &mark->options->scan);
    for (size_t i = 0; i < n_ranges; i++)
        mt_scan_range(&scan, ranges[i].start, ranges[i].end, pass_over, NULL);
    for (size_t id = 1; id < none.n_spans; id++) {
        const struct mt_span_view *span = &none.spans[id];
        unsigned mask = MT_BLOCK_LIVE | (span->node ? MT_BLOCK_REACHED : 0);
        for (uint32_t i = 0; i < span->n_blocks; i++) {
            uint64_t start = mt_map_address(&none, (uint32_t)id, i);
            uint64_t slot = span->first + i;
            if ((none.flags[slot] & mask) == mask)
                mt_scan_range(&scan, start,
                              start + mt_map_bytes(&none, (uint32_t)id, slot),
                              pass_over, NULL);
        }
    }
    missing = scan.missing_bytes;
    mt_scan_done(&scan);
    return missing;
}
