/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained.c - sums over the tree of dominators.
 */
#include "coreanalyze/retained.h"
#include "coreanalyze/retained_graph.h"

#include <stdlib.h>
#include <string.h>

#define NONE MT_GRAPH_NONE
#define STEP_VERTICES 65536u

struct summer {
    struct mt_model *model;
    const struct mt_retained_options *options;
    struct mt_retained *retained;
    struct mt_graph graph;
    uint32_t *dominators;           /* by number */
    uint64_t *bytes;                /* retained, by number */
    uint32_t *counts;               /* blocks of those */
    uint32_t *child, *sibling;      /* in the tree */
    uint32_t *stack;                /* of vertices that are blocks */
    uint32_t *on_path;              /* by stack: blocks of it above */
    struct mt_retained_stack *sums; /* by stack */
};

static bool allocate(struct summer *s)
{
    size_t n = s->graph.n, stacks = s->model->n_stacks;

    s->bytes = calloc(n, sizeof *s->bytes);
    s->counts = calloc(n, sizeof *s->counts);
    s->child = malloc(n * sizeof *s->child);
    s->sibling = malloc(n * sizeof *s->sibling);
    s->stack = malloc(n * sizeof *s->stack);
    s->on_path = calloc(stacks + 1, sizeof *s->on_path);
    s->sums = calloc(stacks + 1, sizeof *s->sums);
    s->retained->blocks =
        calloc(s->options->top + 1, sizeof *s->retained->blocks);
    return s->bytes && s->counts && s->child && s->sibling && s->stack &&
           s->on_path && s->sums && s->retained->blocks;
}

/* A vertex's number is higher than its dominator's. */
static void sum_up(struct summer *s)
{
    const struct mt_graph *graph = &s->graph;
    struct mt_retained *r = s->retained;

    for (uint32_t v = 0; v < graph->n; v++) {
        struct mt_vertex vertex = mt_graph_vertex(graph, graph->ids[v]);
        s->child[v] = NONE;
        if (vertex.kind == MT_VERTEX_BLOCK) {
            s->bytes[v] = vertex.bytes;
            s->counts[v] = 1;
        }
    }
    for (uint32_t v = graph->n; v-- > 1;) {
        uint32_t above = s->dominators[v];
        s->bytes[above] += s->bytes[v];
        s->counts[above] += s->counts[v];
        s->sibling[v] = s->child[above];
        s->child[above] = v;
    }
    r->reached = (struct mt_show_sum){s->bytes[0], s->counts[0]};
    r->shared = r->reached;
    for (uint32_t v = 1; v < graph->n; v++) {
        struct mt_vertex vertex = mt_graph_vertex(graph, graph->ids[v]);
        struct mt_show_sum sum = {s->bytes[v], s->counts[v]};
        if (vertex.kind == MT_VERTEX_HOLDER) {
            r->holders[vertex.index].retained = sum;
            r->shared.bytes -= sum.bytes;
            r->shared.count -= sum.count;
        } else if (vertex.kind == MT_VERTEX_PLACE) {
            r->places[vertex.index].retained = sum;
        }
    }
}

/* --- blocks and stacks --- */

/* Keeps the largest ones, sorted. */
static void offer_block(struct summer *s, uint64_t address,
                        const struct mt_show_sum *sum)
{
    struct mt_retained *r = s->retained;
    size_t at = r->n_blocks;

    if (at == s->options->top) {
        if (at == 0 || r->blocks[at - 1].retained.bytes >= sum->bytes)
            return;
        at--;
    } else {
        r->n_blocks++;
    }
    for (; at > 0 && r->blocks[at - 1].retained.bytes < sum->bytes; at--)
        r->blocks[at] = r->blocks[at - 1];
    r->blocks[at] = (struct mt_retained_block){address, *sum};
}

/* Of blocks of one stack that retain each other, the first one counts. */
static void enter(struct summer *s, uint32_t v)
{
    struct mt_vertex vertex = mt_graph_vertex(&s->graph, s->graph.ids[v]);
    struct mt_show_sum retained = {s->bytes[v], s->counts[v]};
    struct mt_retained_stack *sum;
    struct mt_block block;

    s->stack[v] = NONE;
    if (vertex.kind != MT_VERTEX_BLOCK ||
        mt_model_find(s->model, vertex.address, &block) != MT_PLACE_LIVE)
        return;
    s->stack[v] = block.stack;
    sum = &s->sums[block.stack];
    sum->own.bytes += vertex.bytes;
    sum->own.count++;
    if (s->on_path[block.stack]++ > 0)
        return;
    sum->retained.bytes += retained.bytes;
    sum->retained.count += retained.count;
    if (sum->sample == 0 || retained.bytes > sum->sample_bytes) {
        sum->sample = vertex.address;
        sum->sample_bytes = retained.bytes;
    }
    offer_block(s, vertex.address, &retained);
}

