/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dominators.c - vertices are taken from the last one back.  Those taken form
 * a forest along the search's tree; its paths are compressed as they are asked
 * for the vertex with the lowest semidominator on them.
 */
#include "coreanalyze/dominators.h"

#include <stdlib.h>

#define NONE UINT32_MAX

struct forest {
    uint32_t *ancestor; /* of vertices in the forest; of others the parent */
    uint32_t *semi;     /* semidominator, as far as it is known */
    uint32_t *label;    /* lowest semidominator on the path compressed so far */
};

/* Lets v and all above it point to the root of their tree.  The forest holds
 * what is not below `linked`.  On the way up the links are turned round, to
 * find the way back without a stack. */
static void compress(struct forest *f, uint32_t v, uint32_t linked)
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

static uint32_t evaluate(struct forest *f, uint32_t v, uint32_t linked)
{
    if (v < linked)
        return v;
    compress(f, v, linked);
    return f->label[v];
}

/* Vertices that wait for their dominator hang in a list on their
 * semidominator; the links are where the dominators will be. */
static void take_vertices(const struct mt_flow_graph *graph, struct forest *f,
                          uint32_t *head, uint32_t *dominator)
{
    for (uint32_t w = graph->n; w-- > 1;) {
        uint32_t parent = graph->parent[w];
        for (uint32_t i = graph->first[w]; i < graph->first[w + 1]; i++) {
            uint32_t u = evaluate(f, graph->predecessors[i], w + 1);
            if (f->semi[u] < f->semi[w])
                f->semi[w] = f->semi[u];
        }
        dominator[w] = head[f->semi[w]];
        head[f->semi[w]] = w;
        for (uint32_t v = head[parent], next; v != NONE; v = next) {
            uint32_t u = evaluate(f, v, w);
            next = dominator[v];
            dominator[v] = f->semi[u] < f->semi[v] ? u : parent;
        }
        head[parent] = NONE;
    }
}

bool mt_dominators_find(const struct mt_flow_graph *graph, uint32_t *dominator,
                        struct mt_error *error)
{
    uint32_t n = graph->n;
    struct forest f = {graph->parent, malloc(((size_t)n + 1) * sizeof *f.semi),
                       malloc(((size_t)n + 1) * sizeof *f.label)};
    uint32_t *head = malloc(((size_t)n + 1) * sizeof *head);
    bool ok = f.semi && f.label && head;

    if (ok && n > 0) {
        for (uint32_t v = 0; v < n; v++) {
            f.semi[v] = f.label[v] = v;
            head[v] = NONE;
        }
        take_vertices(graph, &f, head, dominator);
        dominator[0] = 0;
        for (uint32_t w = 1; w < n; w++)
            if (dominator[w] != f.semi[w])
                dominator[w] = dominator[dominator[w]];
    }
    free(f.semi);
    free(f.label);
    free(head);
    return ok || mt_fail(error, "out of memory for the dominators");
}
