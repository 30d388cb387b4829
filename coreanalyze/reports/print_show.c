/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_show.c - live memory for a person: a summary, then the largest stacks.
 */
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/reports/print_map.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/style.h"
#include "coreanalyze/reports/summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool shows_age(const struct mt_show_options *options)
{
    return options->sort == MT_SORT_AGE || options->ages ||
           options->since.kind != MT_WHEN_NOT ||
           options->older.kind != MT_WHEN_NOT;
}

/* --- the summary --- */

static void show_put_live(const struct mt_report *report)
{
    const struct mt_show *show = report->show;
    char text[MT_FIGURE_BYTES];

    mt_summary_process(report);
    fprintf(
        report->out, ": %s%s live %sin %" PRIu64 " block%s of %zu stack%s\n",
        show->scaled || (show->options->peak && report->model->peak.share > 1)
            ? "about "
            : "",
        mt_figure_bytes(report, show->shown.bytes, text),
        show->options->peak ? "at the peak " : "", show->shown.count,
        mt_plural(show->shown.count), show->n_all_rows - show->n_freed_rows,
        mt_plural(show->n_all_rows - show->n_freed_rows));
}

/* Blocks that no stack can be named for. */
static void show_put_unseen(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    struct mt_show_sum sum = {0, 0};
    char text[MT_FIGURE_BYTES];

    for (uint32_t i = 0; i < model->n_heaps; i++)
        if (mt_show_wants(model, report->show, i)) {
            sum.bytes += report->show->untraced[i].bytes;
            sum.count += report->show->untraced[i].count;
        }
    if (sum.count)
        fprintf(report->out,
                "  not traced: %s in %" PRIu64
                " block%s, allocated while tracing was off\n",
                mt_figure_bytes(report, sum.bytes, text), sum.count,
                mt_plural(sum.count));
}

/* Stacks that --focus and --ignore do not let through. */
static void show_put_filtered(const struct mt_report *report)
{
    const struct mt_show_sum *sum = &report->show->filtered;
    char text[MT_FIGURE_BYTES];

    if (sum->count)
        fprintf(report->out,
                "  filtered: %s in %" PRIu64
                " block%s of other stacks (--focus, --ignore)\n",
                mt_figure_bytes(report, sum->bytes, text), sum->count,
                mt_plural(sum->count));
}

/* The program has the library for its functions, and malloc is still libc's. */
static void show_put_not_preloaded(const struct mt_report *report)
{
    const struct mt_source *source = report->model->source;
    bool linked = false, preloaded = false;

    for (size_t i = 0; i < source->n_modules; i++) {
        const char *path = source->modules[i].path;
        const char *name = path ? mt_base_name(path) : "";
        linked |= strncmp(name, "libmemtrace.so", 14) == 0;
        preloaded |= strncmp(name, "libmemtrace-preload", 19) == 0;
    }
    if (linked && !preloaded)
        fputs("  malloc is not traced: the program is linked with -lmemtrace, "
              "which has no\n  malloc; start it with memtrace run, or link "
              "with -lmemtrace-preload\n",
              report->out);
}

/* Why a program may have died of memory. */
static void show_put_failures(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    char text[MT_FIGURE_BYTES];

    for (uint32_t i = 0; i < model->n_heaps; i++) {
        const struct mt_heap *heap = &model->heaps[i];
        if (!mt_show_wants(model, report->show, i) || heap->failures == 0)
            continue;
        fprintf(report->out, "  %" PRIu64 " allocation%s got no memory from '",
                heap->failures, mt_plural(heap->failures));
        mt_put_text(report->out, heap->name);
        putc('\'', report->out);
        if (heap->limit)
            fprintf(report->out, ", whose limit is %s",
                    mt_figure_bytes(report, heap->limit, text));
        putc('\n', report->out);
    }
}

static bool shows_lifetime(const struct mt_show_options *options)
{
    return options->sort == MT_SORT_ALLOCS || options->sort == MT_SORT_LIFETIME;
}

static unsigned show_percent(uint64_t part, uint64_t all)
{
    return all ? (unsigned)(((unsigned __int128)part * 200 + all) / 2 / all)
               : 0;
}

