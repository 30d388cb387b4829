/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What top works out of shows that follow each other: rates, a baseline, the
 * order of rows; its figures, and its keys.
 */
#include "coreanalyze/top/top_figures.h"
#include "coreanalyze/top/top_keys.h"
#include "coreanalyze/reports/style.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "tests/trace_image.h"
#include "tests/unit.h"

#include <stdlib.h>

static struct mt_top_history history;
static uint64_t now_ns;

static void begin(double seconds)
{
    now_ns += (uint64_t)(seconds * 1e9);
    mt_top_history_begin(&history, now_ns);
}

static void add(uint32_t stack, uint64_t bytes, uint64_t blocks,
                uint64_t allocs)
{
    const struct mt_show_row row = {.stack = stack,
                                    .bytes = bytes,
                                    .count = blocks,
                                    .sampled = blocks,
                                    .allocs = allocs,
                                    .oldest_epoch = stack};

    CU_ASSERT(mt_top_history_add(&history, &row, stack * 10, true));
}

static void end(uint64_t bytes, uint64_t blocks, uint64_t allocs)
{
    const struct mt_top_figures total = {bytes, blocks, allocs};

    mt_top_history_end(&history, &total);
}

static struct mt_top_row *row_of(uint32_t stack)
{
    for (size_t i = 0; i < history.n; i++)
        if (history.rows[i].row.stack == stack)
            return &history.rows[i];
    CU_FAIL_FATAL("no such row");
    return NULL;
}

static void start(void)
{
    mt_top_history_free(&history);
    now_ns = 1000;
    begin(1);
    add(3, 1000, 10, 50);
    add(4, 2000, 5, 5);
    add(5, 0, 0, 700);
    end(3000, 15, 755);
}

static bool rates_are(const struct mt_top_row *r, double bytes, double allocs)
{
    return mt_top_rate(&history, r->now.bytes, r->before.bytes) == bytes &&
           mt_top_rate(&history, r->now.allocs, r->before.allocs) == allocs;
}

/* The stacks in an order, as digits: "43". */
static const char *order_of(enum mt_top_sort sort, bool ascending,
                            bool baseline, size_t most)
{
    static char text[32];
    const struct mt_top_order order = {
        .sort = sort, .ascending = ascending, .baseline = baseline};
    size_t indices[16], all;
    size_t n = mt_top_history_pick(&history, &order, indices, most, &all);

    CU_ASSERT(n <= most && n <= all);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('0' + history.rows[indices[i]].row.stack);
    text[n] = '\0';
    return text;
}

static void rates(void)
{
    start();
    CU_ASSERT_FALSE(row_of(3)->known);
    CU_ASSERT(rates_are(row_of(3), 0, 0));
    begin(2);
    add(3, 1500, 15, 60);
    add(4, 500, 1, 5);
    add(5, 0, 0, 900);
    add(6, 80, 2, 4);
    end(2080, 18, 969);
    CU_ASSERT(row_of(3)->known);
    CU_ASSERT(rates_are(row_of(3), 250, 5));
    CU_ASSERT(rates_are(row_of(4), -750, 0));
    CU_ASSERT(rates_are(row_of(5), 0, 100));
    /* All of a new stack is new. */
    CU_ASSERT(rates_are(row_of(6), 40, 2));
    CU_ASSERT_EQUAL(mt_top_rate(&history, history.total.bytes,
                                history.total_before.bytes),
                    -460);
}

static void gone(void)
{
    start();
    begin(1);
    add(4, 2000, 5, 5);
    add(5, 0, 0, 700);
    end(2000, 5, 755);
    CU_ASSERT_EQUAL(row_of(3)->now.blocks, 0);
    CU_ASSERT(rates_are(row_of(3), -1000, 0));
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_LIVE, false, false, 16), "43");
    begin(1);
    add(4, 2000, 5, 5);
    add(5, 0, 0, 700);
    end(2000, 5, 755);
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_LIVE, false, false, 16), "4");
}

