/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_mark.c - the mark engine on graphs whose answer is known.
 */
#include "tests/marks.h"

#define HEADS 64

static struct leak_roots {
    size_t n;
    struct mt_lost head[HEADS];
} leak_roots;

static void note_head(void *context, const struct mt_lost *lost)
{
    struct leak_roots *h = context;

    if (h->n < HEADS)
        h->head[h->n] = *lost;
    h->n++;
}

static void mark_all(struct graph *g)
{
    leak_roots.n = 0;
    CU_ASSERT_TRUE(graph_reach(g));
    CU_ASSERT_TRUE(mt_mark_lost(&g->mark, note_head, &leak_roots, NULL));
}

static const char *kinds(const struct graph *g)
{
    static char text[64];

    for (size_t i = 0; i < g->n_blocks; i++)
        text[i] = kind(g, i);
    text[g->n_blocks] = '\0';
    return text;
}

/* The nine cases of the Memcheck manual's table: RRR is a root, AAA block 0
 * and BBB block 1. */
static void nine_cases(void)
{
    static const struct {
        int root;  /* -1: none, 0: to a's start, 8: inside a */
        int chain; /* the same, from a to b */
        const char *kinds;
        bool only_b;
    } cases[] = {
        {0, -1, "r", false},  {0, 0, "rr", false}, {-1, -1, "d", false},
        {-1, 0, "di", false}, {8, -1, "p", false}, {0, 8, "rp", false},
        {8, 0, "pp", false},  {8, 8, "pp", false}, {-1, 8, "di", false},
    };

    for (size_t i = 0; i < 9; i++) {
        struct graph *g = graph_new(8, strlen(cases[i].kinds), 64);
        if (cases[i].root >= 0)
            *root(g, 3) = at(g, 0) + (uint64_t)cases[i].root;
        if (cases[i].chain >= 0)
            *word(g, 0, 2) = at(g, 1) + (uint64_t)cases[i].chain;
        mark_all(g);
        CU_ASSERT_STRING_EQUAL(kinds(g), cases[i].kinds);
        graph_free(g);
    }
}

static void long_list(void)
{
    size_t n = 1000000;
    struct graph *g = graph_new(1, n, 32);

    /* In an order that no prefetcher guesses: a permutation by an odd step. */
    for (size_t i = 0; i + 1 < n; i++)
        *word(g, i * 7919 % n, 1) = at(g, (i + 1) * 7919 % n);
    *root(g, 0) = at(g, 0);
    mark_all(g);
    CU_ASSERT_EQUAL(leak_roots.n, 0);
    for (size_t i = 0; i < n; i++)
        if (kind(g, i) != 'r') {
            CU_FAIL("a block of the list was not reached");
            break;
        }
    *root(g, 0) = 0;
    mark_all(g);
    CU_ASSERT_EQUAL(leak_roots.n, 1);
    CU_ASSERT_EQUAL(leak_roots.head[0].slot, 0);
    CU_ASSERT_EQUAL(leak_roots.head[0].indirect_count, n - 1);
    CU_ASSERT_EQUAL(leak_roots.head[0].indirect_bytes, (n - 1) * 32);
    /* Closed to a cycle: its lowest block heads it. */
    *word(g, (n - 1) * 7919 % n, 1) = at(g, 0);
    mark_all(g);
    CU_ASSERT_EQUAL(leak_roots.n, 1);
    CU_ASSERT_EQUAL(leak_roots.head[0].slot, 0);
    CU_ASSERT_EQUAL(leak_roots.head[0].indirect_count, n - 1);
    graph_free(g);
}

static void wide_tree(void)
{
    size_t n = (1u << 20) - 1;
    struct graph *g = graph_new(1, n, 32);

    for (size_t i = 0; 2 * i + 2 < n; i++) {
        *word(g, i, 0) = at(g, 2 * i + 1);
        *word(g, i, 1) = at(g, 2 * i + 2);
    }
    for (unsigned threads = 1; threads <= 4; threads *= 2)
        for (unsigned items = 64; items <= 65536; items *= 1024) {
            size_t reached = 0;
            g->options.threads = threads;
            g->options.stack_items = items;
            *root(g, 0) = at(g, 0);
            CU_ASSERT_TRUE(graph_reach(g));
            for (size_t i = 0; i < n; i++)
                reached += kind(g, i) == 'r';
            CU_ASSERT_EQUAL(reached, n);
        }
    graph_free(g);
}

