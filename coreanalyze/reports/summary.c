/* SPDX-License-Identifier: BSD-2-Clause
 *
 * summary.c - which process a report is of, and what memory it has.
 */
#include "coreanalyze/reports/summary.h"
#include "coreanalyze/analyses/memory_map.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/names/backtrace.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/style.h"

#include <inttypes.h>
#include <string.h>

#define CRASH_INDENT 4
#define LEAST_COLUMNS 24u /* for a frame, however narrow the line */

void mt_summary_process(const struct mt_report *report)
{
    const struct mt_process *process = &report->model->source->process;
    FILE *out = report->out;

    fprintf(out, "Process %u",
            process->pid ? process->pid : report->model->pid);
    if (process->name[0] || process->exe) {
        putc(' ', out);
        mt_put_text(out, process->name[0] ? process->name
                                          : mt_base_name(process->exe));
    }
}

static void summary_put_frame(const struct mt_report *report, const char *how,
                              const struct mt_frame *frame)
{
    size_t columns = report->style ? report->style->width : 0;
    size_t used = (size_t)fprintf(report->out, "%*s%s ", CRASH_INDENT, "", how);

    if (columns == 0)
        columns = SIZE_MAX / 2;
    else
        columns =
            columns > used + LEAST_COLUMNS ? columns - used : LEAST_COLUMNS;
    mt_print_frame(report, frame, columns, true);
    putc('\n', report->out);
}

/* The program's function that the thread of a signal was in; where it has no
 * name, also the first one with a name that led to it. */
static void summary_put_crash(const struct mt_report *report)
{
    struct mt_source *source = report->model->source;
    struct mt_call calls[MT_MAX_CALLS];
    struct mt_frame last = {0};
    bool found = false;
    size_t n;

    if (!report->resolver || source->process.mini || source->n_threads == 0)
        return;
    n = mt_backtrace(report->resolver, source, &source->threads[0], calls,
                     MT_MAX_CALLS);
    for (size_t i = 0; i < n && !last.function; i++) {
        struct mt_pc at = {calls[i].pc, MT_MODULES_NOW, calls[i].exact};
        struct mt_resolved at_call = mt_resolve_brief(report->resolver, &at);
        size_t own = mt_frame_own(at_call.frames, at_call.n);
        if (own == at_call.n || (found && !at_call.frames[own].function))
            continue;
        last = at_call.frames[own];
        summary_put_frame(report, found ? "called by" : "in", &last);
        found = true;
    }
}

static void summary_put_error(const struct mt_report *report)
{
    const struct mt_traced_error *e = &report->model->last_error;

    if (e->count == 0 || !e->text[0])
        return;
    mt_put_count(report->out,
                 "  the heap has reported %s error{|s}: ", e->count);
    mt_put_text(report->out, e->text);
    putc('\n', report->out);
}

void mt_summary_core(const struct mt_report *report)
{
    const struct mt_process *process = &report->model->source->process;
    FILE *out = report->out;

    if (process->path) {
        fputs(process->box ? "  black box " : "  core ", out);
        mt_put_text(out, process->path);
        if (process->signal)
            fprintf(out, ", ended by signal %d (%s)", process->signal,
                    strsignal(process->signal));
        if (process->box && process->box_use == MT_BOX_IN_USE)
            fputs("; its process runs", out);
        if (process->box && process->box_use == MT_BOX_LEFT)
            fputs("; its process has ended, or this is a copy", out);
        putc('\n', out);
        if (process->signal)
            summary_put_crash(report);
    }
    mt_print_saved_at(report);
    summary_put_error(report);
}

void mt_summary_memory(const struct mt_report *report)
{
    const struct mt_process *process = &report->model->source->process;
    const struct mt_model *model = report->model;
    FILE *out = report->out;
    const struct mt_memory_map *map = report->show->memory;
    /* The kernel's sum of the process may lack pages that its threads have not
     * counted yet; those of the mappings do not. */
    uint64_t rss =
        map && map->measured ? map->all.resident : process->rss_bytes;
    uint64_t used = 0, peak = 0, limit = 0;
    char text[MT_FIGURE_BYTES];

    for (uint32_t i = 0; i < model->n_heaps; i++) {
        const struct mt_heap *heap = &model->heaps[i];
        if (!mt_show_wants(model, report->show, i))
            continue;
        used += report->show->usage[i].used_bytes;
        peak += heap->span_bytes_peak;
        limit = heap->main || report->show->options->heap ? heap->limit : limit;
    }
    fprintf(out, "  heap: %s in use", mt_figure_bytes(report, used, text));
    fprintf(out, ", at most %s", mt_figure_bytes(report, peak, text));
    if (limit)
        fprintf(out, ", limit %s", mt_figure_bytes(report, limit, text));
    if (rss) {
        fprintf(out, "; process: RSS %s", mt_figure_bytes(report, rss, text));
        if (rss < process->peak_rss_bytes)
            rss = process->peak_rss_bytes;
        fprintf(out, ", at most %s", mt_figure_bytes(report, rss, text));
    }
    putc('\n', out);
}

void mt_summary_amount(const struct mt_report *report,
                       const struct mt_show_sum *sum)
{
    char text[MT_FIGURE_BYTES];

    fputs(mt_figure_bytes(report, sum->bytes, text), report->out);
    mt_put_count(report->out, " in %s block{|s}", sum->count);
}
