/* SPDX-License-Identifier: BSD-2-Clause
 *
 * summary.c - which process a report is of, and what memory it has.
 */
#include "coreanalyze/reports/summary.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"

#include <inttypes.h>
#include <string.h>

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
        putc('\n', out);
    }
    mt_print_saved_at(report);
}

void mt_summary_memory(const struct mt_report *report)
{
    const struct mt_process *process = &report->model->source->process;
    const struct mt_model *model = report->model;
    FILE *out = report->out;
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
    fprintf(out, "  heap: %s in use", mt_figure(report, used, text));
    fprintf(out, ", at most %s", mt_figure(report, peak, text));
    if (limit)
        fprintf(out, ", limit %s", mt_figure(report, limit, text));
    if (process->rss_bytes) {
        fprintf(out, "; process: RSS %s",
                mt_figure(report, process->rss_bytes, text));
        fprintf(out, ", at most %s",
                mt_figure(report, process->peak_rss_bytes, text));
    }
    putc('\n', out);
}

void mt_summary_amount(const struct mt_report *report,
                       const struct mt_show_sum *sum)
{
    char text[MT_FIGURE_BYTES];
    const char *figure = mt_figure(report, sum->bytes, text);

    fputs(figure, report->out);
    if (figure[strspn(figure, "0123456789")] == '\0')
        fprintf(report->out, " byte%s", mt_plural(sum->bytes));
    mt_put_count(report->out, " in %s block{|s}", sum->count);
}
