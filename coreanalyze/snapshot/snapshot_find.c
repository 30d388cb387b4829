/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_find.c - from an address to its block: region, slice, span, block,
 * by arithmetic alone.  The first look-up brings the slice maps, the spans
 * and their bits into memory, so that millions of look-ups follow fast.
 */
#include "coreanalyze/base/search.h"
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <stdlib.h>
#include <string.h>

void mt_index_free(struct mt_index *index)
{
    if (index == NULL)
        return;
    for (size_t i = 0;
         index->slice_maps && i < index->snapshot->model->n_regions; i++)
        free(index->slice_maps[i]);
    free(index->slice_maps);
    free(index->spans);
    free(index->bits);
    free(index);
}

/* Copies the free bits of a span; false if they cannot be read. */
static bool load_bits(struct mt_index *index, const struct mt_span_record *s,
                      uint64_t address)
{
    struct mt_snapshot *snapshot = index->snapshot;
    uint64_t own = snapshot->sections[MT_SECTION_SPANS].entry_bytes;
    size_t words = ((size_t)s->n_blocks + 63) / 64;
    uint64_t *to;

    if (s->n_blocks > 64) {
        if (words * 16 > index->bit_budget)
            return false;
        index->bit_budget -= words * 16;
    }
    if (!mt_grow(&index->bits, &index->bits_capacity, index->n_bits + words,
                 sizeof *index->bits)) {
        index->out_of_memory = true;
        return false;
    }
    to = index->bits + index->n_bits;
    for (size_t w = 0; w < words; w++) {
        uint64_t value[2] = {s->inline_local, s->inline_remote};
        const uint64_t from[2] = {s->local, s->remote};
        struct mt_window *windows[2] = {&snapshot->local, &snapshot->remote};
        for (unsigned i = 0; i < 2; i++) {
            if (from[i] >= address && from[i] < address + own)
                continue;
            const uint64_t *word =
                mt_window_get(snapshot, windows[i], from[i] + w * 8, 8);
            if (word == NULL)
                return false;
            value[i] = *word;
        }
        to[w] = value[0] | value[1];
    }
    index->n_bits += words;
    return true;
}

static bool find_visit_span(void *context, uint64_t id, uint64_t address,
                            const void *record)
{
    struct mt_index *index = context;
    struct mt_span_record s;
    struct indexed_span *span = &index->spans[id];

    memcpy(&s, record, sizeof s);
    if (s.state == MT_SPAN_UNUSED)
        return true;
    if (!mt_snapshot_span_ok(index->snapshot, &s, id, address))
        return true;
    *span = (struct indexed_span){
        .base = s.base,
        .block_bytes = s.block_bytes,
        .tags = s.tags,
        .requested = s.state == MT_SPAN_LARGE ? s.requested : 0,
        .recip = s.recip,
        .bits = index->n_bits,
        .n_blocks = s.n_blocks,
        .first_slice = s.first_slice,
        .n_slices = s.n_slices,
        .owner = s.owner,
        .heap = s.heap,
        .state = s.state,
    };
    if (s.state == MT_SPAN_FREE)
        return true;
    if (s.state > MT_SPAN_LARGE ||
        (!index->snapshot->outline && !load_bits(index, &s, address)))
        span->state = MT_SPAN_UNUSED;
    return !index->out_of_memory;
}

static bool load_slice_maps(struct mt_index *index)
{
    struct mt_model *model = index->snapshot->model;

    index->slice_maps = calloc(model->n_regions + 1, sizeof *index->slice_maps);
    if (index->slice_maps == NULL)
        return false;
    for (size_t i = 0; i < model->n_regions; i++) {
        const struct mt_region *r = &model->regions[i];
        size_t bytes = (size_t)r->top * sizeof(uint32_t);
        index->slice_maps[i] = bytes ? malloc(bytes) : NULL;
        index->out_of_memory |= bytes && index->slice_maps[i] == NULL;
        if (index->slice_maps[i] == NULL)
            continue;
        if (!mt_source_read(model->source, r->slice_map, index->slice_maps[i],
                            bytes))
            model->coverage.unreadable_bytes += bytes;
    }
    return true;
}

static struct mt_index *find_build(struct mt_snapshot *snapshot)
{
    struct mt_index *index = calloc(1, sizeof *index);

