/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_base.c - what all rooms of coreanalyze/ build on: searches, tables,
 * texts, workers, errors.
 */
#include "coreanalyze/base/error.h"
#include "coreanalyze/base/fold.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/base/workers.h"
#include "tests/unit.h"

#include <stdlib.h>

struct item {
    uint32_t other;
    uint64_t key;
};

static void searches(void)
{
    static const struct item items[] = {
        {0, 3}, {0, 5}, {0, 5}, {0, 9}, {0, UINT64_MAX}};
    static const struct {
        uint64_t key;
        size_t below, up_to;
    } cases[] = {{0, 0, 0},         {3, 0, 1}, {4, 1, 1},
                 {5, 1, 3},         {9, 3, 4}, {UINT64_MAX - 1, 4, 4},
                 {UINT64_MAX, 4, 5}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT_EQUAL(mt_count_below(items, 5, key, cases[i].key),
                        cases[i].below);
        CU_ASSERT_EQUAL(mt_count_up_to(items, 5, key, cases[i].key),
                        cases[i].up_to);
    }
    CU_ASSERT_EQUAL(mt_count_below((const struct item *)NULL, 0, key, 7), 0);
}

static bool same_key(const void *items, size_t item, const void *key)
{
    return ((const struct item *)items)[item].key == *(const uint64_t *)key;
}

static void tables(void)
{
    enum { N = 10000 };
    struct item *items = calloc(N, sizeof *items);
    struct mt_table table = {0};
    uint64_t key = 1;

    CU_ASSERT_EQUAL(mt_table_find(&table, 1, same_key, items, &key),
                    MT_TABLE_NONE);
    /* Every fourth shares its hash with three others. */
    for (size_t i = 0; i < N; i++) {
        items[i].key = i;
        CU_ASSERT_TRUE_FATAL(mt_table_add(&table, i / 4 << 40, i));
    }
    for (key = 0; key < N; key++)
        CU_ASSERT_EQUAL(
            mt_table_find(&table, key / 4 << 40, same_key, items, &key), key);
    key = N;
    CU_ASSERT_EQUAL(mt_table_find(&table, 0, same_key, items, &key),
                    MT_TABLE_NONE);
    CU_ASSERT_EQUAL(table.n, N);
    mt_table_free(&table);
    free(items);
}

static void texts(void)
{
    enum { N = 3000 };
    struct mt_strings *strings = mt_strings_new();
    const char *kept[N], *binary;
    char *large = malloc(100001), text[32];

    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "text %d", i);
        kept[i] = mt_strings_keep(strings, text);
    }
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "text %d", i);
        CU_ASSERT_STRING_EQUAL(kept[i], text);
        CU_ASSERT_PTR_EQUAL(mt_strings_keep(strings, text), kept[i]);
        CU_ASSERT_PTR_EQUAL(mt_strings_add(strings, text, strlen(text)),
                            kept[i]);
    }
    CU_ASSERT_PTR_NULL(mt_strings_keep(strings, NULL));
    CU_ASSERT_STRING_EQUAL(mt_strings_add(strings, "text", 0), "");
    binary = mt_strings_add(strings, "a\0b", 3);
    CU_ASSERT_EQUAL(memcmp(binary, "a\0b", 4), 0);
    CU_ASSERT_PTR_NOT_EQUAL(mt_strings_keep(strings, "a"), binary);
    memset(large, 'x', 100000);
    large[100000] = '\0';
    CU_ASSERT_EQUAL(strlen(mt_strings_take(strings, large)), 100000);
    mt_strings_free(strings);
    mt_strings_free(NULL);
}

struct shared_work {
    struct mt_parts parts;
    unsigned calls[8], taken[1000];
};

static void work(void *context, unsigned index)
{
    struct shared_work *shared = context;
    uint64_t part;

    shared->calls[index]++;
    while (mt_parts_take(&shared->parts, 1000, &part))
        __atomic_add_fetch(&shared->taken[part], 1, __ATOMIC_RELAXED);
}

