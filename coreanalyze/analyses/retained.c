/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained.c - sums over the tree of dominators.
 */
#include "coreanalyze/analyses/retained.h"
#include "coreanalyze/analyses/retained_graph.h"

#include <stdlib.h>
#include <string.h>

#define STEP_VERTICES 65536u

/* Places are the order of a walk down the tree of dominators: what a vertex
 * retains is at its own place and the next ones. */
struct summer {
    struct mt_model *model;
    const struct mt_retained_options *options;
    struct mt_retained *retained;
    struct mt_graph graph;          /* its ids by number, then by place */
    uint32_t *dominators;           /* by number */
    uint32_t *sizes;                /* by number, then by place: of subtrees */
    uint32_t *own;                  /* by place: bytes of the block */
    uint64_t *before;               /* by STRIDE places: bytes of all before */
    uint32_t *ends;                 /* by stack: where an outer block's end */
    struct mt_retained_stack *sums; /* by stack */
};

static uint32_t *take_numbers(size_t n)
{
    return malloc((n + 1) * sizeof(uint32_t));
}

/* --- places --- */

/* A vertex's number is higher than its dominator's.  Once a vertex is done, its
 * entry in `dominators` becomes the place for its next child, and in the end
 * the place after its subtree. */
static void retained_find_places(struct summer *s)
{
    uint32_t n = s->graph.n, *next = s->dominators;

    for (uint32_t v = 0; v < n; v++)
        s->sizes[v] = 1;
    for (uint32_t v = n; v-- > 1;)
        s->sizes[s->dominators[v]] += s->sizes[v];
    next[0] = 1;
    for (uint32_t v = 1; v < n; v++) {
        uint32_t above = s->dominators[v], place = next[above];
        next[above] += s->sizes[v];
        next[v] = place + 1;
    }
}

/* Puts ids and sizes into the order of places. */
static bool sort_by_place(struct summer *s)
{
    uint32_t n = s->graph.n, *ids = take_numbers(n), *sizes = s->graph.ids;

    s->sizes = take_numbers(n);
    if (ids == NULL || s->sizes == NULL) {
        free(ids);
        return false;
    }
    retained_find_places(s);
    for (uint32_t v = 0; v < n; v++)
        ids[s->dominators[v] - s->sizes[v]] = s->graph.ids[v];
    for (uint32_t v = 0; v < n; v++)
        sizes[s->dominators[v] - s->sizes[v]] = s->sizes[v];
    s->graph.ids = ids;
    free(s->sizes);
    s->sizes = sizes;
    free(s->dominators);
    s->dominators = NULL;
    return true;
}

/* --- bytes --- */

#define STRIDE 16u

static uint64_t bytes_at(const struct summer *s, uint32_t place)
{
    if (s->own[place] < UINT32_MAX)
        return s->own[place];
    return mt_graph_vertex(&s->graph, s->graph.ids[place]).bytes;
}

/* Bytes of all blocks before a place. */
static uint64_t bytes_before(const struct summer *s, uint32_t place)
{
    uint64_t sum = s->before[place / STRIDE];

    for (uint32_t p = place - place % STRIDE; p < place; p++)
        sum += bytes_at(s, p);
    return sum;
}

static struct mt_show_sum retained_at(const struct summer *s, uint32_t place)
{
    uint32_t size = s->sizes[place];

    if (size == 1)
        return (struct mt_show_sum){bytes_at(s, place), 1};
    return (struct mt_show_sum){
        bytes_before(s, place + size) - bytes_before(s, place), size};
}

static bool retained_allocate(struct summer *s)
{
    size_t n = s->graph.n, stacks = s->model->n_stacks;

    s->own = take_numbers(n);
    s->before = malloc((n / STRIDE + 1) * sizeof *s->before);
    s->ends = calloc(stacks + 1, sizeof *s->ends);
    s->sums = calloc(stacks + 1, sizeof *s->sums);
    s->retained->blocks =
        calloc(s->options->top + 1, sizeof *s->retained->blocks);
    return s->own && s->before && s->ends && s->sums && s->retained->blocks;
}

/* Places hang on their holders, and these on the root; what they retain is
 * blocks else. */
