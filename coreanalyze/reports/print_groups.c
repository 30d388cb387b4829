/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_groups.c - the groups of a profile as a table, and as JSON.
 */
#include "coreanalyze/reports/print_groups.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const groups_titles[MT_N_GROUP_KEYS] = {
    "Stack", "Function", "Module", "File", "Line", "Thread", "Heap"};

/* What mt_groups_own() left out. */
static const char *const groups_of_libraries[MT_N_GROUP_KEYS] = {
    [MT_BY_FUNCTION] =
        "  %s function{|s} of libraries {is|are} left out (--full shows all)\n",
    [MT_BY_FILE] =
        "  %s file{|s} of libraries {is|are} left out (--full shows all)\n",
    [MT_BY_LINE] =
        "  %s line{|s} of libraries {is|are} left out (--full shows all)\n",
};

static unsigned groups_percent(uint64_t part, uint64_t all)
{
    return all ? (unsigned)(((unsigned __int128)part * 200 + all) / 2 / all)
               : 0;
}

static const char *groups_signed(const struct mt_report *report, uint64_t is,
                                 uint64_t was, char text[MT_FIGURE_BYTES + 1])
{
    char figure[MT_FIGURE_BYTES];

    if (is == was)
        return "0";
    snprintf(text, MT_FIGURE_BYTES + 1, "%c%s", is > was ? '+' : '-',
             mt_figure(report, is > was ? is - was : was - is, figure));
    return text;
}

static int groups_put_growth(const struct mt_report *report,
                             const struct mt_group *g)
{
    char text[MT_FIGURE_BYTES + 1];
    int n = fprintf(report->out, "%10s ",
                    groups_signed(report, g->total.of[MT_LIVE_BYTES],
                                  g->old_total.of[MT_LIVE_BYTES], text));

    n += fprintf(report->out, "%10s ",
                 groups_signed(report, g->self.of[MT_LIVE_BYTES],
                               g->old_self.of[MT_LIVE_BYTES], text));
    n += fprintf(report->out, "%+9" PRId64 " ",
                 (int64_t)(g->total.of[MT_LIVE_BLOCKS] -
                           g->old_total.of[MT_LIVE_BLOCKS]));
    return n + fprintf(report->out, "%9s  ",
                       mt_figure(report, g->total.of[MT_LIVE_BYTES], text));
}

/* Allocations are counted by stack: not by the thread or heap of each. */
static bool groups_know_allocs(const struct mt_groups *groups)
{
    return groups->key != MT_BY_THREAD && groups->key != MT_BY_HEAP;
}

static int groups_put_live(const struct mt_report *report,
                           const struct mt_groups *groups,
                           const struct mt_group *g)
{
    uint64_t all = report->show->shown.bytes;
    char text[MT_FIGURE_BYTES];
    int n = fprintf(report->out, "%9s ",
                    mt_figure(report, g->total.of[MT_LIVE_BYTES], text));

    n += fprintf(report->out, "%3u%% ",
                 groups_percent(g->total.of[MT_LIVE_BYTES], all));
    n += fprintf(report->out, "%9s ",
                 mt_figure(report, g->self.of[MT_LIVE_BYTES], text));
    n += fprintf(report->out, "%3u%% ",
                 groups_percent(g->self.of[MT_LIVE_BYTES], all));
    n += fprintf(report->out, "%8" PRIu64 " ", g->total.of[MT_LIVE_BLOCKS]);
    if (groups_know_allocs(groups))
        n += fprintf(report->out, "%10" PRIu64 " ", g->total.of[MT_ALLOCS]);
    return n + fprintf(report->out, " ");
}

void mt_print_groups(const struct mt_report *report,
                     const struct mt_groups *groups, bool growth)
{
    FILE *out = report->out;

    if (growth && groups->n)
        fprintf(out, "\n%10s %10s %9s %9s  %s\n", "+Total", "+Self", "+Count",
                "Total", groups_titles[groups->key]);
    else if (groups->n)
        fprintf(out, "\n%9s %4s %9s %4s %8s %s %s\n", "Total", "%", "Self", "%",
                "Count", groups_know_allocs(groups) ? "    Allocs " : "",
                groups_titles[groups->key]);
    for (size_t i = 0; i < groups->n; i++) {
        const struct mt_group *g = &groups->groups[i];
        if (!growth && !groups_know_allocs(groups) &&
            g->total.of[MT_LIVE_BLOCKS] == 0)
            continue; /* stacks whose blocks are all freed */
        int column = growth ? groups_put_growth(report, g)
                            : groups_put_live(report, groups, g);
        if (groups->key == MT_BY_FUNCTION)
            mt_put_function_in_line(report, g->name, column);
        else
            mt_put_in_line(report, g->name, column);
        putc('\n', out);
    }
    putc('\n', out);
    if (groups->n < groups->n_all)
        fprintf(out, "  %zu more (--top 0 shows all)\n",
                groups->n_all - groups->n);
    if (groups->n_library)
        mt_put_count(out, groups_of_libraries[groups->key], groups->n_library);
}

static void groups_put_measures(struct mt_json *json, const char *key,
                                const struct mt_measures *is)
{
    mt_json_open(json, key, '{');
    mt_json_u64(json, "bytes", is->of[MT_LIVE_BYTES]);
    mt_json_u64(json, "count", is->of[MT_LIVE_BLOCKS]);
    mt_json_u64(json, "alloc_bytes", is->of[MT_ALLOC_BYTES]);
    mt_json_u64(json, "allocs", is->of[MT_ALLOCS]);
    mt_json_close(json, '}');
}

void mt_json_put_groups(struct mt_json *json, const struct mt_groups *groups,
                        bool growth)
{
    mt_json_string(json, "by", mt_group_key_names[groups->key]);
    mt_json_open(json, "groups", '[');
    for (size_t i = 0; i < groups->n; i++) {
        const struct mt_group *g = &groups->groups[i];
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "name", g->name);
        if (g->module != MT_PROFILE_NONE)
            mt_json_u64(json, "module", g->module);
        mt_json_u64(json, "stacks", g->stacks);
        groups_put_measures(json, "self", &g->self);
        groups_put_measures(json, "total", &g->total);
        if (growth) {
            groups_put_measures(json, "old_self", &g->old_self);
            groups_put_measures(json, "old_total", &g->old_total);
        }
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}
