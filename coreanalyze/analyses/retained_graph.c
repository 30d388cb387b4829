/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_graph.c - a depth-first search over roots and blocks.
 *
 * Most blocks have one pointer to them, which the search takes: only others
 * are stored.  The path is in the parents, and of each vertex on it the place
 * of the next word to look at.  Where the source is in place, the heap is read
 * first, in order, and the search follows lists of pointers.
 */
#include "coreanalyze/analyses/retained_graph.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reach/mark.h"

#include <stdlib.h>
#include <string.h>

#define NONE MT_GRAPH_NONE
#define STEP_VERTICES 65536u
#define ASK_TARGETS 4u
#define MAX_PLACES (1u << 20) /* more are not told apart */

struct builder {
    struct mt_model *model;
    const struct mt_retained_options *options;
    struct mt_graph *graph;
    struct mt_scan scan;
    size_t holders_capacity, places_capacity;
    uint32_t holder;     /* of the range that is being scanned */
    uint32_t range;      /* that range */
    uint64_t variable;   /* of the newest place; of a module */
    uint32_t place;      /* the newest one, NONE: of another range */
    uint32_t *numbers;   /* by id */
    uint32_t *positions; /* by depth: of what comes next; see graph_pack() */
    uint32_t capacity;   /* vertices at most */
    uint32_t *order;     /* of the holders: the strongest first */
    uint32_t strong;     /* vertices that stronger holders have reached */
    const struct mt_pointer_lists *lists; /* NULL: blocks are scanned */
    bool out_of_memory;
};

/* Where the search is. */
struct graph_step {
    uint32_t number;
    struct mt_vertex vertex; /* unless it has a list */
    bool listed;
    uint32_t n; /* pointers of the list */
    const uint32_t *list;
    uint64_t position; /* begins with 0 */
};

/* --- holders and places --- */

static uint32_t holder_of(struct builder *b, const struct mt_root_range *place)
{
    struct mt_retained *r = b->graph->retained;
    struct mt_holder holder = {
        .kind = place->kind == MT_ROOT_MODULE    ? MT_HOLDER_MODULE
                : place->kind == MT_ROOT_MAPPING ? MT_HOLDER_MAPPING
                : place->kind == MT_ROOT_KERNEL  ? MT_HOLDER_KERNEL
                                                 : MT_HOLDER_THREAD,
        .index = place->index,
        .first = NONE};

    /* A thread has few ranges, and they come one after the other. */
    for (size_t i = r->n_holders; i-- > 0;)
        if (r->holders[i].kind == holder.kind &&
            r->holders[i].index == holder.index)
            return (uint32_t)i;
    if (!mt_grow(&r->holders, &b->holders_capacity, r->n_holders + 1,
                 sizeof holder)) {
        b->out_of_memory = true;
        return NONE;
    }
    r->holders[r->n_holders] = holder;
    return (uint32_t)r->n_holders++;
}

static void add_place(struct builder *b, uint64_t start, uint64_t end,
                      uint32_t word)
{
    struct mt_retained *r = b->graph->retained;

    if (!mt_grow(&r->places, &b->places_capacity, r->n_places + 1,
                 sizeof *r->places)) {
        b->out_of_memory = true;
        return;
    }
    b->place = (uint32_t)r->n_places;
    r->places[r->n_places++] = (struct mt_holder_slot){
        .holder = b->holder,
        .next = r->holders[b->holder].first,
        .start = start,
        .end = end,
        .word = word,
    };
    r->holders[b->holder].first = b->place;
}

/* A word of a root that points to a block.  It belongs to the current place, or
 * begins a new one. */
static void take_word(void *context, const struct mt_hit *hit)
{
    struct builder *b = context;
    struct mt_retained *r = b->graph->retained;
    const struct mt_root_range *range = &r->roots.ranges[b->range];
    uint64_t variable = hit->at;

    if (b->out_of_memory)
        return;
    if (range->kind == MT_ROOT_MAPPING)
        variable = range->start;
    else if (range->kind == MT_ROOT_MODULE && b->options->variable)
        variable =
            b->options->variable(b->options->context, range->index, hit->at);
    if (b->place != NONE &&
        (variable == b->variable || r->n_places >= MAX_PLACES)) {
        r->places[b->place].end = hit->at + 8;
        return;
    }
    b->variable = variable;
    add_place(b, hit->at, hit->at + 8, NONE);
}

