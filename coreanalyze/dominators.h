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

#include "coreanalyze/error.h"

#include <stddef.h>
#include <stdint.h>

/* Vertices are numbered as a depth-first search first meets them; the root is
 * 0, and all are reached. */
struct mt_flow_graph {
    uint32_t n;
    uint32_t *parent;      /* in the search's tree; it is overwritten */
    const uint32_t *first; /* [n + 1]: of v's in `predecessors` */
    const uint32_t *predecessors;
};

/* Fills dominator[n]; that of the root is itself.  A dominator's number is
 * lower.  Takes 12 bytes a vertex meanwhile.  False when out of memory. */
bool mt_dominators_find(const struct mt_flow_graph *graph, uint32_t *dominator,
                        struct mt_error *error);

#endif
