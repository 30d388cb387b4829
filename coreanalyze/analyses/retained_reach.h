/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_reach.h - what single roots reach, alone or together with others.
 *
 * The graph is kept as lists of what each vertex points to, by its number.
 */
#ifndef MT_RETAINED_REACH_H
#define MT_RETAINED_REACH_H

#include "coreanalyze/analyses/retained_graph.h"

struct mt_reach {
    uint32_t n;
    uint32_t *first;         /* by number, n + 1: where its targets begin */
    uint32_t *targets;       /* NULL: the graph is too large to be kept */
    uint32_t *place_numbers; /* by place: its vertex */
    uint32_t *seen;          /* by number: the last search that met it */
    uint32_t search;
    uint64_t work;  /* edges that may still be followed */
    bool no_memory; /* a search ended for want of it */
};

/* Copies the graph, before its edges are linked or dropped.  False when out of
 * memory; a graph that is too large is not copied. */
bool mt_reach_build(struct mt_reach *reach, const struct mt_graph *graph);
void mt_reach_free(struct mt_reach *reach);

/* Calls `visit` for each vertex that the place reaches.  False if the work is
 * used up, or memory: what was visited is then not all. */
bool mt_reach_of(struct mt_reach *reach, uint32_t place,
                 void (*visit)(void *context, uint32_t number), void *context);

#endif
