/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_timeline.c - totals over the life of a process, as curves of text and
 * as JSON.
 *
 * A column stands for a part of the time and shows the most of the samples in
 * it; one without a sample shows what was before it.  Of allocations, of which
 * samples have the sum since the start, a column shows how many a second.
 */
#include "coreanalyze/reports/print_timeline.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/style.h"
#include "coreanalyze/reports/summary.h"

#include <inttypes.h>
#include <string.h>

#define TIMELINE_LABEL 18u /* columns before a curve */
#define TIMELINE_COLUMNS 200u
#define TIMELINE_ROWS 8u /* of the chart */
#define TIMELINE_LEVELS 8u

static const char *const utf8_levels[TIMELINE_LEVELS + 1] = {
    " ",      "\u2581", "\u2582", "\u2583", "\u2584",
    "\u2585", "\u2586", "\u2587", "\u2588"};
static const char *const ascii_levels[TIMELINE_LEVELS + 1] = {
    " ", "_", "_", ".", ".", "-", "=", "*", "#"};

struct timeline_curve {
    double columns[TIMELINE_COLUMNS];
    double most;
    uint64_t most_ns;
    bool any;
};

struct timeline_chart {
    const struct mt_report *report;
    struct mt_sample now;
    unsigned columns;
    const char *const *levels;
    struct timeline_curve curve;
};

typedef double timeline_value(const struct mt_sample *,
                              const struct mt_sample *);

/* --- figures --- */

struct mt_sample mt_timeline_now(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    const struct mt_coverage *coverage = &model->coverage;
    struct mt_sample now = {.ns = model->now_ns + model->idle_ns,
                            .resident = model->source->process.rss_bytes,
                            .allocs = coverage->overflow_allocs +
                                      coverage->dropped_allocs};

    for (uint32_t i = 0; i < model->n_heaps; i++) {
        if (!model->heaps[i].in_use)
            continue;
        now.live_bytes += report->show->usage[i].used_bytes;
        now.live_blocks += report->show->usage[i].live_blocks;
        now.span_bytes += model->heaps[i].span_bytes;
        now.committed += model->heaps[i].committed;
    }
    for (size_t i = 0; i < model->n_stacks; i++)
        now.allocs += model->stacks[i].allocs;
    return now;
}

static double timeline_live_bytes(const struct mt_sample *s,
                                  const struct mt_sample *before)
{
    (void)before;
    return (double)s->live_bytes;
}

static double timeline_spans(const struct mt_sample *s,
                             const struct mt_sample *before)
{
    (void)before;
    return (double)s->span_bytes;
}

static double timeline_rss(const struct mt_sample *s,
                           const struct mt_sample *before)
{
    (void)before;
    return (double)s->resident;
}

static double timeline_rate(const struct mt_sample *s,
                            const struct mt_sample *before)
{
    uint64_t ns = s->ns - (before ? before->ns : 0);
    uint64_t from = before ? before->allocs : 0;

    return ns && s->allocs > from
               ? (double)(s->allocs - from) * 1e9 / (double)ns
               : 0;
}

/* --- curves --- */

/* The sample at i; the last one is the state of the report. */
static const struct mt_sample *timeline_at(const struct timeline_chart *chart,
                                           size_t i)
{
    const struct mt_model *model = chart->report->model;

    return i < model->n_samples ? &model->samples[i] : &chart->now;
}

static unsigned timeline_column(const struct timeline_chart *chart, uint64_t ns)
{
    double end = (double)chart->now.ns;
    double at = end > 0 ? (double)ns / end * chart->columns : 0;

    return at < chart->columns ? (unsigned)at : chart->columns - 1;
}