static void cycles(void)
{
    struct graph *g = graph_new(1, 8, 32);

    /* 0 <-> 1; 2 -> 2; 3 -> 4 <-> 5; 6 -> 7 -> 6 and 7 -> 1 */
    *word(g, 0, 0) = at(g, 1);
    *word(g, 1, 0) = at(g, 0);
    *word(g, 2, 0) = at(g, 2);
    *word(g, 3, 0) = at(g, 4);
    *word(g, 4, 0) = at(g, 5);
    *word(g, 5, 0) = at(g, 4);
    *word(g, 6, 0) = at(g, 7);
    *word(g, 7, 0) = at(g, 6);
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "diddiidi");
    *word(g, 7, 1) = at(g, 1) + 8;
    mark_all(g);
    /* The cycle 0, 1 now hangs on that of 6, 7. */
    CU_ASSERT_STRING_EQUAL(kinds(g), "iiddiidi");
    CU_ASSERT_EQUAL(leak_roots.n, 3);
    CU_ASSERT_EQUAL(leak_roots.head[1].slot, 3);
    CU_ASSERT_EQUAL(leak_roots.head[2].slot, 6);
    CU_ASSERT_EQUAL(leak_roots.head[2].indirect_count, 3);
    graph_free(g);
}

/* --- random graphs against definitions written out --- */

#define RANDOM_BLOCKS 24

struct naive {
    bool lead[RANDOM_BLOCKS][RANDOM_BLOCKS];  /* by any chain */
    bool point[RANDOM_BLOCKS][RANDOM_BLOCKS]; /* by a chain of starts */
};

static void close_over(struct naive *naive, size_t n)
{
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                naive->lead[i][j] |= naive->lead[i][k] && naive->lead[k][j];
                naive->point[i][j] |= naive->point[i][k] && naive->point[k][j];
            }
}

/* `root` is 0, 1 or 2 for each block: none, to its start, to its inside. */
static char naive_kind(const struct naive *naive, const char *roots, size_t n,
                       size_t b)
{
    bool reached = roots[b] != 0, definite = roots[b] == 1;
    bool lost[RANDOM_BLOCKS], head = true;

    for (size_t i = 0; i < n; i++) {
        lost[i] = roots[i] == 0;
        for (size_t j = 0; j < n; j++)
            lost[i] &= roots[j] == 0 || !naive->lead[j][i];
        reached |= roots[i] != 0 && naive->lead[i][b];
        definite |= roots[i] == 1 && naive->point[i][b];
    }
    if (reached)
        return definite ? 'r' : 'p';
    /* A head: whoever leads to it is in its cycle, and no lower. */
    for (size_t i = 0; i < n; i++)
        if (i != b && lost[i] && naive->lead[i][b])
            head &= naive->lead[b][i] && i > b;
    return head ? 'd' : 'i';
}

static void random_graphs(void)
{
    unsigned seed = 1;

    for (int round = 0; round < 3000; round++) {
        size_t n = 2 + (size_t)rand_r(&seed) % (RANDOM_BLOCKS - 2);
        size_t edges = (size_t)rand_r(&seed) % (2 * n);
        struct graph *g = graph_new(RANDOM_BLOCKS, n, 64);
        char roots[RANDOM_BLOCKS] = {0}, wanted[RANDOM_BLOCKS + 1] = {0};
        static struct naive naive;
        memset(&naive, 0, sizeof naive);
        while (edges-- > 0) {
            size_t i = (size_t)rand_r(&seed) % n, j = (size_t)rand_r(&seed) % n;
            unsigned inside = rand_r(&seed) % 4 == 0 ? 16 : 0, k;
            for (k = 0; k < 8 && *word(g, i, k); k++)
                continue;
            if (k == 8)
                continue;
            *word(g, i, k) = at(g, j) + inside;
            naive.lead[i][j] = true;
            naive.point[i][j] |= inside == 0;
        }
        for (size_t i = 0; i < n; i++)
            if (rand_r(&seed) % 6 == 0) {
                roots[i] = (char)(1 + rand_r(&seed) % 2);
                *root(g, i) = at(g, i) + (roots[i] == 2 ? 8 : 0);
            }
        close_over(&naive, n);
        for (size_t i = 0; i < n; i++)
            wanted[i] = naive_kind(&naive, roots, n, i);
        g->options.threads = 1 + (unsigned)round % 2;
        g->options.stack_items = round % 3 ? 1 + (unsigned)round % 5 : 0;
        mark_all(g);
        CU_ASSERT_STRING_EQUAL(kinds(g), wanted);
        size_t folded = leak_roots.n;
        for (size_t i = 0; i < leak_roots.n && i < HEADS; i++)
            folded += leak_roots.head[i].indirect_count;
        for (size_t i = 0; i < n; i++)
            folded -= wanted[i] == 'd' || wanted[i] == 'i';
        CU_ASSERT_EQUAL(folded, 0);
        graph_free(g);
    }
}

