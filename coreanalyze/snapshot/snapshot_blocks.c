/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_blocks.c - the walk over all live blocks: span by span, and in a
 * span in pieces, so that memory stays bounded however big the heap is.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <string.h>

#define PIECE_BLOCKS 16384u /* a multiple of 64 */

struct walk {
    struct mt_snapshot *snapshot;
    bool (*visit)(void *context, const struct mt_block *);
    void *context;
    struct mt_heap_usage *usage;
    uint64_t id, address; /* of the span */
    struct mt_span_record span;
    /* Honest spans share no bitmaps: bytes that they may still take. */
    uint64_t bit_budget;
    bool stopped;
};

/* The sums of the span's class, or NULL if nobody wants them. */
static struct mt_class_usage *walk_class_of(const struct walk *walk)
{
    const struct mt_span_record *s = &walk->span;

    if (walk->usage == NULL || walk->usage[s->heap].classes == NULL)
        return NULL;
    return &walk->usage[s->heap]
                .classes[s->state == MT_SPAN_SMALL ? s->size_class
                                                   : MT_MAX_CLASSES];
}

static void add_usage(struct walk *walk, const struct mt_block *block)
{
    struct mt_heap_usage *usage = &walk->usage[walk->span.heap];
    struct mt_class_usage *size_class = walk_class_of(walk);

    usage->used_bytes += block->block_bytes;
    usage->requested_bytes += block->bytes;
    usage->live_blocks++;
    if (size_class) {
        size_class->used_bytes += block->block_bytes;
        size_class->requested_bytes += block->bytes;
        size_class->live_blocks++;
    }
}

static void add_free(struct walk *walk, uint64_t blocks)
{
    struct mt_class_usage *size_class = walk_class_of(walk);

    walk->usage[walk->span.heap].free_blocks += blocks;
    if (size_class)
        size_class->free_blocks += blocks;
}

static void add_span(struct walk *walk)
{
    const struct mt_span_record *s = &walk->span;
    struct mt_class_usage *size_class = walk_class_of(walk);

    walk->usage[s->heap].spans++;
    if (size_class) {
        size_class->spans++;
        size_class->committed_bytes +=
            s->n_slices * walk->snapshot->slice_bytes;
        if (s->state == MT_SPAN_SMALL)
            size_class->block_bytes = s->block_bytes;
    }
}

static bool visit_live(struct walk *walk, uint32_t index, uint64_t tag)
{
    const struct mt_span_record *s = &walk->span;
    struct mt_block block = {
        .address = s->base + index * s->block_bytes,
        .block_bytes = s->block_bytes,
        .heap = s->heap,
        .span = (uint32_t)walk->id,
    };

    mt_snapshot_tag(walk->snapshot, tag,
                    s->state == MT_SPAN_LARGE ? s->requested : 0, &block);
    if (walk->usage)
        add_usage(walk, &block);
    return walk->visit(walk->context, &block);
}

/* Bits of words [from, from + n), from the record or their section. */
static const uint64_t *get_bits(struct walk *walk, struct mt_window *window,
                                uint64_t bits, const uint64_t *inside,
                                uint32_t from, uint32_t n)
{
    uint64_t spans = walk->snapshot->sections[MT_SECTION_SPANS].entry_bytes;

    if (bits >= walk->address && bits < walk->address + spans)
        return inside;
    return mt_window_get(walk->snapshot, window, bits + (uint64_t)from * 8,
                         (size_t)n * 8);
}

static const uint64_t *get_tags(struct walk *walk, uint32_t from, uint32_t n)
{
    const struct mt_span_record *s = &walk->span;
    uint64_t spans = walk->snapshot->sections[MT_SECTION_SPANS].entry_bytes;

    if (s->tags >= walk->address && s->tags < walk->address + spans)
        return &s->inline_tag;
    return mt_window_get(walk->snapshot, &walk->snapshot->tags,
                         s->tags + (uint64_t)from * 8, (size_t)n * 8);
}

