/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_map.c - numbers the blocks of the heaps: see block_map.h.
 */
#include "coreanalyze/snapshot/block_map.h"
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <stdlib.h>
#include <string.h>

/* Slots of live blocks get their flag, and their slack out of their tag. */
static void fill_span(struct mt_snapshot *snapshot, struct mt_map *map,
                      const struct mt_span_more *more,
                      const struct mt_span_view *span)
{
    const uint64_t *bits = snapshot->index->bits + more->bits;

    for (uint32_t i = 0; i < span->n_blocks; i += 64) {
        uint32_t n = span->n_blocks - i < 64 ? span->n_blocks - i : 64;
        uint64_t all = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
        uint64_t live = ~bits[i / 64] & all;
        const uint64_t *tags = more->tags ? NULL : &more->tag;
        map->n_live += (uint64_t)__builtin_popcountll(live);
        if (live && more->tags && span->requested == 0)
            tags = mt_window_get(snapshot, &snapshot->tags,
                                 more->tags + (uint64_t)i * 8, n * 8);
        for (; live; live &= live - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(live);
            uint64_t slot = span->first + i + bit;
            uint64_t slack = tags && MT_TAG_STACK(tags[bit]) != 0
                                 ? MT_TAG_SLACK(tags[bit])
                                 : 0;
            map->flags[slot] = MT_BLOCK_LIVE;
            if (slack <= span->block_bytes)
                map->slack[slot] = (uint16_t)slack;
        }
    }
}

static void fill_spans(struct mt_snapshot *snapshot, struct mt_map *map)
{
    for (size_t i = 1; i < map->n_spans; i++) {
        const struct mt_span_view *span = &map->spans[i];
        if (span->n_blocks > 0)
            fill_span(snapshot, map, &snapshot->index->more[i], span);
    }
}

static void number_regions(const struct mt_snapshot *snapshot,
                           struct mt_map *map)
{
    const struct mt_model *model = snapshot->model;
    unsigned shift = (unsigned)__builtin_ctzll(snapshot->slice_bytes);

    for (size_t i = 0; i < model->n_regions; i++) {
        const struct mt_region *r = &model->regions[i];
        const uint32_t *spans = snapshot->index->slice_maps[i];
        uint64_t bytes = r->top * snapshot->slice_bytes;
        if (spans == NULL || bytes == 0)
            continue;
        if (map->n_regions == 0)
            map->low = r->base;
        map->bytes = r->base + bytes - map->low;
        map->regions[map->n_regions++] =
            (struct mt_map_region){r->base, bytes, spans, shift};
    }
}

/* Spans and regions; NULL when out of memory. */
static struct mt_map *make_map(struct mt_model *model)
{
    struct mt_snapshot *snapshot = model->snapshot;
    const struct mt_index *index = mt_snapshot_index(snapshot);
    struct mt_map *map = calloc(1, sizeof *map);

    if (index && map) {
        map->spans = calloc(index->n_spans + 1, sizeof *map->spans);
        map->regions = calloc(model->n_regions + 1, sizeof *map->regions);
    }
    if (map == NULL || map->spans == NULL || map->regions == NULL) {
        mt_map_free(map);
        return NULL;
    }
    map->touching = model->spare_bytes == 0;
    map->model = model;
    pthread_mutex_init(&map->lock, NULL);
    map->n_spans = index->n_spans ? index->n_spans : 1;
    map->n_slots = index->n_slots;
    memcpy(map->spans, index->spans, map->n_spans * sizeof *map->spans);
    number_regions(snapshot, map);
    return map;
}

struct mt_map *mt_model_outline(struct mt_model *model, struct mt_error *error)
{
    struct mt_map *map = make_map(model);

    if (map == NULL)
        mt_no_memory(error, "the map of blocks");
    return map;
}

struct mt_map *mt_model_map(struct mt_model *model, struct mt_error *error)
{
    struct mt_map *map = make_map(model);

    if (map) {
        map->flags = calloc(map->n_slots + 1, sizeof *map->flags);
        map->slack = calloc(map->n_slots + 1, sizeof *map->slack);
        if (map->flags && map->slack) {
            fill_spans(model->snapshot, map);
            return map;
        }
    }
    mt_map_free(map);
    mt_no_memory(error, "the map of blocks");
    return NULL;
}

uint64_t mt_map_site(struct mt_map *map, const struct mt_block_ref *place)
{
    uint64_t frames[MT_MAX_FRAMES], site = 0;
    struct mt_block block;

    if (!map->model || map->spans[place->span].node)
        return 0;
    pthread_mutex_lock(&map->lock);
    if (mt_model_block(map->model, place->span, place->index, &block) &&
        block.stack >= MT_ID_FIRST &&
        mt_model_frames(map->model, block.stack, frames) > 0)
        site = frames[0];
    pthread_mutex_unlock(&map->lock);
    return site;
}
