/* SPDX-License-Identifier: BSD-2-Clause
 *
 * merged_graph.h - who holds what, by stack: the graph of holders, places and
 * blocks with all blocks of one stack made one node.
 */
#ifndef MT_MERGED_GRAPH_H
#define MT_MERGED_GRAPH_H

#include "coreanalyze/analyses/retained.h"

enum mt_merged_kind {
    MT_MERGED_ROOT,
    MT_MERGED_HOLDER,
    MT_MERGED_PLACE,
    MT_MERGED_STACK, /* its blocks that a root reaches */
    MT_MERGED_LOST,  /* its other ones */
};

struct mt_merged_node {
    enum mt_merged_kind kind;
    uint32_t index; /* of the holder, place or stack */
    uint64_t bytes, blocks;
};

struct mt_merged_edge {
    uint32_t from, to; /* nodes */
    uint64_t pointers; /* that count for what is retained */
    uint64_t weak;     /* to what a stronger holder reaches, too */
};

/* The first node is the root. */
struct mt_merged {
    struct mt_retained retained; /* roots, holders and places alone */
    struct mt_merged_node *nodes;
    size_t n_nodes, nodes_capacity;
    struct mt_merged_edge *edges; /* by `from`, then `to` */
    size_t n_edges, edges_capacity;
    struct mt_show_sum live; /* all blocks: the sum of the nodes */
};

/* False with `error` filled; mt_merged_free() is due in either case. */
bool mt_merged_run(struct mt_model *model,
                   const struct mt_retained_options *options,
                   struct mt_merged *merged, struct mt_error *error);
void mt_merged_free(struct mt_merged *merged);

#endif