static void reused(void)
{
    struct mt_show_row row = {.stack = 3, .bytes = 7, .count = 1, .allocs = 1};

    start();
    row_of(3)->title = strdup("of the first one");
    mt_top_history_mark(&history);
    begin(1);
    CU_ASSERT(mt_top_history_add(&history, &row, 31, true));
    end(7, 1, 1);
    CU_ASSERT_PTR_NULL(row_of(3)->title);
    CU_ASSERT_EQUAL(row_of(3)->base.bytes, 0);
    CU_ASSERT(rates_are(row_of(3), 7, 1));
}

static void threads(void)
{
    start();
    begin(1);
    add(3, 100, 1, 60);
    add(3, 200, 2, 60);
    end(300, 3, 60);
    CU_ASSERT_EQUAL(row_of(3)->now.bytes, 300);
    CU_ASSERT_EQUAL(row_of(3)->now.blocks, 3);
    CU_ASSERT(rates_are(row_of(3), -700, 10));
}

static void other_heap(void)
{
    struct mt_show_row row = {
        .heap = 1, .stack = 3, .bytes = 64, .count = 4, .allocs = 54};

    start();
    begin(1);
    add(3, 1000, 10, 54);
    CU_ASSERT(mt_top_history_add(&history, &row, 30, false));
    end(1064, 14, 54);
    /* Its 50 allocations of before are not of this second. */
    CU_ASSERT_EQUAL(history.n, 4);
    CU_ASSERT(rates_are(&history.rows[3], 64, 4));
}

static void baseline(void)
{
    start();
    mt_top_history_mark(&history);
    begin(1);
    add(3, 5000, 50, 90);
    add(6, 10, 1, 1);
    end(5010, 51, 91);
    CU_ASSERT_EQUAL(mt_top_difference(row_of(3)->now.bytes,
                                      row_of(3)->base.bytes),
                    4000);
    CU_ASSERT_EQUAL(mt_top_difference(row_of(4)->now.bytes,
                                      row_of(4)->base.bytes),
                    -2000);
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_LIVE, false, true, 16), "364");
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_LIVE, true, true, 16), "463");
    CU_ASSERT_EQUAL(mt_top_difference(history.total.bytes,
                                      history.total_base.bytes),
                    2010);
    mt_top_history_unmark(&history);
    CU_ASSERT_EQUAL(history.base_ns, 0);
}

static void orders(void)
{
    start();
    begin(1);
    add(3, 1500, 10, 60);
    add(4, 1000, 6, 5);
    add(5, 0, 0, 900);
    end(2500, 16, 965);
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_LIVE, false, false, 16), "345");
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_LIVE, true, false, 16), "543");
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_CHANGE, false, false, 16), "435");
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_BLOCKS, false, false, 16), "345");
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_ALLOCS, false, false, 16), "534");
    CU_ASSERT_STRING_EQUAL(order_of(MT_TOP_AGE, false, false, 16), "345");
}

/* The first few of many are those that a sort of all puts first. */
static void first_of_many(void)
{
    const struct mt_top_order order = {.sort = MT_TOP_LIVE};
    static size_t some[100], all_of[5000];
    size_t all;

    mt_top_history_free(&history);
    begin(1);
    for (uint32_t i = 0; i < 5000; i++)
        add(i, (uint64_t)(i * 7919u) % 3001, 1, 1);
    end(1, 5000, 5000);
    CU_ASSERT_EQUAL(
        mt_top_history_pick(&history, &order, all_of, 5000, &all), 5000);
    CU_ASSERT_EQUAL(all, 5000);
    for (size_t n = 0; n <= 100; n += 20) {
        CU_ASSERT_EQUAL(mt_top_history_pick(&history, &order, some, n, &all),
                        n);
        CU_ASSERT_EQUAL(memcmp(some, all_of, n * sizeof *some), 0);
    }
}

