/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_retained.c - the graph of what retains what, on blocks made by hand.
 */
#include "coreanalyze/analyses/retained_graph.h"
#include "tests/marks.h"

/* The graph as the source allows it to be made. */
static void graph_make(struct graph *g, struct mt_retained *retained,
                       struct mt_graph *made)
{
    static const struct mt_retained_options options;
    struct mt_model model = {.source = &g->source};
    struct mt_error error;

    *retained = (struct mt_retained){0};
    retained->roots.ranges = calloc(1, sizeof *retained->roots.ranges);
    retained->roots.ranges[0] = (struct mt_root_range){
        .start = GRAPH_BASE,
        .end = GRAPH_BASE + g->root_words * 8,
        .kind = MT_ROOT_MODULE,
    };
    retained->roots.n_ranges = 1;
    *made = (struct mt_graph){.map = g->map, .retained = retained};
    CU_ASSERT_FATAL(mt_graph_build(&model, &options, made, &error));
}

static void same_edges(const struct mt_flow_edges *a,
                       const struct mt_flow_edges *b)
{
    CU_ASSERT_EQUAL_FATAL(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t from[2], to[2];
        mt_flow_get(a, i, &from[0], &to[0]);
        mt_flow_get(b, i, &from[1], &to[1]);
        if (from[0] != from[1] || to[0] != to[1]) {
            CU_FAIL("an edge differs");
            return;
        }
    }
}

/* Both ways to make it find the same graph, in the same order. */
static void same_graphs(struct graph *g)
{
    struct mt_retained retained[2];
    struct mt_graph made[2];

    for (unsigned k = 0; k < 2; k++) {
        g->ops.extent = k == 0 ? NULL : graph_extent;
        graph_make(g, &retained[k], &made[k]);
    }
    CU_ASSERT_EQUAL(retained[0].n_pointers, retained[1].n_pointers);
    CU_ASSERT_EQUAL(retained[0].missing_bytes, retained[1].missing_bytes);
    CU_ASSERT_EQUAL(retained[0].n_places, retained[1].n_places);
    CU_ASSERT_EQUAL_FATAL(made[0].n, made[1].n);
    CU_ASSERT_EQUAL(
        memcmp(made[0].ids, made[1].ids, made[0].n * sizeof *made[0].ids), 0);
    CU_ASSERT_EQUAL(memcmp(made[0].parents, made[1].parents,
                           made[0].n * sizeof *made[0].parents),
                    0);
    same_edges(&made[0].edges, &made[1].edges);
    same_edges(&made[0].weak, &made[1].weak);
    for (unsigned k = 0; k < 2; k++) {
        mt_graph_free(&made[k]);
        mt_retained_free(&retained[k]);
    }
}

#define LISTED 6000

/* Blocks with no pointer, few, and more than a list has; to inner bytes, to
 * themselves, to freed ones, and to unused bytes; with holes. */
static void lists_and_scans(void)
{
    static const size_t block_bytes[] = {16, 24, 32, 48, 2400, 16384, 20000};
    unsigned seed = 1;

    for (size_t k = 0; k < sizeof block_bytes / sizeof *block_bytes; k++) {
        size_t words = block_bytes[k] / 8, n = words > 100 ? 300 : LISTED;
        struct graph *g = graph_new(8, n, block_bytes[k]);
        for (size_t i = 0; i < n; i++) {
            size_t most = (size_t)rand_r(&seed) % (i % 7 ? 4 : words + 1);
            g->map->slack[i] = (uint16_t)(rand_r(&seed) % 9);
            if (rand_r(&seed) % 8 == 0) {
                g->map->flags[i] = 0;
                g->map->n_live--;
            }
            for (size_t j = 0; j < most; j++)
                *word(g, i, (size_t)rand_r(&seed) % words) =
                    at(g, (size_t)rand_r(&seed) % n) +
                    (rand_r(&seed) % 3 ? 0 : 8);
        }
        for (size_t i = 0; i < 8; i++)
            *root(g, i) = at(g, (size_t)rand_r(&seed) % n);
        same_graphs(g);
        g->hole = (at(g, n / 4) & ~UINT64_C(4095)) + 4096;
        g->hole_end = g->hole + 8192;
        same_graphs(g);
        graph_free(g);
    }
}

/* A search this deep comes back through every block of the path. */
static void deep_paths(void)
{
    size_t n = 300000;
    struct graph *g = graph_new(1, n, 32);
    struct mt_retained retained;
    struct mt_graph made;

    for (size_t i = 0; i + 2 < n; i += 2) {
        *word(g, i, 0) = at(g, i + 2);
        *word(g, i, 1) = at(g, i + 1);
        *word(g, i, 2) = at(g, i);
    }
    *root(g, 0) = at(g, 0);
    same_graphs(g);
    graph_make(g, &retained, &made);
    /* The root of all, the holder and its place. */
    CU_ASSERT_EQUAL(made.n, n - 1 + 3);
    mt_graph_free(&made);
    mt_retained_free(&retained);
    graph_free(g);
}

static const struct unit_test tests[] = {
    {"lists of pointers and scans lead to the same graph", lists_and_scans},
    {"a path through all blocks", deep_paths},
};
UNIT_MAIN(tests)
