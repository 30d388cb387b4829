/* SPDX-License-Identifier: BSD-2-Clause
 *
 * marks.h - graphs of blocks made by hand, for tests of the mark engine.  The
 * "target" is a buffer of this process; its addresses are the target's.
 */
#ifndef MT_TESTS_MARKS_H
#define MT_TESTS_MARKS_H

#include "coreanalyze/reach/mark.h"
#include "coreanalyze/source/source.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#define GRAPH_BASE UINT64_C(0x7f0000000000)
#define SLICE_SHIFT 14

struct graph {
    struct mt_source source; /* first */
    struct mt_source_ops ops;
    uint64_t *memory; /* roots first, then the blocks */
    size_t root_words, words, block_words, n_blocks;
    struct mt_map *map;
    struct mt_mark_options options;
    struct mt_mark mark;
    uint64_t hole, hole_end; /* not readable */
};

static size_t graph_read(struct mt_source *source, uint64_t address,
                         void *buffer, size_t bytes)
{
    struct graph *g = (struct graph *)source;
    uint64_t end = GRAPH_BASE + g->words * 8;

    if (address < GRAPH_BASE || address >= end ||
        (address >= g->hole && address < g->hole_end))
        return 0;
    if (address < g->hole && end > g->hole)
        end = g->hole;
    if (bytes > end - address)
        bytes = end - address;
    memcpy(buffer, (const char *)g->memory + (address - GRAPH_BASE), bytes);
    return bytes;
}

static const void *graph_extent(struct mt_source *source, uint64_t address,
                                uint64_t *start, uint64_t *bytes)
{
    struct graph *g = (struct graph *)source;

    *start = GRAPH_BASE;
    *bytes = g->words * 8;
    if (address - GRAPH_BASE >= *bytes ||
        (address >= g->hole && address < g->hole_end))
        return NULL;
    if (address < g->hole)
        *bytes = g->hole - *start;
    else if (g->hole_end) {
        *bytes -= g->hole_end - *start;
        *start = g->hole_end;
    }
    return (const char *)g->memory + (*start - GRAPH_BASE);
}

/* One span of n blocks after root_words words of roots (a multiple of a slice
 * is taken for them). */
static struct graph *graph_new(size_t root_words, size_t n, size_t block_bytes)
{
    struct graph *g = calloc(1, sizeof *g);
    size_t slice = 1u << SLICE_SHIFT;
    size_t roots = (root_words * 8 + slice - 1) & ~(slice - 1);
    size_t bytes = (n * block_bytes + slice - 1) & ~(slice - 1);
    uint32_t *slices = calloc(bytes / slice + 1, sizeof *slices);

    g->root_words = root_words;
    g->block_words = block_bytes / 8;
    g->n_blocks = n;
    g->words = (roots + bytes) / 8;
    g->memory = calloc(g->words, 8);
    g->ops = (struct mt_source_ops){.read = graph_read, .extent = graph_extent};
    g->source.ops = &g->ops;
    g->map = calloc(1, sizeof *g->map);
    g->map->low = GRAPH_BASE + roots;
    g->map->bytes = bytes;
    g->map->n_regions = 1;
    g->map->regions = calloc(1, sizeof *g->map->regions);
    g->map->regions[0] =
        (struct mt_map_region){GRAPH_BASE + roots, bytes, slices, SLICE_SHIFT};
    for (size_t i = 0; i < bytes / slice; i++)
        slices[i] = 1;
    g->map->n_spans = 2;
    g->map->spans = calloc(2, sizeof *g->map->spans);
    g->map->spans[1] = (struct mt_span_view){
        .base = GRAPH_BASE + roots,
        .block_bytes = block_bytes,
        .recip = mt_span_recip(block_bytes, n),
        .n_blocks = (uint32_t)n,
    };
    g->map->n_slots = g->map->n_live = n;
    g->map->flags = calloc(n, 1);
    g->map->slack = calloc(n, sizeof *g->map->slack);
    g->map->owned = slices;
    memset(g->map->flags, MT_BLOCK_LIVE, n);
    g->options.threads = 1;
    return g;
}

static void graph_free(struct graph *g)
{
    mt_pointer_lists_free(g->mark.lists);
    mt_map_free(g->map);
    free(g->memory);
    free(g);
}

/* Address of a block. */
static inline uint64_t at(const struct graph *g, size_t i)
{
    return g->map->spans[1].base + i * g->map->spans[1].block_bytes;
}

/* A word of a block. */
static inline uint64_t *word(struct graph *g, size_t i, size_t k)
{
    return &g->memory[(at(g, i) - GRAPH_BASE) / 8 + k];
}

static inline uint64_t *root(struct graph *g, size_t k)
{
    return &g->memory[k];
}

/* Forgets all marks, and marks anew. */
static inline bool graph_reach(struct graph *g)
{
    struct mt_mark_range range = {GRAPH_BASE, GRAPH_BASE + g->root_words * 8};

    mt_pointer_lists_free(g->mark.lists);
    g->mark = (struct mt_mark){
        .map = g->map, .source = &g->source, .options = &g->options};
    for (size_t i = 0; i < g->map->n_slots; i++)
        g->map->flags[i] &= MT_BLOCK_LIVE;
    return mt_mark_reach(&g->mark, &range, 1, NULL, 0, 0, NULL);
}

/* Memcheck's word for a block. */
static inline char kind(const struct graph *g, size_t i)
{
    unsigned flags = g->map->flags[i];

    return !(flags & MT_BLOCK_LIVE)       ? '-'
           : (flags & MT_BLOCK_DEFINITE)  ? 'r'
           : (flags & MT_BLOCK_REACHED)   ? 'p'
           : (flags & MT_BLOCK_INDIRECT)  ? 'i'
           : (flags & MT_BLOCK_LEAK_ROOT) ? 'd'
                                          : '?';
}

#endif
