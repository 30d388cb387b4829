/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Free runs of slices, in lists by size: one list for each size to 64
 * slices, then four to each doubling; dirty runs (they may hold memory) apart
 * from clean ones (they hold none, and read as 0) and from holes, which the
 * kernel may refuse to map.  A search is a bit scan and, in the one list that
 * holds runs both too small and large enough, a bounded walk.
 */
#include "heap/alloc.h"
#include "heap/debug.h"

#define EXACT 64u
#define WALK 64 /* runs looked at in the list of the wanted size itself */

static uint32_t bin_of(uint32_t n)
{
    if (n <= EXACT)
        return n - 1;
    uint32_t log = 31 - (uint32_t)__builtin_clz(n);
    uint32_t sub = (n >> (log - 2)) & 3;
    uint32_t bin = EXACT + (log - 6) * 4 + sub;
    return bin < MT_N_RUN_BINS ? bin : MT_N_RUN_BINS - 1;
}

static struct mt_runs *runs_of(struct memtrace_heap *heap, const mt_span *run)
{
    return &heap->runs[mt_runs_kind(run)];
}

static uint64_t run_bytes(const mt_span *run)
{
    return run->n_slices * MT_SLICE_BYTES;
}

void mt_run_insert(struct memtrace_heap *heap, mt_span *run)
{
    struct mt_runs *runs = runs_of(heap, run);
    uint32_t bin = bin_of(run->n_slices), id = mt_span_id(run);
    MT_ASSERT(run->state == MT_SPAN_FREE && runs->head[bin] != id);
    run->prev = 0;
    run->next = runs->head[bin];
    if (run->next)
        mt_span_at(run->next)->prev = id;
    runs->head[bin] = id;
    runs->nonempty[bin / 64] |= UINT64_C(1) << (bin % 64);
    if (run->flags & MT_SPAN_DIRTY)
        heap->record->dirty_bytes += run_bytes(run);
}

void mt_run_remove(struct memtrace_heap *heap, mt_span *run)
{
    struct mt_runs *runs = runs_of(heap, run);
    uint32_t bin = bin_of(run->n_slices);
    MT_ASSERT(run->state == MT_SPAN_FREE);
    MT_ASSERT((run->prev ? mt_span_at(run->prev)->next : runs->head[bin]) ==
              mt_span_id(run));
    MT_ASSERT(!run->next || mt_span_at(run->next)->prev == mt_span_id(run));
    if (run->prev)
        mt_span_at(run->prev)->next = run->next;
    else
        runs->head[bin] = run->next;
    if (run->next)
        mt_span_at(run->next)->prev = run->prev;
    if (runs->head[bin] == 0)
        runs->nonempty[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
    run->next = run->prev = 0;
    if (run->flags & MT_SPAN_DIRTY)
        heap->record->dirty_bytes -= run_bytes(run);
}

static uint32_t next_nonempty(const struct mt_runs *runs, uint32_t bin)
{
    for (uint32_t w = bin / 64; w < MT_N_RUN_BINS / 64; w++) {
        uint64_t bits = runs->nonempty[w];
        if (w == bin / 64)
            bits &= ~UINT64_C(0) << (bin % 64);
        if (bits)
            return w * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return MT_N_RUN_BINS;
}

/* The smallest that fits of the first few in the list of the size itself. */
static mt_span *best_of_bin(const struct mt_runs *runs, uint32_t bin,
                            uint32_t n)
{
    mt_span *best = NULL;
    uint32_t id = runs->head[bin];
    for (int i = 0; id && (i < WALK || bin == MT_N_RUN_BINS - 1); i++) {
        mt_span *run = mt_span_at(id);
        if (run->n_slices >= n && (!best || run->n_slices < best->n_slices))
            best = run;
        id = run->next;
    }
    return best;
}

static mt_span *runs_search(const struct mt_runs *runs, uint32_t n)
{
    uint32_t bin = bin_of(n);
    if (n > EXACT) {
        mt_span *best = best_of_bin(runs, bin, n);
        if (best)
            return best;
        bin++;
    }
    bin = next_nonempty(runs, bin);
    return bin < MT_N_RUN_BINS ? mt_span_at(runs->head[bin]) : NULL;
}

mt_span *mt_run_take(struct memtrace_heap *heap, uint32_t n)
{
    mt_span *run = NULL;
    for (unsigned kind = 0; !run && kind < MT_RUNS_KINDS; kind++)
        run = runs_search(&heap->runs[kind], n);
    if (run)
        mt_run_remove(heap, run);
    return run;
}

mt_span *mt_run_largest_dirty(const struct memtrace_heap *heap)
{
    const struct mt_runs *runs = &heap->runs[MT_RUNS_DIRTY];
    for (uint32_t w = MT_N_RUN_BINS / 64; w-- > 0;)
        if (runs->nonempty[w]) {
            uint32_t bit = 63 - (uint32_t)__builtin_clzll(runs->nonempty[w]);
            return mt_span_at(runs->head[w * 64 + bit]);
        }
    return NULL;
}
