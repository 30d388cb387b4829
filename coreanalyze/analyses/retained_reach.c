/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_reach.c - searches of the graph from one root each.
 */
#include "coreanalyze/analyses/retained_reach.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>

/* Edges of a graph that is kept, and that are followed in all searches. */
#define REACH_MOST_EDGES (UINT64_C(1) << 24)
#define REACH_MOST_WORK (UINT64_C(1) << 27)

/* Counts the edges of each vertex, or writes their targets to where `first`
 * says; `first` moves on to the end of each list. */
static void reach_add(struct mt_reach *reach, uint32_t from, uint32_t to)
{
    if (reach->targets)
        reach->targets[reach->first[from]] = to;
    reach->first[from]++;
}

static void reach_add_all(struct mt_reach *reach, const struct mt_graph *graph)
{
    const struct mt_flow_edges *lists[] = {&graph->edges, &graph->weak};
    uint32_t from, to;

    for (uint32_t v = 1; v < graph->n; v++)
        reach_add(reach, graph->parents[v], v);
    for (unsigned k = 0; k < 2; k++)
        for (uint32_t i = 0; i < lists[k]->n; i++) {
            mt_flow_get(lists[k], i, &from, &to);
            reach_add(reach, from, to);
        }
}

bool mt_reach_build(struct mt_reach *reach, const struct mt_graph *graph)
{
    uint64_t all = (uint64_t)graph->n + graph->edges.n + graph->weak.n;
    uint32_t sum = 0, others = (uint32_t)(graph->map->n_slots +
                                          graph->retained->n_holders);

    *reach = (struct mt_reach){.n = graph->n, .work = REACH_MOST_WORK};
    if (all > REACH_MOST_EDGES)
        return true;
    reach->first = calloc((size_t)graph->n + 2, sizeof *reach->first);
    reach->seen = calloc((size_t)graph->n + 1, sizeof *reach->seen);
    reach->place_numbers =
        calloc(graph->retained->n_places + 1, sizeof *reach->place_numbers);
    if (!reach->first || !reach->seen || !reach->place_numbers)
        return false;
    reach_add_all(reach, graph);
    for (uint32_t v = 0; v <= graph->n; v++) {
        uint32_t n = reach->first[v];
        reach->first[v] = sum;
        sum += n;
    }
    reach->targets = malloc((all + 1) * sizeof *reach->targets);
    if (!reach->targets)
        return false;
    reach_add_all(reach, graph);
    /* Each list's end is now where its start was. */
    for (uint32_t v = graph->n; v > 0; v--)
        reach->first[v] = reach->first[v - 1];
    reach->first[0] = 0;
    for (uint32_t v = 0; v < graph->n; v++)
        if (graph->ids[v] >= others &&
            graph->ids[v] - others < graph->retained->n_places)
            reach->place_numbers[graph->ids[v] - others] = v;
    return true;
}

void mt_reach_free(struct mt_reach *reach)
{
    free(reach->first);
    free(reach->targets);
    free(reach->place_numbers);
    free(reach->seen);
}

bool mt_reach_of(struct mt_reach *reach, uint32_t place,
                 void (*visit)(void *context, uint32_t number), void *context)
{
    uint32_t *list = NULL, start;
    size_t n = 0, capacity = 0;
    bool ok = reach->targets && reach->work > 0;

    if (!ok || (start = reach->place_numbers[place]) == 0)
        return ok;
    ok = mt_grow(&list, &capacity, 1, sizeof *list);
    reach->seen[start] = ++reach->search;
    if (ok)
        list[n++] = start;
    while (ok && n > 0) {
        uint32_t v = list[--n];
        uint32_t edges = reach->first[v + 1] - reach->first[v];
        if (v != start)
            visit(context, v);
        reach->work -= edges < reach->work ? edges : reach->work;
        ok = reach->work > 0;
        for (uint32_t i = reach->first[v]; ok && i < reach->first[v + 1]; i++) {
            uint32_t to = reach->targets[i];
            if (reach->seen[to] == reach->search)
                continue;
            reach->seen[to] = reach->search;
            ok = mt_grow(&list, &capacity, n + 1, sizeof *list);
            if (ok)
                list[n++] = to;
        }
    }
    free(list);
    reach->no_memory |= !ok && reach->work > 0;
    return ok;
}
