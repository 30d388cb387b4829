/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_find.c - from an address to its block: region, slice, span, block,
 * by arithmetic alone, on the index (snapshot_index.c).
 */
#include "coreanalyze/base/search.h"
#include "coreanalyze/snapshot/snapshot_internal.h"

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

/* The thread that the target's record number `owner` is of, if it lives. */
static uint32_t owner_of(const struct mt_model *model, uint32_t owner)
{
    const struct mt_traced_thread *threads = model->threads;
    size_t i = mt_count_below(threads, model->n_threads, id, owner);

    return owner != 0 && i < model->n_threads && threads[i].id == owner &&
                   threads[i].live
               ? threads[i].tid
               : 0;
}

static void find_fill(struct mt_index *index, uint32_t id, uint32_t i,
                      struct mt_block *block)
{
    struct mt_model *model = index->snapshot->model;
    const struct mt_span_view *span = &index->spans[id];
    const struct mt_span_more *more = &index->more[id];
    uint64_t tag = more->tag;

    *block = (struct mt_block){
        .address = span->base + i * span->block_bytes,
        .block_bytes = span->block_bytes,
        .heap = span->heap,
        .span = id,
        .index = i,
        .slot = span->first + i,
        .owner = more->owner,
        .owner_tid = owner_of(model, more->owner),
        .live = mt_index_is_live(index, id, i),
    };
    if (more->tags &&
        !mt_source_read(model->source, more->tags + i * 8, &tag, 8))
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
    const struct mt_span_view *span;
    const struct mt_span_more *more;
    uint32_t id;
    uint64_t i;

    if (slice >= region->top)
        return MT_PLACE_UNUSED;
    id = map ? map[slice] : 0;
    if (id == 0 || id >= index->n_spans)
        return MT_PLACE_UNCERTAIN;
    span = &index->spans[id];
    more = &index->more[id];
    if (more->state == MT_SPAN_FREE)
        return MT_PLACE_UNUSED;
    if (more->state == MT_SPAN_UNUSED || slice < more->first_slice ||
        slice - more->first_slice >= more->n_slices)
        return MT_PLACE_UNCERTAIN;
    if (address < span->base)
        return MT_PLACE_SLACK;
    i = mt_span_block_at(span, address - span->base);
    if (i >= span->n_blocks)
        return MT_PLACE_SLACK;
    if (block)
        find_fill(index, id, (uint32_t)i, block);
    return mt_index_is_live(index, id, (uint32_t)i) ? MT_PLACE_LIVE
                                                    : MT_PLACE_FREED;
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

bool mt_model_block(struct mt_model *model, uint32_t span, uint32_t i,
                    struct mt_block *block)
{
    struct mt_index *index = mt_snapshot_index(model->snapshot);

    if (index == NULL || span >= index->n_spans ||
        i >= index->spans[span].n_blocks)
        return false;
    find_fill(index, span, i, block);
    return true;
}

void mt_model_ask_block(struct mt_model *model, uint32_t span, uint32_t i)
{
    const struct mt_index *index = model->snapshot->index;
    struct mt_source *source = model->source;

    if (index && span < index->n_spans && index->more[span].tags &&
        source->ops->view)
        __builtin_prefetch(source->ops->view(
            source, index->more[span].tags + (uint64_t)i * 8, 8));
}