    if (index == NULL)
        return NULL;
    index->snapshot = snapshot;
    index->n_spans = snapshot->sections[MT_SECTION_SPANS].entries;
    index->bit_budget = snapshot->sections[MT_SECTION_BITMAPS].used;
    index->spans = calloc(index->n_spans + 1, sizeof *index->spans);
    /* Spans are checked against the slice maps. */
    if (load_slice_maps(index))
        snapshot->index = index;
    if (index->spans == NULL || snapshot->index == NULL ||
        !mt_snapshot_each(snapshot, MT_SECTION_SPANS, MT_RECORD_span_record, 1,
                          UINT64_MAX, find_visit_span, index) ||
        index->out_of_memory) {
        mt_index_free(index);
        return snapshot->index = NULL;
    }
    return index;
}

static const struct mt_region *find_region(struct mt_index *index,
                                           uint64_t address)
{
    const struct mt_model *model = index->snapshot->model;
    const struct mt_region *last = index->last;
    size_t n;

    if (last && address - last->base < last->size)
        return last;
    n = mt_count_up_to(model->regions, model->n_regions, base, address);
    if (n == 0 ||
        address - model->regions[n - 1].base >= model->regions[n - 1].size)
        return NULL;
    return index->last = &model->regions[n - 1];
}

static uint64_t block_index(const struct indexed_span *span, uint64_t offset)
{
    uint64_t i = (uint64_t)(((unsigned __int128)offset * span->recip) >> 64);

    if (span->recip == 0 || i * span->block_bytes > offset ||
        offset - i * span->block_bytes >= span->block_bytes)
        i = offset / span->block_bytes;
    return i;
}

/* The thread that the target's record number `owner` is of, if it lives. */
static uint32_t owner_of(const struct mt_model *model, uint32_t owner)
{
    for (size_t i = 0; owner && i < model->n_threads; i++)
        if (model->threads[i].id == owner)
            return model->threads[i].live ? model->threads[i].tid : 0;
    return 0;
}

static void find_fill(struct mt_index *index, const struct indexed_span *span,
                      uint32_t id, uint64_t i, struct mt_block *block)
{
    struct mt_model *model = index->snapshot->model;
    uint64_t tag = 0;

    *block = (struct mt_block){
        .address = span->base + i * span->block_bytes,
        .block_bytes = span->block_bytes,
        .heap = span->heap,
        .span = id,
        .owner_tid = owner_of(model, span->owner),
    };
    if (span->tags &&
        !mt_source_read(model->source, span->tags + i * 8, &tag, 8))
        model->coverage.unreadable_bytes += 8;
    mt_snapshot_tag(index->snapshot, tag, span->requested, block);
}

static enum mt_address_kind find_in_region(struct mt_index *index,
                                           const struct mt_region *region,
                                           uint64_t address,
                                           struct mt_block *block)
{
    uint64_t slice = (address - region->base) / index->snapshot->slice_bytes;
    const uint32_t *map =
        index->slice_maps[region - index->snapshot->model->regions];
    const struct indexed_span *span;
    uint32_t id;
    uint64_t i;

    if (slice >= region->top)
        return MT_PLACE_UNUSED;
    id = map ? map[slice] : 0;
    if (id == 0 || id >= index->n_spans)
        return MT_PLACE_UNCERTAIN;
    span = &index->spans[id];
    if (span->state == MT_SPAN_FREE)
        return MT_PLACE_UNUSED;
    if (span->state == MT_SPAN_UNUSED || slice < span->first_slice ||
        slice - span->first_slice >= span->n_slices)
        return MT_PLACE_UNCERTAIN;
    if (address < span->base)
        return MT_PLACE_SLACK;
    i = block_index(span, address - span->base);
    if (i >= span->n_blocks)
        return MT_PLACE_SLACK;
    if (block)
        find_fill(index, span, id, i, block);
    return index->bits[span->bits + i / 64] >> (i % 64) & 1 ? MT_PLACE_FREED
                                                            : MT_PLACE_LIVE;
}

struct mt_index *mt_snapshot_index(struct mt_snapshot *snapshot)
{
    return snapshot->index ? snapshot->index : find_build(snapshot);
}

enum mt_address_kind mt_model_find(struct mt_model *model, uint64_t address,
                                   struct mt_block *block)
{
    struct mt_snapshot *snapshot = model->snapshot;
    const struct mt_region *region;

    if (mt_snapshot_index(snapshot) == NULL)
        return MT_PLACE_UNCERTAIN;
    region = find_region(snapshot->index, address);
    if (region == NULL)
        return MT_PLACE_OUTSIDE;
    return find_in_region(snapshot->index, region, address, block);
}