static void figures(void)
{
    const struct mt_style brief = {.width = 80}, exact = {.bytes = true};
    const uint64_t ages[MT_SHOW_AGES] = {0, 1, 50, 100, 0, 0, 0, 100};
    char text[MT_TOP_FIGURE];

    CU_ASSERT_STRING_EQUAL(mt_top_signed_bytes(&brief, 2048, text), "+2.0K");
    CU_ASSERT_STRING_EQUAL(mt_top_signed_bytes(&brief, -5, text), "-5");
    CU_ASSERT_STRING_EQUAL(mt_top_signed_bytes(&exact, -2048, text), "-2048");
    CU_ASSERT_STRING_EQUAL(mt_top_signed_bytes(&exact, 0, text), "0");
    CU_ASSERT(strlen(mt_top_signed_bytes(&exact, INT64_MIN, text)) < 24);
    CU_ASSERT_STRING_EQUAL(mt_top_count(&brief, 999999, text), "999999");
    CU_ASSERT_STRING_EQUAL(mt_top_count(&brief, 1234567, text), "1234k");
    CU_ASSERT(strlen(mt_top_count(&brief, UINT64_MAX, text)) <= 7);
    CU_ASSERT_STRING_EQUAL(mt_top_ages(ages, false, text), ".159...9");
    CU_ASSERT_STRING_EQUAL(mt_top_ages(ages, true, text),
                           " \xe2\x96\x81\xe2\x96\x84\xe2\x96\x88   "
                           "\xe2\x96\x88");
    CU_ASSERT_EQUAL(mt_top_whole(.2), 1);
    CU_ASSERT_EQUAL(mt_top_whole(-.2), -1);
    CU_ASSERT_EQUAL(mt_top_whole(0), 0);
    CU_ASSERT_EQUAL(mt_top_whole(1e30), INT64_MAX);
}

static void keys(void)
{
    const struct mt_top_options options = {0};
    struct mt_top_process process = {.pid = 1}, *list[] = {&process};
    struct mt_top top = {.options = &options, .processes = list, .n = 1};
    struct mt_top_view view;
    struct mt_top_cursor cursor = {.item = MT_TOP_NO_ITEM};

    mt_top_view_begin(&view, &top);
    view.most = 5;
    view.all = 12;
    mt_top_key(&view, &cursor, MT_KEY_DOWN);
    CU_ASSERT_EQUAL(cursor.row, 1);
    mt_top_key(&view, &cursor, MT_KEY_END);
    CU_ASSERT_EQUAL(cursor.row, 11);
    CU_ASSERT_EQUAL(view.first, 7);
    mt_top_key(&view, &cursor, MT_KEY_DOWN);
    CU_ASSERT_EQUAL(cursor.row, 11);
    mt_top_key(&view, &cursor, MT_KEY_HOME);
    CU_ASSERT(cursor.row == 0 && view.first == 0);
    mt_top_key(&view, &cursor, 'n');
    CU_ASSERT_EQUAL(view.order.sort, MT_TOP_BLOCKS);
    CU_ASSERT_FALSE(view.order.ascending);
    mt_top_key(&view, &cursor, 'n');
    CU_ASSERT(view.order.ascending);
    mt_top_key(&view, &cursor, 'H');
    CU_ASSERT_EQUAL(view.page, MT_PAGE_HEAPS);
    mt_top_key(&view, &cursor, MT_KEY_BACK);
    CU_ASSERT_EQUAL(view.page, MT_PAGE_ROWS);
    /* Nothing is chosen: nothing to enter. */
    mt_top_key(&view, &cursor, MT_KEY_ENTER);
    CU_ASSERT_EQUAL(view.page, MT_PAGE_ROWS);
    mt_top_key(&view, &cursor, ' ');
    CU_ASSERT(view.frozen);
    mt_top_key(&view, &cursor, 'b');
    CU_ASSERT(view.order.baseline);
    mt_top_key(&view, &cursor, 'B');
    CU_ASSERT_FALSE(view.order.baseline);
    CU_ASSERT_EQUAL(mt_top_key(&view, &cursor, 'q'), MT_ACTION_QUIT);
    /* Nothing was read of it: there is nothing to search. */
    CU_ASSERT_EQUAL(mt_top_key(&view, &cursor, 'L'), MT_ACTION_NONE);
    CU_ASSERT_EQUAL(mt_top_key(&view, &cursor, 0), MT_ACTION_NONE);
    mt_top_view_end(&view);
}

