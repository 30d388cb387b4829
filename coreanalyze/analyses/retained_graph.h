/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_graph.h - the graph of what retains what: the root of all, the
 * holders, their places, and the blocks that these reach.
 */
#ifndef MT_RETAINED_GRAPH_H
#define MT_RETAINED_GRAPH_H

#include "coreanalyze/analyses/dominators.h"
#include "coreanalyze/analyses/retained.h"
#include "coreanalyze/snapshot/slot_index.h"

#define MT_GRAPH_NONE UINT32_MAX

enum mt_vertex_kind {
    MT_VERTEX_ROOT,
    MT_VERTEX_HOLDER,
    MT_VERTEX_PLACE,
    MT_VERTEX_BLOCK,
};

/* What a holder reaches is its own before it is that of a weaker one: data of
 * modules is the strongest, then that of the system's libraries, whose buffers
 * hold old pointers, then come other mappings, then threads, whose stacks hold
 * what is in use.  Edges from the weaker ones do not count for
 * dominators.
 *
 * Vertices are numbered in the order of a depth-first search.  A vertex's id is
 * the slot of its block; holders, places and the root follow. */
struct mt_graph {
    struct mt_map *map;
    struct mt_retained *retained; /* its holders and places */
    struct mt_slot_index index;
    uint32_t n, n_ids;
    uint32_t *ids;              /* by number */
    uint32_t *parents;          /* by number; NULL after the dominators */
    struct mt_flow_edges edges; /* but those from parents, and loops */
    struct mt_flow_edges weak;  /* to what a stronger holder reaches, too */
};

/* A vertex, by its id. */
struct mt_vertex {
    enum mt_vertex_kind kind;
    uint32_t index; /* of the holder or place, or of a block in its span */
    uint32_t span;  /* of the block */
    uint64_t slot, address, bytes;
};
struct mt_vertex mt_graph_vertex(const struct mt_graph *graph, uint32_t id);

/* Asks for the memory of a vertex that is looked at soon. */
static inline void mt_graph_ask(const struct mt_graph *graph, uint32_t id)
{
    if (id >= graph->map->n_slots)
        return;
    __builtin_prefetch(&graph->index.hints[id / MT_SLOTS_OF_HINT]);
    __builtin_prefetch(&graph->map->slack[id]);
}

/* Finds the holders and their places, and searches from them.  False when out
 * of memory or stopped; mt_graph_free() is then due, too. */
bool mt_graph_build(struct mt_model *model,
                    const struct mt_retained_options *options,
                    struct mt_graph *graph, struct mt_error *error);
/* Frees what only the search for dominators needs. */
void mt_graph_drop_edges(struct mt_graph *graph);
void mt_graph_free(struct mt_graph *graph);

#endif
