/* SPDX-License-Identifier: BSD-2-Clause
 *
 * block_map.h - all blocks of a target, numbered, for analyses that ask of
 * every word of its memory whether it points to a block.
 *
 * A slot is the place of a block, live or not; slots are numbered from 0,
 * span by span, as in struct mt_block.  The map takes 3 bytes a slot and 56 a
 * span.  It
 * is read by any number of threads; of the flags each byte is changed by
 * atomic operations while more than one thread runs.
 */
#ifndef MT_BLOCK_MAP_H
#define MT_BLOCK_MAP_H

#include "coreanalyze/base/error.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/snapshot/span_view.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_model;

/* mt_map.flags[slot] */
#define MT_BLOCK_LIVE 1u
#define MT_BLOCK_REACHED 2u     /* some chain of pointers leads here */
#define MT_BLOCK_DEFINITE 4u    /* one of pointers to starts of blocks */
#define MT_BLOCK_PENDING 8u     /* reached, and still to be scanned */
#define MT_BLOCK_REFERENCED 16u /* lost: another lost block points to it */
#define MT_BLOCK_INDIRECT 32u   /* lost: reached from a leak root */
#define MT_BLOCK_LEAK_ROOT 64u  /* lost: a leak root */
#define MT_BLOCK_CYCLIC 128u    /* lost: no unreferenced block leads to it */

struct mt_map_region {
    uint64_t base, bytes;  /* that spans may lie in */
    const uint32_t *spans; /* index of the span of each slice; 0: none */
    unsigned shift;        /* of a slice */
};

struct mt_map {
    uint64_t low, bytes;           /* all regions lie in [low, low + bytes) */
    struct mt_map_region *regions; /* by base, no overlaps */
    size_t n_regions;
    struct mt_span_view *spans; /* 0 is not used */
    size_t n_spans;
    uint64_t n_slots;
    uint64_t n_live;
    uint8_t *flags;  /* MT_BLOCK_*, by slot */
    uint16_t *slack; /* bytes of the block that were not asked for, by slot */
    bool touching;   /* blocks have nothing to spare between them: an address
                      * just after one is the start of another */
    uint64_t unknown_bytes; /* in spans whose map is damaged */
    struct mt_model *model; /* that it is of; NULL: made by hand */
    pthread_mutex_t lock;   /* for what is read of the model later */
    void *owned;            /* by the maker of the map */
};

/* A block, by its span and its place there. */
struct mt_block_ref {
    uint32_t span, index;
    uint64_t slot;
    uint64_t offset; /* of the address, in the block */
};

/* The map of a model's heaps; it borrows from the model.  NULL when out of
 * memory. */
struct mt_map *mt_model_map(struct mt_model *model, struct mt_error *error);
/* A map without flags and slack, also of a model that is an outline. */
struct mt_map *mt_model_outline(struct mt_model *model, struct mt_error *error);
void mt_map_free(struct mt_map *); /* takes NULL */

/* The code that allocated a block, the return address of the call into the
 * heap; 0 if it is not known.  Any number of threads may ask. */
uint64_t mt_map_site(struct mt_map *map, const struct mt_block_ref *place);

/* Adds [start, start + bytes) as one block that is always live. */
bool mt_map_add_node(struct mt_map *map, uint64_t start, uint64_t bytes,
                     uint32_t *span, struct mt_error *error);

static inline const struct mt_map_region *
mt_map_region(const struct mt_map *map, uint64_t address)
{
    size_t n = mt_count_up_to(map->regions, map->n_regions, base, address);

    if (n == 0 ||
        address - map->regions[n - 1].base >= map->regions[n - 1].bytes)
        return NULL;
    return &map->regions[n - 1];
}

/* The live or free block around `address`; false if there is none. */
static inline bool mt_map_find(const struct mt_map *map, uint64_t address,
                               struct mt_block_ref *place)
{
    const struct mt_map_region *region;
    const struct mt_span_view *span;
    uint64_t offset, i = 0;
    uint32_t id;

    if (address - map->low >= map->bytes)
        return false;
    region = mt_map_region(map, address);
    if (region == NULL)
        return false;
    id = region->spans[(address - region->base) >> region->shift];
    if (id == 0 || id >= map->n_spans)
        return false;
    span = &map->spans[id];
    offset = address - span->base;
    if (address < span->base || span->n_blocks == 0)
        return false;
    if (span->n_blocks > 1)
        i = mt_span_block_at(span, offset);
    offset -= i * span->block_bytes;
    if (i >= span->n_blocks || offset >= span->block_bytes)
        return false;
    *place = (struct mt_block_ref){id, (uint32_t)i, span->first + i, offset};
    return true;
}

/* Bytes that were asked for of a block, as far as is known. */
static inline uint64_t mt_map_bytes(const struct mt_map *map, uint32_t span,
                                    uint64_t slot)
{
    const struct mt_span_view *s = &map->spans[span];

    return s->requested ? s->requested : s->block_bytes - map->slack[slot];
}

static inline uint64_t mt_map_address(const struct mt_map *map, uint32_t span,
                                      uint32_t index)
{
    return map->spans[span].base + index * map->spans[span].block_bytes;
}

#endif
