/* SPDX-License-Identifier: BSD-2-Clause
 *
 * merged_graph.c - merges the blocks of each stack in the graph of what retains
 * what.  Edges between two nodes become one, and edges of a node to itself go.
 */
#include "coreanalyze/analyses/merged_graph.h"
#include "coreanalyze/analyses/retained_graph.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"

#include <stdlib.h>
#include <string.h>

struct merger {
    struct mt_model *model;
    struct mt_graph graph;
    struct mt_merged *merged;
    uint32_t *node_of;       /* by number of a vertex */
    uint32_t *stack_nodes;   /* by stack; 0: none yet */
    struct mt_show_sum *all; /* by stack: live blocks, reached or not */
    struct mt_table by_ends;
};

/* Its index; 0 when out of memory: that of the root. */
static uint32_t merged_node(struct mt_merged *m, enum mt_merged_kind kind,
                            uint32_t index)
{
    if (m->n_nodes >= UINT32_MAX || !mt_grow(&m->nodes, &m->nodes_capacity,
                                             m->n_nodes + 1, sizeof *m->nodes))
        return 0;
    m->nodes[m->n_nodes] =
        (struct mt_merged_node){.kind = kind, .index = index};
    return (uint32_t)m->n_nodes++;
}

static bool merged_match(const void *items, size_t item, const void *key)
{
    const struct mt_merged_edge *one = (const struct mt_merged_edge *)items;
    const struct mt_merged_edge *other = key;

    return one[item].from == other->from && one[item].to == other->to;
}

static bool merged_edge(struct merger *g, uint32_t from, uint32_t to,
                        uint64_t pointers, uint64_t weak)
{
    struct mt_merged *m = g->merged;
    struct mt_merged_edge key = {from, to, pointers, weak};
    uint64_t hash = (uint64_t)from << 32 | to;
    size_t at;

    if (from == to)
        return true;
    at = mt_table_find(&g->by_ends, hash, merged_match, m->edges, &key);
    if (at != MT_TABLE_NONE) {
        m->edges[at].pointers += pointers;
        m->edges[at].weak += weak;
        return true;
    }
    if (!mt_grow(&m->edges, &m->edges_capacity, m->n_edges + 1,
                 sizeof *m->edges) ||
        !mt_table_add(&g->by_ends, hash, m->n_edges))
        return false;
    m->edges[m->n_edges++] = key;
    return true;
}

/* --- vertices --- */

static bool merged_add_block(struct merger *g, uint32_t v,
                             const struct mt_vertex *vertex)
{
    struct mt_merged *m = g->merged;
    struct mt_block block;
    uint32_t node;

    if (!mt_model_block(g->model, vertex->span, vertex->index, &block) ||
        !block.live) {
        g->node_of[v] = g->node_of[g->graph.parents[v]];
        return true;
    }
    node = g->stack_nodes[block.stack];
    if (!node)
        node = merged_node(m, MT_MERGED_STACK, block.stack);
    if (!node)
        return false;
    g->stack_nodes[block.stack] = g->node_of[v] = node;
    m->nodes[node].bytes += block.bytes;
    m->nodes[node].blocks++;
    return true;
}

static bool merged_add_vertices(struct merger *g)
{
    g->node_of[0] = 0;
    for (uint32_t v = 1; v < g->graph.n; v++) {
        struct mt_vertex vertex = mt_graph_vertex(&g->graph, g->graph.ids[v]);
        if (vertex.kind == MT_VERTEX_BLOCK) {
            if (!merged_add_block(g, v, &vertex))
                return false;
            continue;
        }
        g->node_of[v] = merged_node(
            g->merged,
            vertex.kind == MT_VERTEX_PLACE ? MT_MERGED_PLACE : MT_MERGED_HOLDER,
            vertex.index);
        if (!g->node_of[v])
            return false;
    }
    return true;
}