/* What was allocated in all, and how much of it is freed again. */
static void show_put_lifetime(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    uint64_t allocs = 0, bytes = 0, live = report->show->shown.count;
    char text[MT_FIGURE_BYTES];

    for (size_t i = 0; i < model->n_stacks; i++) {
        allocs += model->stacks[i].allocs;
        bytes += model->stacks[i].bytes;
    }
    mt_put_count(report->out, "  since the start: %s allocation{|s}", allocs);
    fprintf(report->out, " of %s", mt_figure_bytes(report, bytes, text));
    if (report->show->options->freed && live <= allocs)
        fprintf(report->out, "; %u%% are freed",
                show_percent(allocs - live, allocs));
    putc('\n', report->out);
}

/* --- rows --- */

static int show_put_age(const struct mt_report *report, uint32_t epoch)
{
    char text[MT_FIGURE_BYTES] = "-";

    return fprintf(report->out, "%9s ",
                   epoch >= report->model->n_epochs
                       ? text
                       : mt_age_text(report->model, epoch, text));
}

static void show_put_header(const struct mt_report *report)
{
    const struct mt_show_options *options = report->show->options;
    FILE *out = report->out;

    if (shows_lifetime(options))
        fprintf(out, "\n%3s %8s %10s %9s %5s  ", "#", "Live", "Allocs",
                "Allocated", "Freed");
    else
        fprintf(out, "\n%3s %8s %4s  %8s %14s  ", "#", "Bytes", "%", "Count",
                "Sample");
    fprintf(out, "%s%sTraceback\n", shows_age(options) ? "  Oldest  " : "",
            options->ages ? "  Newest  Ages     " : "");
}

/* Of a stack that is of interest for what it allocates, and frees again. */
static int show_put_churn(const struct mt_report *report, size_t number)
{
    const struct mt_show_row *row = &report->show->rows[number - 1];
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES];
    int indent =
        fprintf(out, "%3zu %8s ", number, mt_figure(report, row->bytes, text));

    indent += fprintf(out, "%10" PRIu64 " %9s ", row->allocs,
                      mt_figure(report, row->alloc_bytes, text));
    /* Counts of a sample are estimates. */
    return indent + fprintf(out, "%4u%%  ",
                            show_percent(row->allocs > row->count
                                             ? row->allocs - row->count
                                             : 0,
                                         row->allocs));
}

static int show_put_live_figures(const struct mt_report *report, size_t number)
{
    const struct mt_show_row *row = &report->show->rows[number - 1];
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES], sample[24];
    int indent =
        fprintf(out, "%3zu %8s ", number, mt_figure(report, row->bytes, text));

    snprintf(sample, sizeof sample, "0x%" PRIx64, row->sample);
    if (row->sample == MT_NO_SAMPLE)
        strcpy(sample, "-");
    return indent + fprintf(out, "%3u%%%c %8" PRIu64 " %14s  ",
                            show_percent(row->bytes, report->show->shown.bytes),
                            row->steady ? '+' : ' ', row->count, sample);
}

/* `number` is what `blocks` takes. */
static int show_put_figures(const struct mt_report *report, size_t number)
{
    const struct mt_show_row *row = &report->show->rows[number - 1];
    const struct mt_show_options *options = report->show->options;
    int indent = shows_lifetime(options)
                     ? show_put_churn(report, number)
                     : show_put_live_figures(report, number);

    if (shows_age(options))
        indent += show_put_age(report, row->oldest_epoch);
    if (options->ages) {
        indent += show_put_age(report, row->newest_epoch);
        indent += mt_print_row_ages(report, row);
    }
    return indent;
}

static void show_put_row(const struct mt_report *report, size_t number,
                         unsigned callers)
{
    int indent = mt_row_indent(report, show_put_figures(report, number));

    mt_print_row_stack(report, &report->show->rows[number - 1], indent,
                       callers);
}

/* The rows of a heap; true if there was one. */
static bool show_put_heap(const struct mt_report *report, uint32_t heap,
                          const unsigned *callers)
{
    const struct mt_show *show = report->show;
    bool any = false;

    for (size_t i = 0; i < show->n_rows; i++) {
        if (show->rows[i].heap != heap)
            continue;
        any = true;
        show_put_row(report, i + 1, callers ? callers[i] : MT_ROW_CALLERS);
    }
    return any;
}

/* Heaps are named where there are several of them. */
static void show_put_heap_name(const struct mt_report *report, uint32_t heap)
{
    const struct mt_show *show = report->show;
    char text[MT_FIGURE_BYTES];

    fputs("\nheap '", report->out);
    mt_put_text(report->out, report->model->heaps[heap].name);
    fprintf(report->out, "': %s in use",
            mt_figure_bytes(report, show->usage[heap].used_bytes, text));
    if (!report->model->heaps[heap].tracing)
        fputs(", tracing off", report->out);
    putc('\n', report->out);
}

