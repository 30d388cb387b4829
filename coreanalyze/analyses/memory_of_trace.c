/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_of_trace.c - the map of a black box or a mini-core: what the trace
 * knows of the memory of its process.  Files, stacks and .data are not in it,
 * and neither is what was resident, but for a figure in the last sample.
 */
#include "coreanalyze/analyses/memory_rows.h"

#include <stdlib.h>
#include <string.h>

static struct mt_memory_sum mapped_sum(uint64_t bytes)
{
    return (struct mt_memory_sum){.resident = bytes, .size = bytes};
}

static bool asked_of_trace(void *context, const struct mt_block *block)
{
    uint64_t *bytes = context;

    bytes[block->heap] += block->bytes;
    return true;
}

static bool rows_of_heaps(const struct mt_model *model, const uint64_t *asked,
                          struct mt_memory_map *map)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < model->n_heaps; i++) {
        const struct mt_heap *heap = &model->heaps[i];
        struct mt_memory_row row = {.kind = MT_MEMORY_ASKED,
                                    .name = heap->name,
                                    .address = heap->base,
                                    .count = 1};
        if (!heap->in_use)
            continue;
        row.sum = mapped_sum(asked[i]);
        ok = asked[i] == 0 || mt_memory_row_add(map, &row);
        row.kind = MT_MEMORY_FREE;
        row.sum = mapped_sum(
            heap->committed > asked[i] ? heap->committed - asked[i] : 0);
        ok = ok && (row.sum.size == 0 || mt_memory_row_add(map, &row));
        map->asked_bytes += asked[i];
    }
    return ok;
}

static bool rows_of_mapped(const struct mt_model *model,
                           struct mt_memory_map *map)
{
    bool ok = true;

    for (size_t i = 0; ok && i < model->n_mapped; i++) {
        const struct mt_mapped_range *m = &model->mapped[i];
        struct mt_memory_row row = {
            .kind = m->program_break ? MT_MEMORY_BREAK
                    : m->shared      ? MT_MEMORY_SHARED
                                     : MT_MEMORY_ANONYMOUS,
            .stack = m->stack,
            .address = m->start,
            .count = 1,
            .sum = mapped_sum(m->end - m->start),
        };
        ok = mt_memory_row_add(map, &row);
    }
    return ok;
}

/* The latest figure of what was resident. */
static void find_last_rss(const struct mt_model *model,
                          struct mt_memory_map *map)
{
    const struct mt_saved_at *at = &model->source->process.saved_at;

    for (size_t i = model->n_samples; i-- > 0 && map->last_rss == 0;)
        if (model->samples[i].resident) {
            map->last_rss = model->samples[i].resident;
            map->last_rss_ns = model->samples[i].ns;
        }
    if (at->resident_bytes) {
        map->last_rss = at->resident_bytes;
        map->last_rss_ns = at->realtime_ns > model->start_realtime_ns
                               ? at->realtime_ns - model->start_realtime_ns
                               : 0;
    }
}

bool mt_memory_map_of_trace(struct mt_model *model, struct mt_memory_map *map,
                            struct mt_error *error)
{
    struct mt_memory_row trace = {.kind = MT_MEMORY_TRACE,
                                  .address = model->root,
                                  .count = 1,
                                  .sum = mapped_sum(model->trace_used)};
    uint64_t *asked = calloc((size_t)model->n_heaps + 1, sizeof *asked);
    bool ok = asked != NULL;

    map->of_trace = true;
    if (ok && !mt_model_each_block(model, asked_of_trace, asked, NULL, error)) {
        free(asked);
        return false;
    }
    ok = ok && rows_of_heaps(model, asked, map) &&
         mt_memory_row_add(map, &trace) && rows_of_mapped(model, map);
    free(asked);
    if (!ok) {
        mt_memory_map_free(map);
        return mt_no_memory(error, "the map of the memory");
    }
    mt_memory_rows_merge(map);
    mt_memory_rows_finish(map);
    find_last_rss(model, map);
    return true;
}
