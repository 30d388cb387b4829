/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Immediate dominators: known shapes, and random graphs against the
 * definition, by removing each vertex in turn.
 */
#include "coreanalyze/analyses/dominators.h"
#include "coreanalyze/analyses/retained_hold.h"
#include "tests/unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VERTICES 64u
#define NONE UINT32_MAX

/* A graph as it is given: vertex 0 is the root. */
struct graph {
    uint32_t n, n_edges;
    uint32_t from[4096], to[4096];
};

static uint64_t state = 88172645463325252u;

static uint32_t next_random(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % below;
}

static void edge(struct graph *g, uint32_t from, uint32_t to)
{
    if (g->n <= from)
        g->n = from + 1;
    if (g->n <= to)
        g->n = to + 1;
    g->from[g->n_edges] = from;
    g->to[g->n_edges++] = to;
}

/* --- by the definition --- */

static void reach(const struct graph *g, uint32_t without, bool *reached)
{
    bool more = without != 0;

    memset(reached, 0, g->n * sizeof *reached);
    reached[0] = without != 0;
    while (more) {
        more = false;
        for (uint32_t i = 0; i < g->n_edges; i++)
            if (reached[g->from[i]] && !reached[g->to[i]] &&
                g->to[i] != without)
                more = reached[g->to[i]] = true;
    }
}

/* d dominates v; all of them are dominated by 0. */
static void define(const struct graph *g,
                   bool dominates[MAX_VERTICES][MAX_VERTICES], bool *reached)
{
    bool left[MAX_VERTICES];

    reach(g, NONE, reached);
    for (uint32_t d = 0; d < g->n; d++) {
        reach(g, d, left);
        for (uint32_t v = 0; v < g->n; v++)
            dominates[d][v] = reached[d] && reached[v] && !left[v];
    }
}

/* The dominator of v that all its other dominators dominate. */
static uint32_t immediate(const struct graph *g,
                          bool dominates[MAX_VERTICES][MAX_VERTICES],
                          uint32_t v)
{
    for (uint32_t d = 0; d < g->n; d++) {
        bool last = d != v && dominates[d][v];
        for (uint32_t other = 0; last && other < g->n; other++)
            if (other != v && dominates[other][v] && !dominates[other][d])
                last = false;
        if (last)
            return d;
    }
    return 0;
}

/* --- by the algorithm --- */

struct numbered {
    uint32_t n;
    uint32_t *number, *vertex, *parent; /* by vertex, by number, by number */
};

static void search(const struct graph *g, struct numbered *s)
{
    uint32_t *next = calloc(g->n, sizeof *next), current = 0;

    s->n = 1;
    memset(s->number, 0xff, g->n * sizeof *s->number);
    s->number[0] = s->vertex[0] = s->parent[0] = 0;
    for (;;) {
        uint32_t v = s->vertex[current], found = NONE;
        for (; next[v] < g->n_edges && found == NONE; next[v]++)
            if (g->from[next[v]] == v && s->number[g->to[next[v]]] == NONE)
                found = g->to[next[v]];
        if (found != NONE) {
            s->number[found] = s->n;
            s->vertex[s->n] = found;
            s->parent[s->n] = current;
            current = s->n++;
        } else if (current == 0) {
            break;
        } else {
            current = s->parent[current];
        }
    }
    free(next);
}

/* Fills dominator[] by vertex; NONE: not reached. */
static void find(const struct graph *g, uint32_t *dominator)
{
    uint32_t n = g->n, *of = calloc(n + 1, sizeof *of);
    struct numbered s = {0, calloc(n, sizeof n), calloc(n, sizeof n),
                         calloc(n, sizeof n)};
    uint32_t *first = calloc(n + 2, sizeof n);
    struct mt_flow_edges edges = {0};
    struct mt_error error;

    search(g, &s);
    /* Edges from parents may be among them. */
    for (uint32_t i = 0; i < g->n_edges; i++)
        if (s.number[g->from[i]] != NONE)
            CU_ASSERT(
                mt_flow_add(&edges, s.number[g->from[i]], s.number[g->to[i]]));
    mt_flow_link(&edges, first, s.n);
    struct mt_flow_graph flow = {s.n, s.parent, first, &edges};
    CU_ASSERT_FATAL(mt_dominators_find(&flow, of, &error));
    for (uint32_t v = 0; v < n; v++)
        dominator[v] = s.number[v] == NONE ? NONE : s.vertex[of[s.number[v]]];
    free(of);
    free(s.number);
    free(s.vertex);
    free(s.parent);
    free(first);
    mt_flow_free(&edges);
}

static bool agrees(const struct graph *g)
{
    static bool dominates[MAX_VERTICES][MAX_VERTICES];
    uint32_t found[MAX_VERTICES];
    bool reached[MAX_VERTICES];

    find(g, found);
    define(g, dominates, reached);
    for (uint32_t v = 1; v < g->n; v++)
        if (found[v] != (reached[v] ? immediate(g, dominates, v) : NONE))
            return false;
    return true;
}

