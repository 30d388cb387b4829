/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dominators.h - immediate dominators of a flow graph.
 *
 * A vertex d dominates v if every path from the root to v goes through d; the
 * immediate dominator is the last one before v.  The algorithm is that of
 * Lengauer and Tarjan (1979) in its simple form, O(m log n) for n vertices and
 * m edges; nothing recurses.  Simpler ones that go over the graph until nothing
 * changes take time that is quadratic in the length of a doubly linked list.
 */
#ifndef MT_DOMINATORS_H
#define MT_DOMINATORS_H

#include "coreanalyze/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The edges that are not in the search's tree, in chunks, because there may be
 * billions.  All 0 is an empty list. */
struct mt_flow_edge {
    uint32_t from, next; /* before mt_flow_link: where it leads to */
};
struct mt_flow_edges {
    struct mt_flow_edge **chunks;
    size_t n_chunks, capacity;
    uint32_t n;
};
/* False when out of memory, or of numbers. */
bool mt_flow_add(struct mt_flow_edges *edges, uint32_t from, uint32_t to);
/* The i-th edge, before mt_flow_link(). */
void mt_flow_get(const struct mt_flow_edges *edges, uint32_t i, uint32_t *from,
                 uint32_t *to);
void mt_flow_free(struct mt_flow_edges *edges);
/* Links the edges into lists: first[v] becomes the first edge that leads to v,
 * and `next` the edge after it; UINT32_MAX: none. */
void mt_flow_link(struct mt_flow_edges *edges, uint32_t *first, uint32_t n);

/* Vertices are numbered as a depth-first search first meets them; the root is
 * 0, and all are reached. */
struct mt_flow_graph {
    uint32_t n;
    uint32_t *parent; /* in the search's tree; it is overwritten */
    uint32_t *first;  /* by mt_flow_link(); it is overwritten */
    const struct mt_flow_edges *edges;
};

/* Fills dominator[n]; that of the root is itself.  A dominator's number is
 * lower.  Needs 4 bytes a vertex while it runs.  False when out of memory. */
bool mt_dominators_find(const struct mt_flow_graph *graph, uint32_t *dominator,
                        struct mt_error *error);

#endif
