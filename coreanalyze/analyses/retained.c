/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained.c - sums over the tree of dominators.
 */
#include "coreanalyze/analyses/retained.h"
#include "coreanalyze/analyses/retained_graph.h"
#include "coreanalyze/analyses/retained_groups.h"
#include "coreanalyze/analyses/retained_hold.h"
#include "coreanalyze/analyses/retained_reach.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define STEP_VERTICES 65536u
#define ASK_AHEAD 16u     /* vertices */
#define OPEN_BLOCKS 64u   /* at most; see retained_open() */
#define OPEN_PART 8u      /* of all that is reached, at least */
#define OPEN_OWN_PART 16u /* of what it retains, its own bytes at most */
#define OPEN_LOOKS 4096u  /* at blocks that it retains */

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
    uint32_t *newest;               /* by stack: the group of that block, or
                                     * MT_GRAPH_NONE */
    struct mt_retained_stack *sums; /* by stack */
    struct held {
        struct mt_hold_most holder, place;
    } * held;               /* by stack */
    uint32_t holder, place; /* that the walk is below */
    uint32_t holder_end, place_end;
    struct mt_retained_groups groups;
    uint32_t open[OPEN_BLOCKS]; /* places of blocks, in order */
    size_t n_open;
    uint32_t *above; /* places whose subtrees hold the current one */
    size_t n_above, above_capacity;
    struct mt_reach reach;
    uint32_t *places; /* by number; only if the graph is kept */
    uint32_t shared_places[MT_RETAINED_SHARED];
    bool out_of_memory;
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
    if (s->reach.targets) {
        for (uint32_t v = 0; v < n; v++)
            s->dominators[v] -= s->sizes[v];
        s->places = s->dominators;
    } else {
        free(s->dominators);
    }
    s->dominators = NULL;
    free(s->sizes);
    s->sizes = sizes;
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
    s->newest = calloc(stacks + 1, sizeof *s->newest);
    s->sums = calloc(stacks + 1, sizeof *s->sums);
    s->held = calloc(stacks + 1, sizeof *s->held);
    for (size_t i = 0; s->held && i < stacks; i++) {
        mt_hold_begin(&s->held[i].holder);
        mt_hold_begin(&s->held[i].place);
    }
    return s->own && s->before && s->ends && s->newest && s->sums && s->held;
}

/* Holders dominate their places, and the root dominates them; what they retain
 * is blocks else. */