static void freed_blocks(void)
{
    struct graph *g = graph_new(1, 3, 32);

    *root(g, 0) = at(g, 0);
    *word(g, 0, 0) = at(g, 1);
    *word(g, 1, 0) = at(g, 2);
    g->map->flags[1] = 0;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "r-d");
    graph_free(g);
}

/* Neither bytes after the requested ones count, nor pointers to them. */
static void slack(void)
{
    struct graph *g = graph_new(2, 3, 32);

    g->map->slack[0] = 8;
    *root(g, 0) = at(g, 0);
    *word(g, 0, 3) = at(g, 1);
    g->map->slack[2] = 32; /* malloc(0) */
    *root(g, 1) = at(g, 2);
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rdr");
    *root(g, 1) = at(g, 2) + 1;
    *word(g, 0, 3) = 0;
    *word(g, 0, 2) = at(g, 1);
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rrd");
    graph_free(g);
}

static void tags(void)
{
    struct graph *g = graph_new(2, 2, 32);

    *root(g, 0) = at(g, 0) | 5;
    *root(g, 1) = at(g, 1) | UINT64_C(0xabcd) << 48;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "pd");
    g->options.scan.low_tags = 7;
    g->options.scan.high_tags = UINT64_C(0xffff) << 48;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rr");
    *root(g, 0) = at(g, 0) + 12; /* not a tag: inside */
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "pr");
    graph_free(g);
}

/* If blocks have no bytes to spare, the end of one is the start of the next;
 * the words around a pointer show which of the two it may mean. */
static void ends_of_blocks(void)
{
    struct graph *g = graph_new(32, 4, 64);

    g->map->touching = true;
    *root(g, 8) = at(g, 0);
    *root(g, 9) = at(g, 0) + 16;
    *root(g, 10) = at(g, 1); /* a vector's three words */
    *root(g, 20) = at(g, 3); /* alone */
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rpdr");
    *root(g, 10) = 0;
    *root(g, 24) = at(g, 1);
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rrdr");
    g->map->touching = false;
    *root(g, 24) = 0;
    *root(g, 10) = at(g, 1);
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rrdr");
    graph_free(g);
}

/* The words of a root area from 16 on: the object `type` of CPython. */
static uint64_t python_type(struct graph *g)
{
    uint64_t type = GRAPH_BASE + 16 * 8;

    *root(g, 17) = type;
    *root(g, 19) = GRAPH_BASE + 24 * 8;
    memcpy(root(g, 24), "type", 5);
    *root(g, 48) = GRAPH_BASE + 52 * 8; /* it is derived from `object` */
    *root(g, 53) = type;
    return type;
}

static void known_layouts(void)
{
    struct graph *g = graph_new(128, 5, 80);
    uint64_t type = python_type(g);

    /* An object after the header of the garbage collector; one that has
     * pointers to its dictionary before that; its values; a table of 4
     * elements; an object that has its type's private data before it. */
    *word(g, 0, 3) = type;
    *root(g, 0) = at(g, 0) + 16;
    *word(g, 1, 5) = type;
    *word(g, 1, 0) = at(g, 2) + 8;
    *root(g, 1) = at(g, 1) + 32;
    g->map->slack[3] = 80 - (48 + 4 + 16);
    *root(g, 2) = at(g, 3) + 48;
    *root(g, 3) = 4 - 1;
    *word(g, 4, 3) = GRAPH_BASE + 96 * 8;
    *root(g, 96) = GRAPH_BASE + 100 * 8;
    *root(g, 104) = GRAPH_BASE + 100 * 8;
    *root(g, 6) = at(g, 4) + 24;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "ppppp");
    g->options.scan.heuristics = MT_HEURISTICS_ALL;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rrrrr");
    /* None of them any more. */
    memcpy(root(g, 24), "tape", 5);
    *root(g, 3) = 5 - 1;
    *root(g, 104) = 0;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "ppppp");
    g->options.scan.heuristics = MT_HEURISTIC_INTERIOR;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rrrrr");
    graph_free(g);
}

