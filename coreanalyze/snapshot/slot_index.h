/* SPDX-License-Identifier: BSD-2-Clause
 *
 * slot_index.h - from the slot of a block to its span.
 */
#ifndef MT_SLOT_INDEX_H
#define MT_SLOT_INDEX_H

#include "coreanalyze/snapshot/block_map.h"

#define MT_SLOTS_OF_HINT 64u

struct mt_slot_index {
    const struct mt_map *map;
    uint32_t *spans; /* that have blocks, by first slot */
    size_t n_spans;
    uint32_t *hints; /* of every 64th slot, where its span is in `spans` */
};

/* False when out of memory; mt_slot_index_free() is then due, too.  The map
 * must not get other spans. */
bool mt_slot_index_make(struct mt_slot_index *index, const struct mt_map *map);
void mt_slot_index_free(struct mt_slot_index *index);

/* Where the span of a slot of the map is in index->spans. */
static inline size_t mt_slot_index_at(const struct mt_slot_index *index,
                                      uint64_t slot)
{
    const struct mt_span_view *spans = index->map->spans;
    size_t low = index->hints[slot / MT_SLOTS_OF_HINT];
    size_t high = (size_t)index->hints[slot / MT_SLOTS_OF_HINT + 1] + 1;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (spans[index->spans[middle]].first <= slot)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static inline uint32_t mt_slot_span(const struct mt_slot_index *index,
                                    uint64_t slot)
{
    return index->spans[mt_slot_index_at(index, slot)];
}

/* Fills in the span of a slot, and the index there. */
static inline void mt_slot_place(const struct mt_slot_index *index,
                                 struct mt_block_ref *place)
{
    place->span = mt_slot_span(index, place->slot);
    place->index =
        (uint32_t)(place->slot - index->map->spans[place->span].first);
}

#endif
