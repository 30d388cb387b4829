/* SPDX-License-Identifier: BSD-2-Clause
 *
 * block_map.c - the parts of a map of blocks that do not need a snapshot.
 */
#include "coreanalyze/snapshot/block_map.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* With r = ceil(2^40 / b) and e = r * b - 2^40 < b, offset * r >> 40 is
 * offset / b as long as offset * e < 2^40; and offset * r must fit. */
uint64_t mt_span_recip(uint64_t block_bytes, uint64_t n_blocks)
{
    uint64_t one = UINT64_C(1) << 40, recip, end;

    if (block_bytes == 0 || block_bytes >= one || n_blocks < 2 ||
        n_blocks > (UINT64_C(1) << 32))
        return 0;
    recip = (one + block_bytes - 1) / block_bytes;
    if (__builtin_mul_overflow(block_bytes, n_blocks, &end))
        return 0;
    /* A look-up may also ask for the slice after the last block. */
    end += UINT64_C(1) << 20;
    if (end >= one / block_bytes || end > UINT64_MAX / recip)
        return 0;
    return recip;
}

/* The slice of a node is the smallest power of two that holds all of it. */
static const uint32_t *one_slice(uint32_t span)
{
    uint32_t *spans = malloc(sizeof *spans);

    if (spans)
        *spans = span;
    return spans;
}

bool mt_map_add_node(struct mt_map *map, uint64_t start, uint64_t bytes,
                     uint32_t *id, struct mt_error *error)
{
    size_t at = map->n_regions;
    const uint32_t *slices = one_slice((uint32_t)map->n_spans);
    struct mt_map_region *regions;
    uint64_t end;

    /* Nodes are few, and the other blocks many: doubling would take more. */
    if (!slices ||
        !mt_resize(&map->regions, map->n_regions + 1, sizeof *map->regions) ||
        !mt_resize(&map->spans, map->n_spans + 1, sizeof *map->spans) ||
        !mt_resize(&map->flags, map->n_slots + 1, sizeof *map->flags) ||
        !mt_resize(&map->slack, map->n_slots + 1, sizeof *map->slack)) {
        free((void *)(uintptr_t)slices);
        return mt_no_memory(error, "the map of blocks");
    }
    regions = map->regions;
    while (at > 0 && regions[at - 1].base > start)
        at--;
    memmove(&regions[at + 1], &regions[at],
            (map->n_regions - at) * sizeof *regions);
    regions[at] = (struct mt_map_region){start, bytes, slices, 63};
    map->n_regions++;
    map->spans[map->n_spans] = (struct mt_span_view){
        .base = start,
        .block_bytes = bytes,
        .requested = bytes,
        .first = map->n_slots,
        .n_blocks = 1,
        .node = true,
    };
    map->flags[map->n_slots] = MT_BLOCK_LIVE;
    map->slack[map->n_slots++] = 0;
    *id = (uint32_t)map->n_spans++;
    end = map->low + map->bytes;
    if (map->bytes == 0 || start < map->low)
        map->low = start;
    if (map->bytes == 0 || end < start + bytes)
        end = start + bytes;
    map->bytes = end - map->low;
    return true;
}

void mt_map_free(struct mt_map *map)
{
    if (map == NULL)
        return;
    for (size_t i = 0; i < map->n_regions; i++)
        if (map->regions[i].shift == 63)
            free((void *)(uintptr_t)map->regions[i].spans);
    free(map->regions);
    free(map->spans);
    free(map->flags);
    free(map->slack);
    free(map->owned);
    free(map);
}