static void graph_find_places(struct builder *b)
{
    struct mt_roots *roots = &b->graph->retained->roots;
    struct mt_hit hit;

    for (size_t i = 0; i < roots->n_words && !b->out_of_memory; i++) {
        uint64_t word = roots->words[i].start & ~b->scan.options->high_tags;
        if (!mt_scan_word(&b->scan, 0, word, &hit))
            continue;
        b->holder = holder_of(b, &roots->words[i]);
        if (b->holder != NONE)
            add_place(b, 0, 0, (uint32_t)i);
    }
    for (size_t i = 0; i < roots->n_ranges && !b->out_of_memory; i++) {
        b->holder = holder_of(b, &roots->ranges[i]);
        b->range = (uint32_t)i;
        b->place = NONE;
        if (b->holder != NONE)
            mt_scan_range(&b->scan, roots->ranges[i].start,
                          roots->ranges[i].end, take_word, b);
    }
}

/* --- vertices --- */

struct mt_vertex mt_graph_vertex(const struct mt_graph *graph, uint32_t id)
{
    const struct mt_map *map = graph->map;
    struct mt_vertex v = {.kind = MT_VERTEX_ROOT};

    if (id < map->n_slots) {
        v.kind = MT_VERTEX_BLOCK;
        v.slot = id;
        v.span = mt_slot_span(&graph->index, id);
        v.index = (uint32_t)(id - map->spans[v.span].first);
        v.address = mt_map_address(map, v.span, v.index);
        v.bytes = mt_map_bytes(map, v.span, id);
        return v;
    }
    id -= (uint32_t)map->n_slots;
    if (id < graph->retained->n_holders) {
        v.kind = MT_VERTEX_HOLDER;
        v.index = id;
    } else if (id - graph->retained->n_holders < graph->retained->n_places) {
        v.kind = MT_VERTEX_PLACE;
        v.index = id - (uint32_t)graph->retained->n_holders;
    }
    return v;
}

/* --- edges --- */

/* The next pointer to a block in [start + *position, end). */
static bool next_pointer(struct builder *b, uint64_t start, uint64_t end,
                         uint64_t *position, uint32_t *id)
{
    uint64_t at = start + *position;
    struct mt_hit hit;
    bool found = mt_scan_next(&b->scan, &at, end, &hit);

    *position = at > start ? at - start : 0;
    if (found)
        *id = (uint32_t)hit.place.slot;
    return found;
}

static bool next_of_place(struct builder *b, uint32_t index, uint64_t *position,
                          uint32_t *id)
{
    const struct mt_retained *r = b->graph->retained;
    const struct mt_holder_slot *place = &r->places[index];
    struct mt_hit hit;

    if (place->start) {
        /* Missing memory has been counted already. */
        uint64_t missing = b->scan.missing_bytes;
        bool found = next_pointer(b, place->start, place->end, position, id);
        b->scan.missing_bytes = missing;
        return found;
    }
    if (*position || !mt_scan_word(&b->scan, 0,
                                   r->roots.words[place->word].start &
                                       ~b->scan.options->high_tags,
                                   &hit))
        return false;
    *position = 1;
    *id = (uint32_t)hit.place.slot;
    return true;
}

static unsigned graph_weakness(const struct builder *b,
                               const struct mt_holder *holder)
{
    const struct mt_retained_options *options = b->options;

    if (holder->kind == MT_HOLDER_MODULE)
        return options->library &&
               options->library(options->context, holder->index);
    return holder->kind == MT_HOLDER_THREAD ? 3 : 2;
}

/* Lists the holders by their strength. */
static bool order_holders(struct builder *b)
{
    const struct mt_retained *r = b->graph->retained;
    size_t n = 0;

    b->order = malloc((r->n_holders + 1) * sizeof *b->order);
    for (unsigned weakness = 0; b->order && weakness <= 3; weakness++)
        for (size_t i = 0; i < r->n_holders; i++)
            if (graph_weakness(b, &r->holders[i]) == weakness)
                b->order[n++] = (uint32_t)i;
    return b->order != NULL;
}

/* The search continues with a holder: are those before it stronger? */
static void graph_enter_holder(struct builder *b, uint32_t position)
{
    const struct mt_holder *holders = b->graph->retained->holders;

    if (position > 0 && graph_weakness(b, &holders[b->order[position]]) !=
                            graph_weakness(b, &holders[b->order[position - 1]]))
        b->strong = b->graph->n;
}

