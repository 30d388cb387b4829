/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_spans.c - what makes a span record believable, and what a tag
 * says.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

const struct mt_region *mt_snapshot_region(const struct mt_snapshot *snapshot,
                                           uint32_t id)
{
    uint64_t place;

    if (id >= snapshot->n_region_ids)
        return NULL;
    place = snapshot->region_ids[id];
    return place ? &snapshot->model->regions[place - 1] : NULL;
}

/* The slice map must name the span at its first and last slice: no other
 * span can then claim them. */
static bool spans_mapped(struct mt_snapshot *snapshot,
                         const struct mt_region *region, uint64_t slice,
                         uint64_t id)
{
    const struct mt_index *index = snapshot->index;
    const uint32_t *map =
        index ? index->slice_maps[region - snapshot->model->regions] : NULL;
    const uint32_t *entry;

    /* The current span is tried first. */
    if (map && slice < region->top && map[slice] == id)
        return true;
    entry =
        mt_window_get(snapshot, &snapshot->slices,
                      region->slice_map + slice * sizeof *entry, sizeof *entry);

    return entry && *entry == id;
}

/* Bits of up to 64 blocks are in the record; more are in their section. */
static bool bits_ok(const struct mt_snapshot *snapshot, uint64_t bits,
                    uint32_t n_blocks, uint64_t span, size_t inline_field)
{
    const struct mt_record_map *map = &snapshot->records[MT_RECORD_span_record];
    uint32_t offset = mt_schema_offset(map, (uint32_t)inline_field);

    if (n_blocks <= 64 && offset != UINT32_MAX && bits == span + offset)
        return true;
    return bits % 8 == 0 &&
           mt_section_holds(snapshot, MT_SECTION_BITMAPS, bits,
                            ((uint64_t)n_blocks + 63) / 64 * 8);
}

static bool tags_ok(const struct mt_snapshot *snapshot, uint64_t tags,
                    uint32_t n_blocks, uint64_t span)
{
    const struct mt_record_map *map = &snapshot->records[MT_RECORD_span_record];
    uint32_t offset =
        mt_schema_offset(map, offsetof(struct mt_span_record, inline_tag));

    if (tags == 0 ||
        (n_blocks == 1 && offset != UINT32_MAX && tags == span + offset))
        return true;
    return tags % 8 == 0 && mt_section_holds(snapshot, MT_SECTION_TAGS, tags,
                                             (uint64_t)n_blocks * 8);
}

static bool spans_check(struct mt_snapshot *snapshot,
                        const struct mt_span_record *s, uint64_t id,
                        uint64_t address)
{
    const struct mt_region *region = mt_snapshot_region(snapshot, s->region);
    uint64_t slice = snapshot->slice_bytes, start, end;

    if (region == NULL || s->heap != region->heap || s->n_slices == 0 ||
        (uint64_t)s->first_slice + s->n_slices > region->size / slice)
        return false;
    start = region->base + s->first_slice * slice;
    end = start + s->n_slices * slice;
    if (s->state == MT_SPAN_FREE)
        return true;
    return s->n_blocks > 0 && s->block_bytes >= sizeof(uint64_t) &&
           s->base >= start && s->base < end &&
           s->block_bytes <= (end - s->base) / s->n_blocks &&
           (s->state != MT_SPAN_LARGE || s->n_blocks == 1) &&
           bits_ok(snapshot, s->local, s->n_blocks, address,
                   offsetof(struct mt_span_record, inline_local)) &&
           bits_ok(snapshot, s->remote, s->n_blocks, address,
                   offsetof(struct mt_span_record, inline_remote)) &&
           tags_ok(snapshot, s->tags, s->n_blocks, address) &&
           spans_mapped(snapshot, region, s->first_slice, id) &&
           spans_mapped(snapshot, region, s->first_slice + s->n_slices - 1, id);
}

/* A live target may have been read between two of its stores, or the span's
 * bits and tags lie in what a section has grown by since. */
static bool spans_reread(struct mt_snapshot *snapshot,
                         struct mt_span_record *record, uint64_t address)
{
    const struct mt_section *spans = &snapshot->sections[MT_SECTION_SPANS];
    const void *raw;

    snapshot->spans.bytes = 0;
    snapshot->slices.bytes = 0;
    mt_snapshot_sections(snapshot);
    raw =
        mt_window_get(snapshot, &snapshot->spans, address, spans->entry_bytes);
    if (raw == NULL)
        return false;
    mt_schema_decode(&snapshot->records[MT_RECORD_span_record], raw,
                     spans->entry_bytes, record, sizeof *record);
    return true;
}

bool mt_snapshot_span_ok(struct mt_snapshot *snapshot,
                         struct mt_span_record *record, uint64_t id,
                         uint64_t address)
{
    bool live = snapshot->model->source->process.kind == MT_SOURCE_LIVE;
    unsigned tries = live ? 3 : 0;

    while (!spans_check(snapshot, record, id, address))
        if (tries-- == 0 || !spans_reread(snapshot, record, address))
            return false;
    return true;
}

/* Has the block's span become another one since it was read? */
static bool span_moved(struct mt_snapshot *snapshot,
                       const struct mt_block *block)
{
    const struct mt_section *spans = &snapshot->sections[MT_SECTION_SPANS];
    struct mt_span_record record;
    uint64_t tags =
        snapshot->index ? snapshot->index->more[block->span].tags : 0;

    /* Tags that a span had before it was freed are links of free arrays. */
    if (!mt_snapshot_runs(snapshot) ||
        !spans_reread(snapshot, &record,
                      spans->base + (uint64_t)block->span * spans->entry_bytes))
        return false;
    return record.state != MT_SPAN_SMALL && record.state != MT_SPAN_LARGE
               ? true
               : record.block_bytes != block->block_bytes ||
                     block->address < record.base ||
                     (tags && record.tags != tags);
}

void mt_snapshot_tag(struct mt_snapshot *snapshot, uint64_t tag,
                     uint64_t requested, struct mt_block *block)
{
    struct mt_model *model = snapshot->model;
    bool live = model->source->process.kind == MT_SOURCE_LIVE;
    uint64_t slack = MT_TAG_SLACK(tag);
    bool bad = false;

    block->stack = MT_TAG_STACK(tag);
    block->epoch = MT_TAG_EPOCH(tag);
    block->bytes = block->block_bytes;
    if (block->stack == MT_STACK_UNTRACED) {
        block->epoch = 0;
        return;
    }
    if (requested > 0)
        slack = block->block_bytes - requested;
    if (block->stack >= model->n_stacks && live)
        mt_snapshot_refresh(snapshot);
    else if (block->stack >= MT_STACK_FIRST && block->stack < model->n_stacks &&
             !model->stacks[block->stack].valid && mt_snapshot_runs(snapshot))
        mt_snapshot_stack_again(snapshot, block->stack);
    if (block->stack >= model->n_stacks ||
        (block->stack >= MT_STACK_FIRST &&
         !model->stacks[block->stack].valid)) {
        block->stack = MT_STACK_UNTRACED;
        bad = true;
    }
    if (block->epoch >= model->n_epochs) {
        /* A live target opens epochs while it is read. */
        bad |= !live;
        block->epoch = (uint32_t)(model->n_epochs - 1);
    }
    if (slack <= block->block_bytes)
        block->bytes -= slack;
    else
        bad = true;
    model->coverage.bad_tags += bad && !span_moved(snapshot, block);
}