static void heuristics(void)
{
    struct graph *g = graph_new(8, 4, 64);
    struct mt_mapping maps[2] = {
        {.start = GRAPH_BASE, .flags = MT_MAP_READ | MT_MAP_WRITE},
        {.start = 0x400000,
         .end = 0x500000,
         .flags = MT_MAP_READ | MT_MAP_EXEC},
    };

    maps[0].end = GRAPH_BASE + g->words * 8;
    /* By address. */
    struct mt_mapping sorted[2] = {maps[1], maps[0]};
    g->source.mappings = sorted;
    g->source.n_mappings = 2;
    /* length 5, capacity 64 - 25; 7 elements of 8; 56 bytes of data; two
     * vtables, the root words 4 and 6 */
    *word(g, 0, 0) = 5;
    *word(g, 0, 1) = 64 - 25;
    *root(g, 0) = at(g, 0) + 24;
    *word(g, 1, 0) = 7;
    *root(g, 1) = at(g, 1) + 8;
    *word(g, 2, 0) = 56;
    *root(g, 2) = at(g, 2) + 8;
    *word(g, 3, 0) = GRAPH_BASE + 4 * 8;
    *word(g, 3, 2) = GRAPH_BASE + 6 * 8;
    *root(g, 5) = *root(g, 6) = 0x400100;
    *root(g, 3) = at(g, 3) + 16;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "pppp");
    g->options.scan.heuristics = MT_HEURISTICS_ALL;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rrrr");
    g->options.scan.heuristics = MT_HEURISTIC_LENGTH64;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "pprp");
    g->options.scan.heuristics = MT_HEURISTICS_ALL;
    *word(g, 0, 1) = 64 - 34;
    *word(g, 1, 0) = 9;
    *word(g, 3, 2) = 0x400200; /* a function, not a table of them */
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "pprp");
    graph_free(g);
}

/* Mappings that count only if something points to them. */
static void nodes(void)
{
    struct graph *g = graph_new(4096, 2, 64);
    uint32_t span;

    /* Words 2048 on are the mapping, the first ones are roots. */
    CU_ASSERT_TRUE(
        mt_map_add_node(g->map, GRAPH_BASE + 2048 * 8, 2048 * 8, &span, NULL));
    g->root_words = 2;
    *root(g, 3000) = at(g, 0);
    *root(g, 0) = at(g, 1);
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "dr");
    *root(g, 1) = GRAPH_BASE + 2048 * 8 + 999;
    mark_all(g);
    CU_ASSERT_STRING_EQUAL(kinds(g), "rr");
    graph_free(g);
}

/* A source that cannot be read in place, with a hole. */
static void copied_memory(void)
{
    size_t n = 20000;
    struct graph *g = graph_new(1, n, 64);
    struct mt_mark_range range;

    for (size_t i = 0; i + 1 < n; i++)
        *word(g, i * 7919 % n, 7) = at(g, (i + 1) * 7919 % n);
    *root(g, 0) = at(g, 0);
    g->ops.extent = NULL;
    mark_all(g);
    CU_ASSERT_EQUAL(leak_roots.n, 0);
    CU_ASSERT_EQUAL(g->mark.missing_bytes, 0);
    for (size_t i = 0; i < n; i++)
        if (kind(g, i) != 'r') {
            CU_FAIL("a block was not reached");
            break;
        }
    g->hole = (at(g, 7919) & ~UINT64_C(4095)) + 4096;
    g->hole_end = g->hole + 8192;
    mark_all(g);
    CU_ASSERT(g->mark.missing_bytes > 0);
    CU_ASSERT(leak_roots.n > 0);
    /* However often a block was met, and met again as definite. */
    range = (struct mt_mark_range){GRAPH_BASE, GRAPH_BASE + 8};
    CU_ASSERT_EQUAL(mt_mark_missing(&g->mark, &range, 1), 8192);
    range.start = range.end = g->hole + 4088;
    range.end += 16;
    CU_ASSERT_EQUAL(mt_mark_missing(&g->mark, &range, 1), 8192 + 16);
    graph_free(g);
}