static bool merged_add_edges(struct merger *g)
{
    uint32_t from, to;

    for (uint32_t v = 1; v < g->graph.n; v++)
        if (!merged_edge(g, g->node_of[g->graph.parents[v]], g->node_of[v], 1,
                         0))
            return false;
    for (uint32_t i = 0; i < g->graph.edges.n; i++) {
        mt_flow_get(&g->graph.edges, i, &from, &to);
        if (!merged_edge(g, g->node_of[from], g->node_of[to], 1, 0))
            return false;
    }
    for (uint32_t i = 0; i < g->graph.weak.n; i++) {
        mt_flow_get(&g->graph.weak, i, &from, &to);
        if (!merged_edge(g, g->node_of[from], g->node_of[to], 0, 1))
            return false;
    }
    return true;
}

/* --- what no root reaches --- */

static bool merged_visit(void *context, const struct mt_block *block)
{
    struct merger *g = context;

    g->all[block->stack].bytes += block->bytes;
    g->all[block->stack].count++;
    g->merged->live.bytes += block->bytes;
    g->merged->live.count++;
    return true;
}

static bool merged_add_lost(struct merger *g)
{
    struct mt_merged *m = g->merged;

    for (uint32_t i = 0; i < g->model->n_stacks; i++) {
        const struct mt_show_sum *all = &g->all[i];
        struct mt_merged_node had = {0};
        uint32_t node;
        if (g->stack_nodes[i])
            had = m->nodes[g->stack_nodes[i]];
        if (all->count <= had.blocks)
            continue;
        node = merged_node(m, MT_MERGED_LOST, i);
        if (!node)
            return false;
        m->nodes[node].blocks = all->count - had.blocks;
        m->nodes[node].bytes =
            all->bytes > had.bytes ? all->bytes - had.bytes : 0;
    }
    return true;
}

static int merged_order(const void *a, const void *b)
{
    const struct mt_merged_edge *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static bool merged_build(struct merger *g, struct mt_error *error)
{
    struct mt_merged *m = g->merged;

    g->node_of = malloc(((size_t)g->graph.n + 1) * sizeof *g->node_of);
    g->stack_nodes = calloc(g->model->n_stacks + 1, sizeof *g->stack_nodes);
    g->all = calloc(g->model->n_stacks + 1, sizeof *g->all);
    if (!g->node_of || !g->stack_nodes || !g->all)
        return mt_no_memory(error, "the graph");
    merged_node(m, MT_MERGED_ROOT, 0);
    if (m->n_nodes == 0 || !merged_add_vertices(g) || !merged_add_edges(g))
        return mt_no_memory(error, "the graph");
    if (!mt_model_each_block(g->model, merged_visit, g, NULL, error))
        return false;
    if (!merged_add_lost(g))
        return mt_no_memory(error, "the graph");
    if (m->n_edges > 0)
        qsort(m->edges, m->n_edges, sizeof *m->edges, merged_order);
    return true;
}

bool mt_merged_run(struct mt_model *model,
                   const struct mt_retained_options *options,
                   struct mt_merged *merged, struct mt_error *error)
{
    struct merger g = {.model = model, .merged = merged};
    bool ok;

    memset(merged, 0, sizeof *merged);
    g.graph.retained = &merged->retained;
    g.graph.map = mt_model_map(model, error);
    ok =
        g.graph.map &&
        mt_roots_find(model, &options->roots, &merged->retained.roots, error) &&
        mt_graph_build(model, options, &g.graph, error) &&
        merged_build(&g, error);
    free(g.node_of);
    free(g.stack_nodes);
    free(g.all);
    mt_table_free(&g.by_ends);
    mt_map_free(g.graph.map);
    mt_graph_free(&g.graph);
    return ok;
}

void mt_merged_free(struct mt_merged *merged)
{
    free(merged->nodes);
    free(merged->edges);
    mt_retained_free(&merged->retained);
    memset(merged, 0, sizeof *merged);
}
