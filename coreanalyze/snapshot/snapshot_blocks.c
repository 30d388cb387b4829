/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_blocks.c - the walk over all live blocks, span by span: which blocks
 * are live is in the index, and their tags are read in pieces, so that memory
 * stays bounded however big the heap is.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#define PIECE_BLOCKS 16384u /* a multiple of 64 */
#define AHEAD 16u           /* blocks whose stacks are on their way */

struct walk {
    struct mt_snapshot *snapshot;
    bool (*visit)(void *context, const struct mt_block *);
    void *context;
    struct mt_heap_usage *usage;
    /* The current span. */
    uint32_t id;
    const struct mt_span_view *span;
    const struct mt_span_more *more;
    uint64_t live_blocks, requested_bytes; /* of it */
    struct mt_block block;                 /* of it, the one that is visited */
    bool stopped;
};

/* The sums of the span's class, or NULL if nobody wants them. */
static struct mt_class_usage *walk_class_of(const struct walk *walk)
{
    const struct mt_heap_usage *usage = &walk->usage[walk->span->heap];

    if (usage->classes == NULL)
        return NULL;
    return &usage->classes[walk->more->state == MT_SPAN_SMALL
                               ? walk->more->size_class
                               : MT_MAX_CLASSES];
}

/* Of the live blocks of a span, those that were visited. */
static void add_usage(struct walk *walk)
{
    struct mt_heap_usage *usage = &walk->usage[walk->span->heap];
    struct mt_class_usage *size_class = walk_class_of(walk);
    uint64_t used = walk->live_blocks * walk->span->block_bytes;

    usage->used_bytes += used;
    usage->requested_bytes += walk->requested_bytes;
    usage->live_blocks += walk->live_blocks;
    if (size_class) {
        size_class->used_bytes += used;
        size_class->requested_bytes += walk->requested_bytes;
        size_class->live_blocks += walk->live_blocks;
    }
}

static void add_free(struct walk *walk, uint64_t blocks)
{
    struct mt_class_usage *size_class = walk_class_of(walk);

    walk->usage[walk->span->heap].free_blocks += blocks;
    if (size_class)
        size_class->free_blocks += blocks;
}

static void add_span(struct walk *walk)
{
    struct mt_class_usage *size_class = walk_class_of(walk);

    walk->usage[walk->span->heap].spans++;
    if (size_class) {
        size_class->spans++;
        size_class->committed_bytes +=
            walk->more->n_slices * walk->snapshot->slice_bytes;
        if (walk->more->state == MT_SPAN_SMALL)
            size_class->block_bytes = walk->span->block_bytes;
    }
}

/* What is the same in all blocks of the span. */
static void walk_enter(struct walk *walk)
{
    walk->live_blocks = walk->requested_bytes = 0;
    walk->block = (struct mt_block){
        .block_bytes = walk->span->block_bytes,
        .heap = walk->span->heap,
        .span = walk->id,
        .owner = walk->more->owner,
        .live = true,
    };
}

/* What most tags say; false: a tag that must be looked at closely. */
static inline bool walk_plain_tag(const struct mt_model *model, uint64_t tag,
                                  uint64_t requested, struct mt_block *block)
{
    uint64_t all = block->block_bytes;
    uint64_t slack = requested ? all - requested : MT_TAG_SLACK(tag);
    uint32_t stack = MT_TAG_STACK(tag), epoch = MT_TAG_EPOCH(tag);

    block->stack = stack;
    block->epoch = epoch;
    block->bytes = all - slack;
    return stack >= MT_ID_FIRST && stack < model->n_stacks &&
           model->stacks[stack].valid && epoch < model->n_epochs &&
           slack <= all;
}