/* The id that the next edge of a vertex leads to. */
static bool next_edge(struct builder *b, struct graph_step *step, uint32_t *id)
{
    const struct mt_retained *r = b->graph->retained;
    const struct mt_vertex *v = &step->vertex;
    uint32_t first = (uint32_t)b->graph->map->n_slots, next;

    if (step->listed) {
        if (step->position == step->n)
            return false;
        *id = step->list[step->position++] >> 1;
        return true;
    }
    switch (v->kind) {
    case MT_VERTEX_BLOCK:
        return next_pointer(b, v->address, v->address + v->bytes,
                            &step->position, id);
    case MT_VERTEX_PLACE:
        return next_of_place(b, v->index, &step->position, id);
    case MT_VERTEX_HOLDER:
        /* The position is the number of the place, plus one. */
        next = step->position ? r->places[step->position - 1].next
                              : r->holders[v->index].first;
        if (next == NONE)
            return false;
        step->position = (uint64_t)next + 1;
        *id = first + (uint32_t)r->n_holders + next;
        return true;
    default:
        if (step->position >= r->n_holders)
            return false;
        graph_enter_holder(b, (uint32_t)step->position);
        *id = first + b->order[step->position++];
        return true;
    }
}

/* --- the search --- */

static bool graph_allocate(struct builder *b)
{
    struct mt_graph *graph = b->graph;
    const struct mt_retained *r = graph->retained;
    uint64_t others = r->n_holders + r->n_places + 1;
    uint64_t ids = graph->map->n_slots + others;
    uint64_t most = graph->map->n_live + others;

    if (ids >= NONE)
        return false;
    graph->n_ids = (uint32_t)ids;
    b->capacity = (uint32_t)most;
    b->numbers = malloc(ids * sizeof *b->numbers);
    b->positions = malloc(most * sizeof *b->positions);
    graph->ids = malloc(most * sizeof *graph->ids);
    graph->parents = malloc(most * sizeof *graph->parents);
    if (!b->numbers || !b->positions || !graph->ids || !graph->parents)
        return false;
    memset(b->numbers, 0xff, ids * sizeof *b->numbers);
    return true;
}

/* Positions in memory are kept as numbers of words; in blocks of more than 32
 * GB of several words, so that a few are looked at again. */
static unsigned shift_of(const struct builder *b, const struct graph_step *step)
{
    const struct mt_holder_slot *places = b->graph->retained->places;
    const struct mt_vertex *v = &step->vertex;
    uint64_t bytes = 0;
    unsigned shift;

    if (step->listed)
        return 0;
    if (v->kind == MT_VERTEX_BLOCK)
        bytes = v->bytes;
    else if (v->kind == MT_VERTEX_PLACE)
        bytes = places[v->index].end - places[v->index].start;
    shift = bytes ? 3 : 0;
    while (bytes >> shift >= UINT32_MAX)
        shift++;
    return shift;
}

static uint32_t graph_pack(const struct builder *b,
                           const struct graph_step *step)
{
    return (uint32_t)(step->position >> shift_of(b, step));
}

static uint64_t graph_unpack(const struct builder *b,
                             const struct graph_step *step, uint32_t position)
{
    return (uint64_t)position << shift_of(b, step);
}

static void add_vertex(struct builder *b, uint32_t id, uint32_t parent)
{
    struct mt_graph *graph = b->graph;

    b->numbers[id] = graph->n;
    graph->ids[graph->n] = id;
    graph->parents[graph->n++] = parent;
}

/* An edge to a vertex that has been met before. */
static bool add_edge(struct builder *b, uint32_t from, uint32_t to)
{
    if (to == from || b->graph->parents[to] == from)
        return true;
    b->out_of_memory = !mt_flow_add(
        to < b->strong ? &b->graph->weak : &b->graph->edges, from, to);
    return !b->out_of_memory;
}

static bool graph_is_listed(const struct builder *b, uint32_t id)
{
    return b->lists && id < b->lists->n_slots &&
           b->lists->counts[id] != MT_LIST_UNKNOWN;
}

