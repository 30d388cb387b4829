/* SPDX-License-Identifier: BSD-2-Clause
 *
 * slot_index.c - the spans that have blocks, by their first slots.
 */
#include "coreanalyze/snapshot/slot_index.h"

#include <stdlib.h>

bool mt_slot_index_make(struct mt_slot_index *index, const struct mt_map *map)
{
    uint64_t n_hints = map->n_slots / MT_SLOTS_OF_HINT + 2;
    uint32_t at = 0;

    *index = (struct mt_slot_index){
        .map = map,
        .spans = calloc(map->n_spans + 1, sizeof *index->spans),
        .hints = calloc(n_hints, sizeof *index->hints),
    };
    if (!index->spans || !index->hints)
        return false;
    for (size_t i = 1; i < map->n_spans; i++)
        if (map->spans[i].n_blocks > 0)
            index->spans[index->n_spans++] = (uint32_t)i;
    for (uint64_t i = 0; i < n_hints; i++) {
        while (at + 1 < index->n_spans &&
               map->spans[index->spans[at + 1]].first <= i * MT_SLOTS_OF_HINT)
            at++;
        index->hints[i] = at;
    }
    return true;
}

void mt_slot_index_free(struct mt_slot_index *index)
{
    free(index->spans);
    free(index->hints);
    *index = (struct mt_slot_index){0};
}
