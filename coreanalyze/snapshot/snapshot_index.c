/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_index.c - reads the slice maps, the spans and the free bits of their
 * blocks, once; all that walks over blocks or looks for them uses what was read
 * here.  A span that makes no sense is skipped, and counted.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of bitmaps that may come while a process is read. */
#define RUNNING_BITMAP_BYTES (UINT64_C(4) << 20)

#define PIECE_WORDS 1024u

struct index_reader {
    struct mt_index *index;
    mt_visit_span *visit; /* or NULL */
    void *context;
    bool stopped; /* by `visit` */
};

void mt_index_free(struct mt_index *index)
{
    if (index == NULL)
        return;
    for (size_t i = 0;
         index->slice_maps && i < index->snapshot->model->n_regions; i++)
        free(index->slice_maps[i]);
    free(index->slice_maps);
    free(index->spans);
    free(index->more);
    free(index->bits);
    free(index);
}

static bool inside(uint64_t address, uint64_t record, uint64_t bytes)
{
    return address >= record && address - record < bytes;
}

/* Sets the bits of a span that one of its two bitmaps has. */
static bool index_add_bits(struct mt_index *index, struct mt_window *window,
                           uint64_t address, uint64_t *to, size_t words)
{
    for (size_t from = 0; from < words; from += PIECE_WORDS) {
        size_t n = words - from < PIECE_WORDS ? words - from : PIECE_WORDS;
        const uint64_t *bits =
            mt_window_get(index->snapshot, window, address + from * 8, n * 8);
        if (bits == NULL)
            return false;
        for (size_t i = 0; i < n; i++)
            to[from + i] |= bits[i];
    }
    return true;
}

/* Copies the free bits of a span, whose record is at `address`.  False if they
 * cannot be read, or belong to other spans too. */
static bool index_load_bits(struct mt_index *index,
                            const struct mt_span_record *s, uint64_t address)
{
    struct mt_snapshot *snapshot = index->snapshot;
    uint64_t own = snapshot->sections[MT_SECTION_SPANS].entry_bytes;
    size_t words = ((size_t)s->n_blocks + 63) / 64;
    uint64_t *to;
    bool ok = true;

    if (s->n_blocks > 64) {
        if (words * 16 > index->bit_budget) {
            snapshot->model->coverage.skipped_spans++;
            return false;
        }
        index->bit_budget -= words * 16;
    }
    if (!mt_grow(&index->bits, &index->bits_capacity, index->n_bits + words,
                 sizeof *index->bits)) {
        index->out_of_memory = true;
        return false;
    }
    to = index->bits + index->n_bits;
    memset(to, 0, words * sizeof *to);
    if (inside(s->local, address, own))
        to[0] |= s->inline_local;
    else
        ok = index_add_bits(index, &snapshot->local, s->local, to, words);
    if (inside(s->remote, address, own))
        to[0] |= s->inline_remote;
    else
        ok = ok &&
             index_add_bits(index, &snapshot->remote, s->remote, to, words);
    if (ok)
        index->n_bits += words;
    else
        snapshot->model->coverage.unreadable_bytes += words * 8;
    return ok;
}

static void index_add_span(struct mt_index *index, uint64_t id,
                           const struct mt_span_record *s, uint64_t address,
                           uint64_t bits)
{
    struct mt_snapshot *snapshot = index->snapshot;
    uint64_t own = snapshot->sections[MT_SECTION_SPANS].entry_bytes;
    bool large = s->state == MT_SPAN_LARGE, free = s->state == MT_SPAN_FREE;
    bool inline_tag = inside(s->tags, address, own);

    index->more[id] = (struct mt_span_more){
        .tags = inline_tag ? 0 : s->tags,
        .tag = inline_tag ? s->inline_tag : 0,
        .bits = bits,
        .first_slice = s->first_slice,
        .n_slices = s->n_slices,
        .owner = s->owner,
        .size_class = s->size_class,
        .state = s->state,
    };
    index->spans[id] = (struct mt_span_view){
        .base = s->base,
        .block_bytes = s->block_bytes,
        .recip = free ? 0 : mt_span_recip(s->block_bytes, s->n_blocks),
        .first = index->n_slots,
        .requested = large && s->requested <= s->block_bytes ? s->requested : 0,
        .n_blocks = free ? 0 : s->n_blocks,
        .heap = s->heap,
    };
    index->n_slots += index->spans[id].n_blocks;
    if (large && s->requested > s->block_bytes && !mt_snapshot_runs(snapshot))
        snapshot->model->coverage.bad_tags++;
}