/* The value of what a state lasts is drawn until the next sample. */
static void timeline_fill(struct timeline_chart *chart, timeline_value *value,
                          bool lasts)
{
    struct timeline_curve *curve = &chart->curve;
    size_t n = chart->report->model->n_samples + 1;
    const struct mt_sample *before = NULL;
    unsigned filled = 0;

    memset(curve, 0, sizeof *curve);
    for (size_t i = 0; i < n; i++) {
        const struct mt_sample *s = timeline_at(chart, i);
        unsigned at = timeline_column(chart, s->ns);
        double v = value(s, before);
        /* A target that does not know its resident memory has 0 there. */
        if (i + 1 == n && v == 0 && value == timeline_rss)
            v = before ? value(before, NULL) : 0;
        for (; filled < at; filled++)
            curve->columns[filled] = lasts && before ? value(before, NULL)
                                     : lasts         ? 0
                                                     : v;
        filled = at + 1 > filled ? at + 1 : filled;
        if (v > curve->columns[at])
            curve->columns[at] = v;
        if (v > curve->most) {
            curve->most = v;
            curve->most_ns = s->ns;
        }
        curve->any |= v > 0;
        before = s;
    }
}

static void timeline_put_time(FILE *out, uint64_t ns)
{
    uint64_t s = ns / 1000000000;

    if (s < 60)
        fprintf(out, "%" PRIu64 ".%" PRIu64 " s", s, ns / 100000000 % 10);
    else if (s < 3600)
        fprintf(out, "%" PRIu64 " min %02" PRIu64 " s", s / 60, s % 60);
    else if (s < 86400)
        fprintf(out, "%" PRIu64 " h %02" PRIu64 " min", s / 3600, s / 60 % 60);
    else
        fprintf(out, "%" PRIu64 " d %02" PRIu64 " h", s / 86400, s / 3600 % 24);
}

/* Eighths of `rows` rows. */
static unsigned timeline_level(const struct timeline_curve *curve,
                               unsigned column, unsigned rows)
{
    double v = curve->columns[column];
    unsigned most = rows * TIMELINE_LEVELS, level;

    if (!(v > 0) || !(curve->most > 0))
        return 0;
    level = (unsigned)(v / curve->most * most + 0.5);
    return level < 1 ? 1 : level > most ? most : level;
}

static void timeline_put_row(const struct timeline_chart *chart, unsigned row,
                             unsigned rows)
{
    FILE *out = chart->report->out;
    unsigned end = chart->columns;

    while (end > 0 && timeline_level(&chart->curve, end - 1, rows) <=
                          row * TIMELINE_LEVELS)
        end--;
    for (unsigned c = 0; c < end; c++) {
        unsigned level = timeline_level(&chart->curve, c, rows);
        unsigned floor = row * TIMELINE_LEVELS;
        level = level < floor ? 0 : level - floor;
        fputs(chart->levels[level < TIMELINE_LEVELS ? level : TIMELINE_LEVELS],
              out);
    }
}

static void timeline_put_chart(struct timeline_chart *chart)
{
    FILE *out = chart->report->out;
    char text[MT_FIGURE_BYTES];

    timeline_fill(chart, timeline_live_bytes, true);
    for (unsigned row = TIMELINE_ROWS; row-- > 0;) {
        const char *figure = "";
        if (row == TIMELINE_ROWS - 1)
            figure =
                mt_figure(chart->report, (uint64_t)chart->curve.most, text);
        else if (row == 0)
            figure = "0";
        fprintf(out, "%16s |", figure);
        timeline_put_row(chart, row, TIMELINE_ROWS);
        putc('\n', out);
    }
    fprintf(out, "%16s +", "");
    for (unsigned c = 0; c < chart->columns; c++)
        putc('-', out);
    fprintf(out, "\n%*s0%*s", (int)TIMELINE_LABEL, "", (int)chart->columns - 13,
            "");
    timeline_put_time(out, chart->now.ns);
    putc('\n', out);
}

static void timeline_put_curve(struct timeline_chart *chart, const char *name,
                               timeline_value *value, bool is_rate)
{
    FILE *out = chart->report->out;
    char text[MT_FIGURE_BYTES];

    timeline_fill(chart, value, !is_rate);
    if (!chart->curve.any)
        return;
    if (is_rate)
        snprintf(text, sizeof text, "%.0f/s", chart->curve.most);
    else
        mt_figure(chart->report, (uint64_t)chart->curve.most, text);
    fprintf(out, "%-6s%10.10s |", name, text);
    timeline_put_row(chart, 0, 1);
    putc('\n', out);
}