static void leave(struct summer *s, uint32_t v)
{
    if (s->stack[v] != NONE)
        s->on_path[s->stack[v]]--;
}

static bool walk_tree(struct summer *s)
{
    uint32_t v = 0, n = 0;

    for (;;) {
        enter(s, v);
        if (++n % STEP_VERTICES == 0 &&
            !mt_model_step(s->model, "adding up", n, s->graph.n))
            return false;
        if (s->child[v] != NONE) {
            v = s->child[v];
            continue;
        }
        leave(s, v);
        while (v != 0 && s->sibling[v] == NONE) {
            v = s->dominators[v];
            leave(s, v);
        }
        if (v == 0)
            return true;
        v = s->sibling[v];
    }
}

static int by_bytes(const void *a, const void *b)
{
    const struct mt_retained_stack *x = a, *y = b;

    if (x->retained.bytes != y->retained.bytes)
        return x->retained.bytes > y->retained.bytes ? -1 : 1;
    return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static void keep_stacks(struct summer *s)
{
    struct mt_retained *r = s->retained;

    for (uint32_t i = 0; i < s->model->n_stacks; i++) {
        if (s->sums[i].own.count == 0)
            continue;
        s->sums[i].stack = i;
        s->sums[r->n_stacks++] = s->sums[i];
    }
    qsort(s->sums, r->n_stacks, sizeof *s->sums, by_bytes);
    r->stacks = s->sums;
    s->sums = NULL;
}

static bool find_dominators(struct summer *s, struct mt_error *error)
{
    struct mt_graph *graph = &s->graph;
    struct mt_flow_graph flow = {graph->n, graph->parents, graph->first,
                                 graph->predecessors};
    bool ok;

    s->dominators = malloc(((size_t)graph->n + 1) * sizeof *s->dominators);
    if (s->dominators == NULL)
        return mt_fail(error, "out of memory for the dominators");
    ok = mt_dominators_find(&flow, s->dominators, error);
    mt_graph_drop_edges(graph);
    return ok;
}

static void add_live(struct summer *s)
{
    const struct mt_map *map = s->graph.map;

    for (size_t id = 1; id < map->n_spans; id++) {
        const struct mt_map_span *span = &map->spans[id];
        for (uint32_t i = 0; i < span->n_blocks; i++) {
            if (!(map->flags[span->first + i] & MT_BLOCK_LIVE))
                continue;
            s->retained->live.bytes +=
                mt_map_bytes(map, (uint32_t)id, span->first + i);
            s->retained->live.count++;
        }
    }
}

bool mt_retained_run(struct mt_model *model,
                     const struct mt_retained_options *options,
                     struct mt_retained *retained, struct mt_error *error)
{
    struct summer s = {
        .model = model, .options = options, .retained = retained};
    bool ok;

    memset(retained, 0, sizeof *retained);
    s.graph.retained = retained;
    s.graph.map = mt_model_map(model, error);
    ok = s.graph.map &&
         mt_roots_find(model, &options->roots, &retained->roots, error) &&
         mt_graph_build(model, options, &s.graph, error) &&
         find_dominators(&s, error);
    if (ok && !allocate(&s))
        ok = mt_fail(error, "out of memory for the sums");
    if (ok) {
        add_live(&s);
        sum_up(&s);
        ok = walk_tree(&s) || mt_fail(error, "the search was stopped");
    }
    if (ok)
        keep_stacks(&s);
    mt_graph_free(&s.graph);
    mt_map_free(s.graph.map);
    free(s.dominators);
    free(s.bytes);
    free(s.counts);
    free(s.child);
    free(s.sibling);
    free(s.stack);
    free(s.on_path);
    free(s.sums);
    return ok;
}

void mt_retained_free(struct mt_retained *retained)
{
    mt_roots_free(&retained->roots);
    free(retained->holders);
    free(retained->places);
    free(retained->blocks);
    free(retained->stacks);
    memset(retained, 0, sizeof *retained);
}