static inline bool visit_live(struct walk *walk, uint32_t index, uint64_t tag)
{
    struct mt_snapshot *snapshot = walk->snapshot;
    const struct mt_span_view *s = walk->span;
    struct mt_block *block = &walk->block;

    block->address = s->base + index * block->block_bytes;
    block->index = index;
    block->slot = s->first + index;
    if (!walk_plain_tag(snapshot->model, tag, s->requested, block))
        mt_snapshot_tag(snapshot, tag, s->requested, block);
    walk->live_blocks++;
    walk->requested_bytes += block->bytes;
    return walk->visit(walk->context, block);
}

/* Blocks [from, from + n) of the span; n is at most PIECE_BLOCKS. */
static bool walk_piece(struct walk *walk, uint32_t from, uint32_t n)
{
    struct mt_snapshot *snapshot = walk->snapshot;
    const struct mt_span_more *more = walk->more;
    const uint64_t *bits = snapshot->index->bits + more->bits + from / 64;
    const struct mt_model *model = snapshot->model;
    const uint64_t *tags = &more->tag;

    if (more->tags)
        tags = mt_window_get(snapshot, &snapshot->tags,
                             more->tags + (uint64_t)from * 8, (size_t)n * 8);
    if (tags == NULL)
        snapshot->model->coverage.unreadable_bytes += (uint64_t)n * 8;
    for (uint32_t w = 0; w < (n + 63) / 64; w++) {
        uint32_t left = n - w * 64;
        uint64_t all = left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
        uint64_t live = ~bits[w] & all;
        if (walk->usage && more->state == MT_SPAN_SMALL)
            add_free(walk, (uint64_t)__builtin_popcountll(all & ~live));
        for (; live; live &= live - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(live);
            uint64_t tag = more->tags == 0 ? more->tag : tags ? tags[i] : 0;
            /* Stacks are all over their table. */
            if (more->tags && tags && n - i > AHEAD &&
                MT_TAG_STACK(tags[i + AHEAD]) < model->n_stacks)
                __builtin_prefetch(
                    &model->stacks[MT_TAG_STACK(tags[i + AHEAD])]);
            if (!visit_live(walk, from + i, tag))
                return false;
        }
    }
    return true;
}

static bool walk_blocks(struct walk *walk)
{
    uint32_t n_blocks = walk->span->n_blocks, n;
    bool more = true;

    if (walk->usage)
        add_span(walk);
    walk_enter(walk);
    for (uint32_t from = 0; from < n_blocks && more; from += n) {
        n = n_blocks - from < PIECE_BLOCKS ? n_blocks - from : PIECE_BLOCKS;
        more = walk_piece(walk, from, n);
    }
    if (walk->usage)
        add_usage(walk);
    return more;
}

static bool walk_span(void *context, uint32_t id)
{
    struct walk *walk = context;
    struct mt_model *model = walk->snapshot->model;
    const struct mt_index *index = walk->snapshot->index;

    if (id / 1024 != walk->id / 1024 &&
        !mt_model_step(model, "reading the blocks", id, index->n_spans)) {
        model->coverage.interrupted = true;
        return false;
    }
    walk->id = id;
    walk->span = &index->spans[id];
    walk->more = &index->more[id];
    if (walk->more->state != MT_SPAN_FREE)
        walk->stopped = !walk_blocks(walk);
    else if (walk->usage)
        walk->usage[walk->span->heap].free_chunks++;
    return !walk->stopped;
}

bool mt_model_each_block(struct mt_model *model,
                         bool (*visit)(void *context, const struct mt_block *),
                         void *context, struct mt_heap_usage *usage,
                         struct mt_error *error)
{
    struct walk walk = {.snapshot = model->snapshot,
                        .visit = visit,
                        .context = context,
                        .usage = usage,
                        .id = UINT32_MAX};

    if (!mt_snapshot_each_span(model->snapshot, walk_span, &walk))
        return mt_no_memory(error, "the blocks");
    if (model->snapshot->no_memory)
        return mt_no_memory(error, "the blocks");
    return !walk.stopped || mt_fail(error, "the walk over the blocks stopped");
}