static void retained_sum_up(struct summer *s)
{
    const struct mt_graph *graph = &s->graph;
    struct mt_retained *r = s->retained;
    uint64_t sum = 0, others = 0;
    struct mt_holder *holder = NULL;

    for (uint32_t p = 0; p < graph->n; p++) {
        struct mt_vertex v = mt_graph_vertex(graph, graph->ids[p]);
        if (graph->n - p > ASK_AHEAD)
            mt_graph_ask(graph, graph->ids[p + ASK_AHEAD]);
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

/* --- rows of blocks --- */

/* The place above in the tree: the dominator.  Called for each place once, in
 * order. */
static uint32_t place_above(struct summer *s, uint32_t place)
{
    uint32_t above;

    while (s->n_above > 0 && place >= s->above[s->n_above - 1] +
                                          s->sizes[s->above[s->n_above - 1]])
        s->n_above--;
    above = s->n_above > 0 ? s->above[s->n_above - 1] : 0;
    if (s->sizes[place] > 1) {
        if (!mt_grow(&s->above, &s->above_capacity, s->n_above + 1,
                     sizeof *s->above)) {
            s->out_of_memory = true;
            return above;
        }
        s->above[s->n_above++] = place;
    }
    return above;
}

static void keep_blocks(struct summer *s)
{
    struct mt_retained *r = s->retained;

    mt_retained_groups_sort(&s->groups);
    r->n_all_blocks = s->groups.n + s->groups.dropped;
    r->n_blocks = s->groups.n < s->options->top ? s->groups.n : s->options->top;
    r->blocks = s->groups.items;
    s->groups.items = NULL;
}

/* --- what several places reach --- */

/* A block below no single place: a holder dominates it, or the root. */
static void offer_shared(struct summer *s, uint32_t place,
                         const struct mt_block *block,
                         const struct mt_show_sum *sum)
{
    struct mt_retained *r = s->retained;
    unsigned at = r->n_shared_blocks;

    if (at == MT_RETAINED_SHARED) {
        if (r->shared_blocks[at - 1].retained.bytes >= sum->bytes)
            return;
        at--;
    } else {
        r->n_shared_blocks++;
    }
    for (; at > 0 && r->shared_blocks[at - 1].retained.bytes < sum->bytes;
         at--) {
        r->shared_blocks[at] = r->shared_blocks[at - 1];
        s->shared_places[at] = s->shared_places[at - 1];
    }
    r->shared_blocks[at] = (struct mt_retained_shared){*block, *sum};
    s->shared_places[at] = place;
}

struct reacher {
    struct summer *s;
    struct mt_holder_slot *place;
};

static void retained_meet(void *context, uint32_t number)
{
    struct reacher *reacher = context;
    const struct summer *s = reacher->s;
    uint32_t place = s->places[number];

    reacher->place->reached.bytes += bytes_at(s, place);
    reacher->place->reached.count++;
    for (unsigned i = 0; i < s->retained->n_shared_blocks; i++)
        if (s->shared_places[i] == place)
            reacher->place->shares |= 1u << i;
}

/* Searches from each place, data of modules first, as long as there is work
 * left. */
static bool find_reached(struct summer *s)
{
    struct mt_retained *r = s->retained;

    for (unsigned pass = 0; s->places && pass < 2; pass++)
        for (uint32_t i = 0; i < r->n_places; i++) {
            struct reacher reacher = {s, &r->places[i]};
            if ((r->holders[r->places[i].holder].kind == MT_HOLDER_MODULE) !=
                (pass == 0))
                continue;
            if (!mt_model_step(s->model, "searching from roots", i,
                               r->n_places))
                return false;
            r->places[i].searched =
                mt_reach_of(&s->reach, i, retained_meet, &reacher);
            s->out_of_memory |= s->reach.no_memory;
            if (!r->places[i].searched)
                return true;
        }
    return true;
}

/* --- stacks --- */

/* The walk comes to a holder or a place. */
static void retained_enter_holder(struct summer *s, uint32_t place,
                                  const struct mt_vertex *vertex)
{
    uint32_t end = place + s->sizes[place];

    if (vertex->kind == MT_VERTEX_HOLDER) {
        s->holder = vertex->index;
        s->holder_end = end;
    } else if (vertex->kind == MT_VERTEX_PLACE) {
        s->place = vertex->index;
        s->place_end = end;
    }
}

static void retained_hold(struct summer *s, uint32_t place, uint32_t stack,
                          uint64_t bytes)
{
    struct held *held = &s->held[stack];

    mt_hold_add(&held->holder,
                place < s->holder_end ? s->holder : MT_HELD_BY_NONE, bytes);
    mt_hold_add(&held->place, place < s->place_end ? s->place : MT_HELD_BY_NONE,
                bytes);
}

/* Is a vertex opened: do the blocks that it retains have rows?  Those of a
 * block are in its own row, so that rows add up, unless it is opened. */
static bool retained_is_open(const struct summer *s, uint32_t place)
{
    if (s->graph.ids[place] >= s->graph.map->n_slots)
        return true;
    for (size_t i = s->n_open; i-- > 0 && s->open[i] >= place;)
        if (s->open[i] == place)
            return true;
    return false;
}

static uint32_t retained_stack_at(const struct summer *s, uint32_t place)
{
    struct mt_vertex v = mt_graph_vertex(&s->graph, s->graph.ids[place]);
    struct mt_block block;

    return v.kind == MT_VERTEX_BLOCK &&
                   mt_model_block(s->model, v.span, v.index, &block)
               ? block.stack
               : MT_GRAPH_NONE;
}

/* Opens the block of a program that holds containers: it retains a large part
 * of all, is small itself, and is not a node of a list or a tree. */
static bool retained_open(struct summer *s, uint32_t place, uint32_t stack,
                          const struct mt_show_sum *retained)
{
    uint32_t end = place + s->sizes[place], next = place + 1;

    if (s->n_open == OPEN_BLOCKS ||
        retained->bytes < s->retained->reached.bytes / OPEN_PART ||
        bytes_at(s, place) > retained->bytes / OPEN_OWN_PART)
        return false;
    for (unsigned n = 0; next < end && n < OPEN_LOOKS; n++) {
        if (retained_stack_at(s, next) == stack)
            return false;
        next += s->sizes[next];
    }
    s->open[s->n_open++] = place;
    return true;
}

/* Counts a block in the row of what its owner retains. */
static void retained_add_to_row(struct summer *s, uint32_t place,
                                uint32_t above, const struct mt_block *block,
                                const struct mt_show_sum *retained)
{
    struct mt_retained_block *group = mt_retained_groups_of(
        &s->groups, s->sizes, s->newest, place, above, block->stack);

    if (!group) {
        s->out_of_memory = true;
        return;
    }
    s->newest[block->stack] = (uint32_t)(group - s->groups.items);
    group->inner = !retained_is_open(s, above);
    group->nodes++;
    group->retained.bytes += retained->bytes;
    group->retained.count += retained->count;
    if (retained->bytes > group->block_retains || group->block.address == 0) {
        group->block = *block;
        group->block_retains = retained->bytes;
    }
}

/* If blocks of one stack retain each other, only the first one counts. */
static void retained_enter(struct summer *s, uint32_t place)
{
    struct mt_vertex vertex = mt_graph_vertex(&s->graph, s->graph.ids[place]);
    uint32_t above = place_above(s, place);
    struct mt_retained_stack *sum;
    struct mt_show_sum retained;
    struct mt_block block;

    retained_enter_holder(s, place, &vertex);
    if (vertex.kind != MT_VERTEX_BLOCK ||
        !mt_model_block(s->model, vertex.span, vertex.index, &block))
        return;
    retained_hold(s, place, block.stack, vertex.bytes);
    sum = &s->sums[block.stack];
    sum->own.bytes += vertex.bytes;
    sum->own.count++;
    if (place < s->ends[block.stack]) {
        uint32_t newest = s->newest[block.stack];
        if (newest != MT_GRAPH_NONE)
            s->groups.items[newest].nodes++;
        return;
    }
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
    if (s->graph.ids[above] >= s->graph.map->n_slots &&
        mt_graph_vertex(&s->graph, s->graph.ids[above]).kind != MT_VERTEX_PLACE)
        offer_shared(s, place, &block, &retained);
    s->newest[block.stack] = MT_GRAPH_NONE;
    if (!s->options->inner && !retained_is_open(s, above))
        return;
    if (!s->options->inner && retained_open(s, place, block.stack, &retained))
        retained = (struct mt_show_sum){vertex.bytes, 1};
    retained_add_to_row(s, place, above, &block, &retained);
}

/* Tags are in no order: those of the next blocks are asked for at once. */
static void retained_ask(struct summer *s, uint32_t place)
{
    const struct mt_graph *graph = &s->graph;
    uint32_t id;

    if (graph->n - place > 2 * ASK_AHEAD)
        mt_graph_ask(graph, graph->ids[place + 2 * ASK_AHEAD]);
    if (graph->n - place <= ASK_AHEAD)
        return;
    id = graph->ids[place + ASK_AHEAD];
    if (id < graph->map->n_slots) {
        uint32_t span = mt_slot_span(&graph->index, id);
        mt_model_ask_block(s->model, span,
                           (uint32_t)(id - graph->map->spans[span].first));
    }
}

static bool walk_tree(struct summer *s)
{
    for (uint32_t place = 0; place < s->graph.n && !s->out_of_memory; place++) {
        retained_ask(s, place);
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
        s->sums[i].holder = s->sums[i].place = MT_HELD_BY_NONE;
        if (mt_hold_is_half(&s->held[i].place, s->sums[i].own.bytes))
            s->sums[i].place = s->held[i].place.most.of;
        if (mt_hold_is_half(&s->held[i].holder, s->sums[i].own.bytes))
            s->sums[i].holder = s->held[i].holder.most.of;
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
    struct summer s = {.model = model,
                       .options = options,
                       .retained = retained,
                       .groups = {.top = options->top}};
    bool ok;

    memset(retained, 0, sizeof *retained);
    s.graph.retained = retained;
    s.graph.map = mt_model_map(model, error);
    ok = s.graph.map &&
         mt_roots_find(model, &options->roots, &retained->roots, error) &&
         mt_roots_split(&retained->roots, model->source, s.graph.map, error) &&
         mt_graph_build(model, options, &s.graph, error);
    if (ok) {
        add_live(&s);
        /* Nobody looks for blocks any more. */
        free(s.graph.map->flags);
        s.graph.map->flags = NULL;
        ok = (mt_reach_build(&s.reach, &s.graph) ||
              mt_no_memory(error, "the graph")) &&
             find_dominators(&s, error);
    }
    if (ok && !(sort_by_place(&s) && retained_allocate(&s)))
        ok = mt_no_memory(error, "the sums");
    if (ok) {
        retained_sum_up(&s);
        ok = (walk_tree(&s) && find_reached(&s)) ||
             mt_fail(error, "the search was stopped");
    }
    if (ok && s.out_of_memory)
        ok = mt_no_memory(error, "the sums");
    if (ok) {
        keep_blocks(&s);
        keep_stacks(&s);
    }
    mt_graph_free(&s.graph);
    mt_map_free(s.graph.map);
    free(s.dominators);
    free(s.sizes);
    free(s.own);
    free(s.before);
    free(s.ends);
    free(s.newest);
    free(s.sums);
    free(s.held);
    mt_retained_groups_free(&s.groups);
    free(s.above);
    free(s.places);
    mt_reach_free(&s.reach);
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