static void workers(void)
{
    struct shared_work shared = {.parts = {0}};
    uint64_t part;
    size_t once = 0;

    mt_run_workers(8, work, &shared);
    for (size_t i = 0; i < 1000; i++)
        once += shared.taken[i] == 1;
    CU_ASSERT_EQUAL(once, 1000);
    for (size_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(shared.calls[i], 1);
    shared = (struct shared_work){.parts = {0}};
    mt_parts_stop(&shared.parts);
    CU_ASSERT_FALSE(mt_parts_take(&shared.parts, 1000, &part));
    CU_ASSERT_EQUAL(mt_processors(1), 1);
    CU_ASSERT_TRUE(mt_processors(MT_MAX_WORKERS) >= 1);
}

static void growth(void)
{
    uint64_t *items = NULL;
    size_t capacity = 0;

    for (size_t n = 1; n <= 1000; n++) {
        CU_ASSERT_TRUE_FATAL(mt_grow(&items, &capacity, n, sizeof *items));
        CU_ASSERT_EQUAL(items[n - 1], 0);
        items[n - 1] = n;
    }
    CU_ASSERT_EQUAL(items[0], 1);
    CU_ASSERT_FALSE(mt_grow(&items, &capacity, SIZE_MAX / 4, sizeof *items));
    CU_ASSERT_EQUAL(items[999], 1000);
    free(items);
}

static void errors(void)
{
    struct mt_error error = {0};

    CU_ASSERT_FALSE(mt_no_memory(&error, "the leaks"));
    CU_ASSERT_STRING_EQUAL(error.text, "out of memory for the leaks");
    CU_ASSERT_EQUAL(error.status, 1);
    CU_ASSERT_FALSE(mt_fail(&error, "two\nlines"));
    CU_ASSERT_STRING_EQUAL(error.text, "two lines");
    CU_ASSERT_FALSE(mt_no_memory(NULL, "nobody"));
}

static void counts(void)
{
    static const struct {
        uint64_t n;
        const char *text, *expected, *brief; /* NULL: as expected */
    } cases[] = {
        {1, "%b {is|are}", "1 byte is", "1 byte is"},
        {1023, "%b {is|are}", "1023 bytes are", "1023 bytes are"},
        {25178112, "%b {is|are}", "25178112 bytes are", "24.01M are"},
        {1, "%s block{|s}", "1 block", NULL},
        {0, "%s block{|s}", "0 blocks", NULL},
        {UINT64_MAX, "%s block{|s}", "18446744073709551615 blocks", NULL},
        {1, "%s process{|es}: {it is|they are} gone", "1 process: it is gone",
         NULL},
        {2, "%s process{|es}: {it is|they are} gone",
         "2 processes: they are gone", NULL},
        {3, "100% {one|many} 100%", "100% many 100%", NULL},
        {1, "{one", "one", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t bytes;
        FILE *out = open_memstream(&text, &bytes);
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        mt_put_count(out, cases[i].text, cases[i].n);
        putc(' ', out);
        mt_put_count_as(out, cases[i].text, cases[i].n, false);
        fclose(out);
        size_t n = strlen(cases[i].expected);
        CU_ASSERT_NSTRING_EQUAL(text, cases[i].expected, n);
        CU_ASSERT_STRING_EQUAL(
            text + n + 1, cases[i].brief ? cases[i].brief : cases[i].expected);
        free(text);
    }
    CU_ASSERT_STRING_EQUAL(mt_plural(1), "");
    CU_ASSERT_STRING_EQUAL(mt_plural(2), "s");
}

static void misspellings(void)
{
    static const char *const near[][2] = {
        {"shwo", "show"}, {"leak", "leaks"}, {"lekas", "leaks"},
        {"on2", "on"},    {"mpa", "map"},    {"supression", "suppressions"}};
    static const char *const far[][2] = {
        {"stats", "show"},
        {"foo", "top"},
        {"", "show"},
        {"xyz", "map"},
        {"a-name-of-more-than-forty-characters-in-all", "show"}};

    for (size_t i = 0; i < sizeof near / sizeof *near; i++)
        CU_ASSERT(mt_is_near(near[i][0], near[i][1]));
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        CU_ASSERT(!mt_is_near(far[i][0], far[i][1]));
}

static void folds(void)
{
    static const struct {
        unsigned width;
        const char *text, *expected;
    } cases[] = {
        {10, "one two", "one two"},
        {10, "one two three\n", "one two\n  three\n"},
        {10, "  one  two three four", "  one  two\n    three\n    four"},
        {7, "one two\none two", "one two\none two"},
        {10, "abcdefghijklmn op", "abcdefghijklmn\n  op"},
        {10, "\033[1mone\033[0m two", "\033[1mone\033[0m two"},
        {7, "\xc3\xa4\xc3\xb6\xc3\xbc abc", "\xc3\xa4\xc3\xb6\xc3\xbc abc"},
        {0, "one two three", "one two three"},
        {10, "             deep one two", "             deep one two"},
        {10, "\n\n", "\n\n"},
        {10, "", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t bytes;
        struct mt_fold fold;
        FILE *out = open_memstream(&text, &bytes), *to;
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        to = mt_fold_begin(&fold, out, cases[i].width);
        fputs(cases[i].text, to);
        CU_ASSERT_PTR_EQUAL(mt_fold_end(&fold, to), out);
        fclose(out);
        CU_ASSERT_STRING_EQUAL(text, cases[i].expected);
        free(text);
    }
}

static const struct unit_test tests[] = {
    {"a search counts what is below and up to a key", searches},
    {"a table finds every item by its key, though hashes collide", tables},
    {"a text is kept once, whatever its bytes", texts},
    {"each part of a work is taken by one worker", workers},
    {"an array grows with zeros, and stays when memory runs out", growth},
    {"an error is one line with a status", errors},
    {"a count has the right word", counts},
    {"a word is near to the names that it can be a misspelling of",
     misspellings},
    {"a line is folded at spaces, and keeps all of its words", folds},
};
UNIT_MAIN(tests)