static void show_put_rows(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    const struct mt_show *show = report->show;
    unsigned *callers = mt_row_callers(report, show->rows, show->n_rows);
    unsigned n = 0;

    for (uint32_t i = 0; i < model->n_heaps; i++)
        n += mt_show_wants(model, show, i);
    for (uint32_t i = 0; i < model->n_heaps; i++) {
        if (!show->usage[i].classes || !mt_show_wants(model, show, i))
            continue;
        if (n > 1)
            show_put_heap_name(report, i);
        mt_print_classes(report, i);
    }
    if (show->n_rows > 0)
        show_put_header(report);
    for (uint32_t i = 0; i < model->n_heaps; i++) {
        if (!mt_show_wants(model, show, i))
            continue;
        if (n > 1)
            show_put_heap_name(report, i);
        show_put_heap(report, i, callers);
    }
    free(callers);
}

/* Names the rows that are left out, and how to see them. */
static void show_put_rest(const struct mt_report *report)
{
    const struct mt_show *show = report->show;
    struct mt_show_sum rest = show->shown;
    size_t hidden = show->n_all_rows - show->n_rows;
    bool steady = false;
    char text[MT_FIGURE_BYTES];

    for (size_t i = 0; i < show->n_rows; i++) {
        rest.bytes -= show->rows[i].bytes;
        rest.count -= show->rows[i].count;
        steady |= show->rows[i].steady;
    }
    putc('\n', report->out);
    if (steady)
        fputs("  + grows steadily: it has live blocks of every age\n",
              report->out);
    if (hidden)
        fprintf(report->out,
                "  %zu more stack%s with %s in %" PRIu64 " block%s (%s)\n",
                hidden, mt_plural(hidden),
                mt_figure_bytes(report, rest.bytes, text), rest.count,
                mt_plural(rest.count),
                show->options->min_bytes && show->n_rows != show->options->top
                    ? "less than --min each"
                    : "--top 0 shows all; --full every frame");
    else if (show->n_rows > 0)
        fputs("  --full shows every frame and the exact figures\n",
              report->out);
}

/* When that was, and how much more there may have been. */
static void show_put_peak(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    const struct mt_peak *peak = &model->peak;
    uint64_t most = peak->live_bytes, spans = 0;
    uint64_t now = model->now_ns + model->idle_ns;
    char text[MT_FIGURE_BYTES];

    for (size_t i = 0; i < model->n_samples; i++)
        if (model->samples[i].live_bytes > most)
            most = model->samples[i].live_bytes;
    for (uint32_t i = 0; i < model->n_heaps; i++)
        spans += model->heaps[i].in_use ? model->heaps[i].span_bytes_peak : 0;
    fprintf(report->out, "  peak: %.1f s after the start, %.1f s ago\n",
            (double)peak->ns / 1e9,
            (double)(now > peak->ns ? now - peak->ns : 0) / 1e9);
    fprintf(report->out, "  blocks: %s then, in samples at most ",
            mt_figure_bytes(report, peak->live_bytes, text));
    fprintf(report->out, "%s; heaps: ", mt_figure_bytes(report, most, text));
    fprintf(report->out, "%s then, at most ",
            mt_figure_bytes(report, peak->span_bytes, text));
    fprintf(report->out, "%s\n", mt_figure_bytes(report, spans, text));
    if (peak->share > 1)
        fprintf(report->out,
                "  small blocks are estimated: one of %u was looked at\n",
                peak->share);
}

void mt_print_show_summary(const struct mt_report *report)
{
    show_put_live(report);
    if (report->show->options->peak)
        show_put_peak(report);
    mt_summary_core(report);
    mt_summary_memory(report);
    if (report->show->memory)
        mt_print_map_sums(report, report->show->memory);
    show_put_unseen(report);
    show_put_filtered(report);
    show_put_not_preloaded(report);
    show_put_failures(report);
}

void mt_print_show(const struct mt_report *report)
{
    if (mt_report_is_full(report)) {
        mt_print_table(report);
        return;
    }
    mt_print_show_summary(report);
    if (shows_lifetime(report->show->options))
        show_put_lifetime(report);
    show_put_rows(report);
    mt_print_ages_time(report);
    show_put_rest(report);
    mt_print_notes(report, "  note: ");
}