static void graph_enter(const struct builder *b, struct graph_step *step,
                        uint32_t number)
{
    uint32_t id = b->graph->ids[number];

    step->number = number;
    step->position = 0;
    step->listed = graph_is_listed(b, id);
    if (!step->listed) {
        step->vertex = mt_graph_vertex(b->graph, id);
        return;
    }
    step->n = b->lists->counts[id];
    step->list = step->n > 0 ? mt_pointer_list(b->lists, id) : NULL;
}

/* Asks for what the search looks at soon. */
static void graph_ask(const struct builder *b, const struct graph_step *step)
{
    for (uint32_t i = 0; step->listed && i < step->n && i < ASK_TARGETS; i++) {
        uint32_t target = step->list[i] >> 1;
        __builtin_prefetch(&b->numbers[target], 1);
        __builtin_prefetch(&b->lists->counts[target]);
        __builtin_prefetch(&b->lists->groups[target / MT_LIST_GROUP]);
    }
}

/* False when out of memory or stopped. */
static bool graph_search(struct builder *b)
{
    struct mt_graph *graph = b->graph;
    uint32_t depth = 0, id = 0;
    struct graph_step step;

    add_vertex(b, graph->n_ids - 1, 0);
    graph_enter(b, &step, 0);
    for (;;) {
        if (next_edge(b, &step, &id)) {
            uint32_t number = b->numbers[id];
            graph->retained->n_pointers += number != NONE;
            if (number != NONE) {
                if (!add_edge(b, step.number, number))
                    return false;
                continue;
            }
            if (graph->n == b->capacity)
                continue;
            graph->retained->n_pointers++;
            add_vertex(b, id, step.number);
            if (graph->n % STEP_VERTICES == 0 &&
                !mt_model_step(b->model, "following pointers", graph->n,
                               b->capacity))
                return false;
            if (graph_is_listed(b, id) && b->lists->counts[id] == 0)
                continue;
            b->positions[depth++] = graph_pack(b, &step);
            graph_enter(b, &step, graph->n - 1);
            graph_ask(b, &step);
        } else if (depth == 0) {
            return true;
        } else {
            graph_enter(b, &step, graph->parents[step.number]);
            step.position = graph_unpack(b, &step, b->positions[--depth]);
        }
    }
}

static bool graph_report(void *context, uint64_t done, uint64_t total)
{
    return mt_model_step(context, "reading the blocks", done, total);
}

/* False when out of memory or stopped. */
static bool graph_search_lists(struct builder *b)
{
    /* Heuristics do not matter: all pointers count alike. */
    const struct mt_mark_options options = {
        .scan = {.low_tags = b->options->scan.low_tags,
                 .high_tags = b->options->scan.high_tags},
        .progress = graph_report,
        .progress_context = b->model};
    struct mt_mark mark = {
        .map = b->graph->map, .source = b->model->source, .options = &options};
    bool ok = mt_pointer_lists_make(&mark, NULL);

    b->out_of_memory = !ok;
    b->lists = mark.lists;
    ok = ok && !mark.stopped && graph_search(b);
    b->lists = NULL;
    mt_pointer_lists_free(mark.lists);
    return ok;
}

bool mt_graph_build(struct mt_model *model,
                    const struct mt_retained_options *options,
                    struct mt_graph *graph, struct mt_error *error)
{
    struct builder b = {.model = model, .options = options, .graph = graph};
    bool ok = mt_slot_index_make(&graph->index, graph->map), whole;

    mt_scan_init(&b.scan, graph->map, model->source, &options->scan);
    if (ok)
        graph_find_places(&b);
    ok = ok && !b.out_of_memory && order_holders(&b) && graph_allocate(&b);
    whole = ok && graph_search_lists(&b);
    graph->retained->missing_bytes = b.scan.missing_bytes;
    free(b.positions);
    free(b.numbers);
    free(b.order);
    mt_scan_done(&b.scan);
    if (whole)
        return true;
    return mt_fail(error, ok && !b.out_of_memory
                              ? "the search was stopped"
                              : "out of memory for the graph of blocks");
}

void mt_graph_drop_edges(struct mt_graph *graph)
{
    free(graph->parents);
    graph->parents = NULL;
    mt_flow_free(&graph->edges);
    mt_flow_free(&graph->weak);
}

void mt_graph_free(struct mt_graph *graph)
{
    mt_graph_drop_edges(graph);
    free(graph->ids);
    mt_slot_index_free(&graph->index);
}
