/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dominators.c - vertices are taken from the last one back.  Those taken form
 * a forest along the search's tree; its paths are compressed as they are asked
 * for the vertex with the lowest semidominator on them.
 *
 * Two arrays serve a vertex before and after it is taken.  One holds its list
 * of edges, then its label.  The other holds the list of vertices that have it
 * for a semidominator, then its own semidominator.  When a vertex is taken its
 * list is empty: those in it lie below its children, which come before it, and
 * empty it.
 */
#include "coreanalyze/analyses/dominators.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>

#define NONE UINT32_MAX
#define EDGES_OF_CHUNK 65536u

/* --- edges --- */

static struct mt_flow_edge *edge_at(const struct mt_flow_edges *edges,
                                    uint32_t i)
{
    return &edges->chunks[i / EDGES_OF_CHUNK][i % EDGES_OF_CHUNK];
}

bool mt_flow_add(struct mt_flow_edges *edges, uint32_t from, uint32_t to)
{
    size_t chunk = edges->n / EDGES_OF_CHUNK;

    if (edges->n == NONE)
        return false;
    if (chunk == edges->n_chunks) {
        if (!mt_grow(&edges->chunks, &edges->capacity, chunk + 1,
                     sizeof *edges->chunks))
            return false;
        edges->chunks[chunk] =
            malloc(EDGES_OF_CHUNK * sizeof *edges->chunks[chunk]);
        if (edges->chunks[chunk] == NULL)
            return false;
        edges->n_chunks++;
    }
    *edge_at(edges, edges->n++) = (struct mt_flow_edge){from, to};
    return true;
}

void mt_flow_get(const struct mt_flow_edges *edges, uint32_t i, uint32_t *from,
                 uint32_t *to)
{
    const struct mt_flow_edge *edge = edge_at(edges, i);

    *from = edge->from;
    *to = edge->next;
}

void mt_flow_free(struct mt_flow_edges *edges)
{
    for (size_t i = 0; i < edges->n_chunks; i++)
        free(edges->chunks[i]);
    free(edges->chunks);
    *edges = (struct mt_flow_edges){0};
}

void mt_flow_link(struct mt_flow_edges *edges, uint32_t *first, uint32_t n)
{
    for (uint32_t v = 0; v < n; v++)
        first[v] = NONE;
    for (uint32_t i = 0; i < edges->n; i++) {
        struct mt_flow_edge *edge = edge_at(edges, i);
        uint32_t to = edge->next;
        edge->next = first[to];
        first[to] = i;
    }
}

/* --- dominators --- */

struct forest {
    uint32_t *ancestor; /* of vertices in the forest; of others the parent */
    uint32_t *semi;     /* semidominator; of others the first that has it */
    uint32_t *label;    /* lowest semidominator on the path compressed so far;
                           of others their first edge */
};

/* Lets v and all above it point to the root of their tree.  The forest holds
 * what is not below `linked`.  On the way up the links are turned round, to
 * find the way back without a stack. */
static void dominators_compress(struct forest *f, uint32_t v, uint32_t linked)
{
    uint32_t below = NONE, x = v, root, above;

    while (f->ancestor[x] >= linked) {
        uint32_t next = f->ancestor[x];
        f->ancestor[x] = below;
        below = x;
        x = next;
    }
    root = f->ancestor[x];
    above = x;
    while (below != NONE) {
        x = below;
        below = f->ancestor[x];
        if (f->semi[f->label[above]] < f->semi[f->label[x]])
            f->label[x] = f->label[above];
        f->ancestor[x] = root;
        above = x;
    }
}

static uint32_t dominators_evaluate(struct forest *f, uint32_t v,
                                    uint32_t linked)
{
    dominators_compress(f, v, linked);
    return f->label[v];
}

/* The lowest one that leads to w by vertices above w alone. */
static uint32_t find_semi(const struct mt_flow_graph *graph, struct forest *f,
                          uint32_t w)
{
    uint32_t lowest = f->ancestor[w];

    for (uint32_t i = f->label[w]; i != NONE;) {
        const struct mt_flow_edge *edge = edge_at(graph->edges, i);
        uint32_t u = edge->from;
        if (u > w)
            u = f->semi[dominators_evaluate(f, u, w + 1)];
        if (u < lowest)
            lowest = u;
        i = edge->next;
    }
    return lowest;
}

/* Vertices that wait for their dominator hang in a list on their
 * semidominator; the links are where the dominators will be. */
static void take_vertices(const struct mt_flow_graph *graph, struct forest *f,
                          uint32_t *dominator)
{
    for (uint32_t w = graph->n; w-- > 1;) {
        uint32_t parent = f->ancestor[w];
        uint32_t semi = find_semi(graph, f, w);
        f->semi[w] = semi;
        f->label[w] = w;
        dominator[w] = f->semi[semi];
        f->semi[semi] = w;
        for (uint32_t v = f->semi[parent], next; v != NONE; v = next) {
            uint32_t u = dominators_evaluate(f, v, w);
            next = dominator[v];
            dominator[v] = f->semi[u] < f->semi[v] ? u : parent;
        }
        f->semi[parent] = NONE;
    }
}

bool mt_dominators_find(const struct mt_flow_graph *graph, uint32_t *dominator,
                        struct mt_error *error)
{
    uint32_t n = graph->n;
    struct forest f = {graph->parent, malloc(((size_t)n + 1) * sizeof *f.semi),
                       graph->first};

    if (f.semi == NULL)
        return mt_no_memory(error, "the dominators");
    if (n > 0) {
        for (uint32_t v = 0; v < n; v++)
            f.semi[v] = NONE;
        take_vertices(graph, &f, dominator);
        dominator[0] = 0;
        for (uint32_t w = 1; w < n; w++)
            if (dominator[w] != f.semi[w])
                dominator[w] = dominator[dominator[w]];
    }
    free(f.semi);
    return true;
}