/* Blocks [from, from + n) of the span; n is at most PIECE_BLOCKS. */
static bool walk_piece(struct walk *walk, uint32_t from, uint32_t n)
{
    struct mt_snapshot *snapshot = walk->snapshot;
    const struct mt_span_record *s = &walk->span;
    struct mt_coverage *coverage = &snapshot->model->coverage;
    uint32_t words = (n + 63) / 64;
    const uint64_t *local = get_bits(walk, &snapshot->local, s->local,
                                     &s->inline_local, from / 64, words);
    const uint64_t *remote = get_bits(walk, &snapshot->remote, s->remote,
                                      &s->inline_remote, from / 64, words);
    const uint64_t *tags = s->tags ? get_tags(walk, from, n) : NULL;

    if (local == NULL || remote == NULL) {
        coverage->unreadable_bytes += (uint64_t)words * 8;
        return true;
    }
    if (s->tags && tags == NULL)
        coverage->unreadable_bytes += (uint64_t)n * 8;
    for (uint32_t w = 0; w < words; w++) {
        uint32_t left = n - w * 64;
        uint64_t all = left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
        uint64_t live = ~(local[w] | remote[w]) & all;
        if (walk->usage && s->state == MT_SPAN_SMALL)
            add_free(walk, (uint64_t)__builtin_popcountll(all & ~live));
        for (; live; live &= live - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(live);
            if (!visit_live(walk, from + i, tags ? tags[i] : 0))
                return false;
        }
    }
    return true;
}

static bool afford_bits(struct walk *walk)
{
    uint64_t bytes = ((uint64_t)walk->span.n_blocks + 63) / 64 * 16;

    if (walk->span.n_blocks <= 64)
        return true;
    if (bytes > walk->bit_budget)
        return false;
    walk->bit_budget -= bytes;
    return true;
}

static bool walk_span(struct walk *walk)
{
    struct mt_snapshot *snapshot = walk->snapshot;
    struct mt_span_record *s = &walk->span;
    uint32_t n;

    if (s->state == MT_SPAN_UNUSED)
        return true;
    if (!mt_snapshot_span_ok(snapshot, s, walk->id, walk->address) ||
        s->state > MT_SPAN_LARGE || !afford_bits(walk)) {
        /* While it was looked at again, a live target may have let it go. */
        snapshot->model->coverage.skipped_spans += s->state != MT_SPAN_UNUSED;
        return true;
    }
    if (s->state == MT_SPAN_FREE) {
        if (walk->usage)
            walk->usage[s->heap].free_chunks++;
        return true;
    }
    if (walk->usage)
        add_span(walk);
    for (uint32_t from = 0; from < s->n_blocks; from += n) {
        n = s->n_blocks - from;
        n = n < PIECE_BLOCKS ? n : PIECE_BLOCKS;
        if (!walk_piece(walk, from, n))
            return false;
    }
    return true;
}

static bool walk_visit_span(void *context, uint64_t index, uint64_t address,
                            const void *record)
{
    struct walk *walk = context;
    struct mt_model *model = walk->snapshot->model;
    uint64_t total = walk->snapshot->sections[MT_SECTION_SPANS].entries;

    if (index % 1024 == 0 &&
        !mt_model_step(model, "reading the blocks", index, total)) {
        model->coverage.interrupted = true;
        return false;
    }
    walk->id = index;
    walk->address = address;
    memcpy(&walk->span, record, sizeof walk->span);
    walk->stopped = !walk_span(walk);
    return !walk->stopped;
}

bool mt_model_each_block(struct mt_model *model,
                         bool (*visit)(void *context, const struct mt_block *),
                         void *context, struct mt_heap_usage *usage,
                         struct mt_error *error)
{
    struct mt_snapshot *snapshot = model->snapshot;
    struct walk walk = {
        .snapshot = snapshot,
        .visit = visit,
        .context = context,
        .usage = usage,
        .bit_budget = snapshot->sections[MT_SECTION_BITMAPS].used,
    };

    if (model->source->process.kind == MT_SOURCE_LIVE)
        mt_snapshot_sections(snapshot);
    if (!mt_snapshot_each(snapshot, MT_SECTION_SPANS, MT_RECORD_span_record, 1,
                          UINT64_MAX, walk_visit_span, &walk))
        return mt_no_memory(error, "the blocks");
    return !walk.stopped || mt_fail(error, "the walk over the blocks stopped");
}