/* Text of a page of a process that was read from an image. */
static void put_page(struct mt_top_view *view, enum mt_top_page page,
                     struct mt_top_lines *lines)
{
    view->page = page;
    CU_ASSERT_FATAL(mt_top_lines_begin(lines));
    mt_top_view_put_header(view, lines);
    mt_top_view_put_page(view, lines);
    CU_ASSERT_FATAL(mt_top_lines_close(lines));
}

static bool has_line(const struct mt_top_lines *lines, const char *text)
{
    for (size_t i = 0; i < lines->n; i++)
        if (strstr(mt_top_line_text(lines, i), text))
            return true;
    return false;
}

/* Rows of stacks that the target had before, and has no longer. */
static void vanished(void)
{
    struct plan plan;
    struct image *image = image_planned(&plan);
    struct mt_error error = {0};
    struct mt_top_process p = {.pid = 42}, *list[] = {&p};
    const struct mt_top_options options = {
        .style = {.width = 80, .ellipsis = "..."}, .delay_ns = 1000000000};
    const struct mt_resolver_options names = {0};
    const struct mt_snapshot_options none = {0};
    struct mt_top top = {.options = &options, .processes = list, .n = 1};
    struct mt_top_view view;
    struct mt_top_lines lines;

    p.source = mt_source_open_core(image_core(image, 0), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.source);
    p.model = mt_snapshot_take(p.source, &none, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.model);
    CU_ASSERT_FATAL(mt_show_run(p.model, &p.wanted, &p.show, &error));
    p.resolver = mt_resolver_new(p.model, &names);
    mt_top_history_free(&history);
    begin(1);
    add(4000000, 100, 1, 1); /* no such stack */
    add(plan.stacks[0], 50, 1, 1); /* another one's identity */
    end(150, 2, 2);
    p.history = history;
    mt_top_view_begin(&view, &top);
    put_page(&view, MT_PAGE_ROWS, &lines);
    CU_ASSERT(has_line(&lines, "live 150 in 2 blocks"));
    CU_ASSERT(has_line(&lines, "(a stack that no block has any more)"));
    CU_ASSERT_EQUAL(view.all, 2);
    mt_top_lines_free(&lines);
    put_page(&view, MT_PAGE_STACK, &lines);
    CU_ASSERT(has_line(&lines, "no block has this stack any more"));
    mt_top_lines_free(&lines);
    put_page(&view, MT_PAGE_HEAPS, &lines);
    CU_ASSERT(has_line(&lines, "Mapped"));
    mt_top_lines_free(&lines);
    CU_ASSERT(mt_top_view_filter(&view, "main", &error));
    put_page(&view, MT_PAGE_ROWS, &lines);
    CU_ASSERT_EQUAL(view.all, 0);
    mt_top_lines_free(&lines);
    p.ended = true;
    put_page(&view, MT_PAGE_ROWS, &lines);
    CU_ASSERT(has_line(&lines, "process 42 has ended"));
    mt_top_lines_free(&lines);
    mt_top_view_end(&view);
    mt_resolver_free(p.resolver);
    mt_show_free(&p.show);
    mt_model_free(p.model);
    mt_source_free(p.source);
    image_free(image);
}

static const struct unit_test tests[] = {
    {"rows of stacks that have gone", vanished},
    {"rates are changes in a second; there are none at first", rates},
    {"a stack without blocks stays for one refresh", gone},
    {"a stack that got another's id starts anew", reused},
    {"rows of several threads are one stack's", threads},
    {"a stack's first blocks in another heap", other_heap},
    {"a baseline: differences, and rows that are gone", baseline},
    {"orders", orders},
    {"the first rows of many are those of a whole sort", first_of_many},
    {"figures fit their columns", figures},
    {"keys", keys},
};
UNIT_MAIN(tests)