static void retained_sum_up(struct summer *s)
{
    const struct mt_graph *graph = &s->graph;
    struct mt_retained *r = s->retained;
    uint64_t sum = 0, others = 0;
    struct mt_holder *holder = NULL;

    for (uint32_t p = 0; p < graph->n; p++) {
        struct mt_vertex v = mt_graph_vertex(graph, graph->ids[p]);
        if (p % STRIDE == 0)
            s->before[p / STRIDE] = sum;
        s->own[p] = v.bytes < UINT32_MAX ? (uint32_t)v.bytes : UINT32_MAX;
        sum += v.bytes;
        others += v.kind != MT_VERTEX_BLOCK;
    }
    if (graph->n % STRIDE == 0)
        s->before[graph->n / STRIDE] = sum;
    r->reached = (struct mt_show_sum){sum, graph->n - others};
    r->shared = r->reached;
    for (uint32_t p = 1; p < graph->n; p++) {
        struct mt_vertex v = {.kind = MT_VERTEX_BLOCK};
        if (graph->ids[p] >= graph->map->n_slots)
            v = mt_graph_vertex(graph, graph->ids[p]);
        if (v.kind == MT_VERTEX_HOLDER) {
            holder = &r->holders[v.index];
            holder->retained = retained_at(s, p);
            holder->retained.count--;
            r->shared.bytes -= holder->retained.bytes;
            r->shared.count -= holder->retained.count;
        } else if (v.kind == MT_VERTEX_PLACE) {
            r->places[v.index].retained = retained_at(s, p);
            r->places[v.index].retained.count--;
            holder->retained.count--;
            r->shared.count++;
        }
    }
}

/* --- blocks and stacks --- */

/* Keeps the largest ones, sorted. */
static void offer_block(struct summer *s, const struct mt_block *block,
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
    r->blocks[at] = (struct mt_retained_block){*block, *sum};
}

/* If blocks of one stack retain each other, only the first one counts. */
static void retained_enter(struct summer *s, uint32_t place)
{
    struct mt_vertex vertex = mt_graph_vertex(&s->graph, s->graph.ids[place]);
    struct mt_retained_stack *sum;
    struct mt_show_sum retained;
    struct mt_block block;

    if (vertex.kind != MT_VERTEX_BLOCK ||
        !mt_model_block(s->model, vertex.span, vertex.index, &block))
        return;
    sum = &s->sums[block.stack];
    sum->own.bytes += vertex.bytes;
    sum->own.count++;
    if (place < s->ends[block.stack])
        return;
    s->ends[block.stack] = place + s->sizes[place];
    retained = retained_at(s, place);
    sum->retained.bytes += retained.bytes;
    sum->retained.count += retained.count;
    if (sum->sample == 0 || retained.bytes > sum->sample_bytes) {
        sum->sample = block.address;
        sum->heap = block.heap;
        sum->epoch = block.epoch;
        sum->sample_bytes = retained.bytes;
    }
    offer_block(s, &block, &retained);
}

static bool walk_tree(struct summer *s)
{
    for (uint32_t place = 0; place < s->graph.n; place++) {
        retained_enter(s, place);
        if (place % STEP_VERTICES == 0 &&
            !mt_model_step(s->model, "adding up", place, s->graph.n))
            return false;
    }
    return true;
}

static int retained_by_bytes(const void *a, const void *b)
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
    qsort(s->sums, r->n_stacks, sizeof *s->sums, retained_by_bytes);
    r->stacks = s->sums;
    s->sums = NULL;
}

static bool find_dominators(struct summer *s, struct mt_error *error)
{
    struct mt_graph *graph = &s->graph;
    struct mt_flow_graph flow = {graph->n, graph->parents,
                                 take_numbers(graph->n), &graph->edges};
    bool ok;

    s->dominators = take_numbers(graph->n);
    ok = (s->dominators && flow.first) || mt_no_memory(error, "the dominators");
    if (ok) {
        mt_flow_link(&graph->edges, flow.first, graph->n);
        ok = mt_dominators_find(&flow, s->dominators, error);
    }
    free(flow.first);
    mt_graph_drop_edges(graph);
    return ok;
}

static void add_live(struct summer *s)
{
    const struct mt_map *map = s->graph.map;

    for (size_t id = 1; id < map->n_spans; id++) {
        const struct mt_span_view *span = &map->spans[id];
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
         mt_graph_build(model, options, &s.graph, error);
    if (ok) {
        add_live(&s);
        /* Nobody looks for blocks any more. */
        free(s.graph.map->flags);
        s.graph.map->flags = NULL;
        ok = find_dominators(&s, error);
    }
    if (ok && !(sort_by_place(&s) && retained_allocate(&s)))
        ok = mt_no_memory(error, "the sums");
    if (ok) {
        retained_sum_up(&s);
        ok = walk_tree(&s) || mt_fail(error, "the search was stopped");
    }
    if (ok)
        keep_stacks(&s);
    mt_graph_free(&s.graph);
    mt_map_free(s.graph.map);
    free(s.dominators);
    free(s.sizes);
    free(s.own);
    free(s.before);
    free(s.ends);
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