static bool index_visit_span(void *context, uint64_t id, uint64_t address,
                             const void *record)
{
    struct index_reader *reader = context;
    struct mt_index *index = reader->index;
    struct mt_snapshot *snapshot = index->snapshot;
    uint64_t bits = index->n_bits;
    struct mt_span_record s;

    memcpy(&s, record, sizeof s);
    if (s.state == MT_SPAN_UNUSED)
        return true;
    if (!mt_snapshot_span_ok(snapshot, &s, id, address) ||
        s.state > MT_SPAN_LARGE) {
        /* While it was looked at again, a live target may have let it go. */
        snapshot->model->coverage.skipped_spans += s.state != MT_SPAN_UNUSED;
        return true;
    }
    if (s.state != MT_SPAN_FREE && !snapshot->outline &&
        !index_load_bits(index, &s, address))
        return !index->out_of_memory;
    index_add_span(index, id, &s, address, bits);
    reader->stopped =
        reader->visit && !reader->visit(reader->context, (uint32_t)id);
    return !reader->stopped;
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
    return !index->out_of_memory;
}

static bool index_read(struct mt_snapshot *snapshot,
                       struct index_reader *reader)
{
    struct mt_index *index = calloc(1, sizeof *index);
    bool ok;

    if (index == NULL)
        return false;
    if (snapshot->model->source->process.kind == MT_SOURCE_LIVE)
        mt_snapshot_sections(snapshot);
    reader->index = index;
    index->snapshot = snapshot;
    index->n_spans = snapshot->sections[MT_SECTION_SPANS].entries;
    index->bit_budget = snapshot->sections[MT_SECTION_BITMAPS].used;
    /* Of a process that runs, a bitmap may be seen as that of its next span,
     * too, and there are more of them by now. */
    if (mt_snapshot_runs(snapshot))
        index->bit_budget = index->bit_budget * 2 + RUNNING_BITMAP_BYTES;
    index->spans = calloc(index->n_spans + 1, sizeof *index->spans);
    index->more = calloc(index->n_spans + 1, sizeof *index->more);
    ok = index->spans && index->more && load_slice_maps(index);
    if (ok) {
        /* Spans are checked against the slice maps, which are part of it. */
        snapshot->index = index;
        ok = mt_snapshot_each(snapshot, MT_SECTION_SPANS, MT_RECORD_span_record,
                              1, UINT64_MAX, index_visit_span, reader) &&
             !index->out_of_memory;
    }
    if (!ok || reader->stopped) {
        snapshot->index = NULL;
        mt_index_free(index);
    }
    return ok;
}

struct mt_index *mt_snapshot_index(struct mt_snapshot *snapshot)
{
    struct index_reader reader = {0};

    if (snapshot->index == NULL)
        index_read(snapshot, &reader);
    return snapshot->index;
}

bool mt_snapshot_each_span(struct mt_snapshot *snapshot, mt_visit_span *visit,
                           void *context)
{
    struct index_reader reader = {.visit = visit, .context = context};
    const struct mt_index *index = snapshot->index;

    if (index == NULL)
        return index_read(snapshot, &reader);
    for (size_t id = 1; id < index->n_spans; id++)
        if (index->more[id].state != MT_SPAN_UNUSED &&
            !visit(context, (uint32_t)id))
            break;
    return true;
}