static bool timeline_is_estimated(const struct mt_model *model)
{
    for (size_t i = 0; i < model->n_samples; i++)
        if (model->samples[i].estimated)
            return true;
    return false;
}

static void timeline_put_head(struct timeline_chart *chart)
{
    const struct mt_report *report = chart->report;
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES];

    timeline_fill(chart, timeline_live_bytes, true);
    mt_summary_process(report);
    fputs(": ", out);
    timeline_put_time(out, chart->now.ns);
    fprintf(out, " in %zu sample%s\n", report->model->n_samples,
            report->model->n_samples == 1 ? "" : "s");
    mt_summary_core(report);
    fprintf(out, "  live blocks: at most %s, ",
            mt_figure_bytes(report, (uint64_t)chart->curve.most, text));
    timeline_put_time(out, chart->curve.most_ns);
    fprintf(out, " after the start; now %s\n\n",
            mt_figure_bytes(report, chart->now.live_bytes, text));
}

void mt_print_timeline(const struct mt_report *report)
{
    const struct mt_style *style = report->style;
    unsigned width = style && style->width ? style->width : 80;
    bool utf8 = style && style->utf8;
    struct timeline_chart chart = {
        .report = report,
        .now = mt_timeline_now(report),
        .levels = utf8 ? utf8_levels : ascii_levels,
    };

    chart.columns =
        width > TIMELINE_LABEL + 20 ? width - TIMELINE_LABEL - 1 : 20;
    if (chart.columns > TIMELINE_COLUMNS)
        chart.columns = TIMELINE_COLUMNS;
    timeline_put_head(&chart);
    timeline_put_chart(&chart);
    putc('\n', report->out);
    timeline_put_curve(&chart, "heap", timeline_spans, false);
    timeline_put_curve(&chart, "RSS", timeline_rss, false);
    timeline_put_curve(&chart, "allocs", timeline_rate, true);
    fputs("\n  A column shows the most of its time.  Live blocks count whole; "
          "heap is\n  the memory of spans, RSS the process's, allocs what was "
          "traced a second.\n",
          report->out);
    if (timeline_is_estimated(report->model))
        fputs("  note: some samples counted live blocks in a part of the spans "
              "alone\n",
              report->out);
    if (report->model->n_samples == 0)
        fputs("  note: the trace has no sample; the first is taken when the "
              "process\n  allocates more than 100 ms after its start\n",
              report->out);
    mt_print_notes(report, "  note: ");
}

/* --- JSON --- */

static void timeline_put_sample(struct mt_json *json, const char *key,
                                const struct mt_sample *s)
{
    mt_json_open(json, key, '{');
    mt_json_seconds(json, "s", (double)s->ns / 1e9);
    mt_json_u64(json, "live_bytes", s->live_bytes);
    mt_json_u64(json, "live_blocks", s->live_blocks);
    mt_json_u64(json, "heap_bytes", s->span_bytes);
    mt_json_u64(json, "committed_bytes", s->committed);
    if (s->resident)
        mt_json_u64(json, "resident_bytes", s->resident);
    else
        mt_json_null(json, "resident_bytes");
    mt_json_u64(json, "allocs", s->allocs);
    mt_json_bool(json, "estimated", s->estimated);
    mt_json_close(json, '}');
}

void mt_json_put_timeline(struct mt_json *json, const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    struct mt_sample now = mt_timeline_now(report);

    mt_json_open(json, "timeline", '{');
    mt_json_seconds(json, "step_s", (double)model->sample_step_ns / 1e9);
    mt_json_u64(json, "skipped", model->coverage.skipped_samples);
    mt_json_open(json, "samples", '[');
    for (size_t i = 0; i < model->n_samples; i++)
        timeline_put_sample(json, NULL, &model->samples[i]);
    mt_json_close(json, ']');
    timeline_put_sample(json, "now", &now);
    mt_json_close(json, '}');
}

void mt_print_timeline_json(const struct mt_report *report)
{
    struct mt_json json = {.out = report->out};

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    mt_json_put_target(&json, report->model);
    mt_json_put_timeline(&json, report);
    mt_json_put_coverage(&json, report);
    mt_json_close(&json, '}');
}