static void textbook(void)
{
    /* The example of Lengauer and Tarjan's paper: R, A to L. */
    static const char edges[] = "RA RB RC AD BA BD BE CF CG DL EH FI GI GJ HE "
                                "HK IK JI KI KR LH";
    static const char names[] = "RABCDEFGHIJKL";
    static const char wanted[] = "RRRRRRCCRRGRD";
    struct graph g = {0};
    uint32_t found[13];

    for (const char *p = edges; *p; p += p[2] ? 3 : 2)
        edge(&g, (uint32_t)(strchr(names, p[0]) - names),
             (uint32_t)(strchr(names, p[1]) - names));
    find(&g, found);
    for (unsigned v = 0; v < 13; v++)
        CU_ASSERT_EQUAL(names[found[v]], wanted[v]);
    CU_ASSERT(agrees(&g));
}

static void doubly_linked(void)
{
    struct graph g = {0};
    uint32_t found[MAX_VERTICES];

    /* From both ends: none retains another. */
    edge(&g, 0, 1);
    edge(&g, 0, 50);
    for (uint32_t v = 1; v < 50; v++) {
        edge(&g, v, v + 1);
        edge(&g, v + 1, v);
    }
    find(&g, found);
    for (uint32_t v = 1; v <= 50; v++)
        CU_ASSERT_EQUAL(found[v], 0);
    /* From one end alone: each retains the next. */
    g.from[1] = g.to[1] = 50;
    find(&g, found);
    for (uint32_t v = 1; v <= 50; v++)
        CU_ASSERT_EQUAL(found[v], v - 1);
}

static void edge_cases(void)
{
    struct graph g = {.n = 1};
    uint32_t found[MAX_VERTICES];

    find(&g, found);
    CU_ASSERT_EQUAL(found[0], 0);
    /* To itself, to the root, twice, and from what is not reached. */
    edge(&g, 0, 1);
    edge(&g, 1, 1);
    edge(&g, 1, 0);
    edge(&g, 1, 2);
    edge(&g, 1, 2);
    edge(&g, 3, 2);
    find(&g, found);
    CU_ASSERT_EQUAL(found[1], 0);
    CU_ASSERT_EQUAL(found[2], 1);
    CU_ASSERT_EQUAL(found[3], NONE);
}

static void random_graphs(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < 3000; i++) {
        struct graph g = {0};
        uint32_t n = 2 + next_random(i % 10 == 0 ? MAX_VERTICES - 2 : 14);
        uint32_t m = next_random(3 * n) + n / 2;
        edge(&g, 0, next_random(n));
        edge(&g, 0, n - 1);
        while (m-- > 0)
            edge(&g, next_random(n), next_random(n));
        wrong += !agrees(&g);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* A list of items and a table that points to what hangs on each of them: an
 * algorithm that climbs the tree step by step takes n * n / 2 steps. */
static void long_chain(void)
{
    enum { N = 1000000 };
    uint32_t *parent = calloc(2 * N + 2, sizeof *parent);
    uint32_t *first = calloc(2 * N + 3, sizeof *first);
    uint32_t *dominator = calloc(2 * N + 2, sizeof *dominator);
    struct mt_flow_edges edges = {0};
    struct mt_flow_graph flow = {2 * N + 1, parent, first, &edges};
    struct mt_error error;
    uint32_t wrong = 0;

    /* 1 to N are the list; N + i hangs on i (their numbers are those of a
     * search that goes down the list first), and on the root. */
    for (uint32_t v = 0; v <= 2 * N; v++) {
        uint32_t item = 2 * N + 1 - v; /* that v hangs on */
        if (v == 0)
            continue;
        parent[v] = v <= N ? v - 1 : item;
        if (v > N)
            CU_ASSERT(mt_flow_add(&edges, 0, v));
    }
    mt_flow_link(&edges, first, 2 * N + 1);
    CU_ASSERT_FATAL(mt_dominators_find(&flow, dominator, &error));
    for (uint32_t v = 1; v <= 2 * N; v++)
        wrong += dominator[v] != (v <= N ? v - 1 : 0);
    CU_ASSERT_EQUAL(wrong, 0);
    free(parent);
    free(first);
    mt_flow_free(&edges);
    free(dominator);
}

static void most_of_a_stack(void)
{
    struct mt_hold_most hold;

    mt_hold_begin(&hold);
    CU_ASSERT_FALSE(mt_hold_is_half(&hold, 0));
    mt_hold_add(&hold, 7, 30);
    mt_hold_add(&hold, MT_HELD_BY_NONE, 500);
    mt_hold_add(&hold, 7, 10);
    mt_hold_add(&hold, 8, 39);
    CU_ASSERT(hold.most.of == 7 && hold.most.bytes == 40);
    mt_hold_add(&hold, 8, 2);
    mt_hold_add(&hold, 9, 1);
    CU_ASSERT(hold.most.of == 8 && hold.most.bytes == 41);
    CU_ASSERT(mt_hold_is_half(&hold, 82));
    CU_ASSERT_FALSE(mt_hold_is_half(&hold, 84));
}

static const struct unit_test tests[] = {
    {"which place holds the most of a stack", most_of_a_stack},
    {"the example of the paper", textbook},
    {"a doubly linked list", doubly_linked},
    {"one vertex, loops, double edges", edge_cases},
    {"random graphs against the definition", random_graphs},
    {"a million vertices in a chain", long_chain},
};
UNIT_MAIN(tests)