#define LISTED 6000

/* Lists of pointers find what scans of each block find: blocks with none, few,
 * and more than a list has, with holes, freed ones, and unused bytes. */
static void pointer_lists(void)
{
    static uint8_t flags[LISTED];
    static const size_t block_bytes[] = {16, 24, 32, 48, 2400, 16384, 20000};
    unsigned seed = 1;

    for (size_t k = 0; k < sizeof block_bytes / sizeof *block_bytes; k++) {
        size_t words = block_bytes[k] / 8, n = words > 100 ? 300 : LISTED;
        struct graph *g = graph_new(2, n, block_bytes[k]);
        uint64_t missing;
        for (size_t i = 0; i < n; i++) {
            size_t most = (size_t)rand_r(&seed) % (i % 7 ? 3 : words + 1);
            g->map->slack[i] = (uint16_t)(rand_r(&seed) % 9);
            if (rand_r(&seed) % 8 == 0)
                g->map->flags[i] = 0;
            for (size_t j = 0; j < most; j++)
                *word(g, i, (size_t)rand_r(&seed) % words) =
                    at(g, (size_t)rand_r(&seed) % n) +
                    (rand_r(&seed) % 3 ? 0 : 8);
        }
        *root(g, 0) = at(g, n / 2);
        *root(g, 1) = at(g, n / 3) + 8;
        for (unsigned hole = 0; hole < 2; hole++) {
            g->hole = hole ? (at(g, n / 4) & ~UINT64_C(4095)) + 4096 : 0;
            g->hole_end = hole ? g->hole + 8192 : 0;
            for (g->options.stack_items = 0; g->options.stack_items < 6;
                 g->options.stack_items += 5) {
                g->ops.extent = NULL;
                mark_all(g);
                CU_ASSERT_PTR_NULL(g->mark.lists);
                memcpy(flags, g->map->flags, n);
                missing = g->mark.missing_bytes;
                g->ops.extent = graph_extent;
                mark_all(g);
                CU_ASSERT_PTR_NOT_NULL_FATAL(g->mark.lists);
                CU_ASSERT_EQUAL(memcmp(flags, g->map->flags, n), 0);
                CU_ASSERT_EQUAL(missing > 0, g->mark.missing_bytes > 0);
                CU_ASSERT_EQUAL(missing > 0, hole > 0);
            }
        }
        graph_free(g);
    }
}

static void reciprocals(void)
{
    for (uint64_t b = 8; b <= 40000; b += 8) {
        uint64_t n = 16384 * 4 / b + 2, r = mt_span_recip(b, n);
        if (r == 0)
            continue;
        for (uint64_t i = 0; i <= n; i++)
            if ((i * b * r >> 40) != i || ((i * b + b - 1) * r >> 40) != i) {
                CU_FAIL("a reciprocal is wrong");
                return;
            }
    }
}

static const struct unit_test tests[] = {
    {"the nine cases of Memcheck's table", nine_cases},
    {"a list of a million blocks, reached, lost, and closed", long_list},
    {"a tree of a million blocks, threads and tiny stacks", wide_tree},
    {"cycles, and cycles that hang on cycles", cycles},
    {"random graphs, against the definitions", random_graphs},
    {"a freed block leads nowhere", freed_blocks},
    {"slack holds no pointers", slack},
    {"tagged pointers", tags},
    {"ends of blocks that touch", ends_of_blocks},
    {"heuristics for inner pointers", heuristics},
    {"layouts of runtimes that are known", known_layouts},
    {"mappings as nodes", nodes},
    {"memory that must be copied, with a hole", copied_memory},
    {"lists of pointers and scans of blocks agree", pointer_lists},
    {"reciprocals are exact", reciprocals},
};
UNIT_MAIN(tests)
