/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_table.c - the whole form of a report, as VPP's `show memory-trace`
 * prints it.
 */
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/summary.h"

#include <inttypes.h>
#include <string.h>

static void put_header(const struct mt_report *report,
                       const struct mt_heap *heap)
{
    FILE *out = report->out;

    fprintf(out, "  base 0x%" PRIx64 ", size ", heap->base);
    mt_put_size(out, heap->size);
    if (heap->locked)
        fputs(", locked", out);
    if (heap->unmap_on_destroy)
        fputs(", unmap-on-destroy", out);
    if (heap->fixed)
        fputs(", fixed", out);
    if (heap->given)
        fputs(", in given memory", out);
    if (heap->limit) {
        fputs(", limit ", out);
        mt_put_size(out, heap->limit);
    }
    if (heap->numa_node >= 0)
        fprintf(out, ", numa %d", heap->numa_node);
    fputs(", name '", out);
    mt_put_text(out, heap->name);
    fputs(heap->tracing ? "'\n" : "', tracing off\n", out);
}

static void table_put_pages(const struct mt_report *report,
                            const struct mt_heap *heap)
{
    FILE *out = report->out;
    struct mt_page_stats stats;
    uint64_t total;
    bool live = report->model->source->process.kind == MT_SOURCE_LIVE;

    mt_report_pages(report, heap->id, &stats);
    total = heap->size / stats.page_bytes;
    fputs("    page stats: page-size ", out);
    mt_put_size(out, stats.page_bytes);
    fprintf(out, ", total %" PRIu64, total);
    if (!stats.known)
        fputs(", populated unknown", out);
    else if (live)
        fprintf(out, ", populated %" PRIu64 ", not populated %" PRIu64,
                stats.populated,
                total > stats.populated ? total - stats.populated : 0);
    else
        fprintf(out, ", in the core %" PRIu64 ", not in the core %" PRIu64,
                stats.populated,
                total > stats.populated ? total - stats.populated : 0);
    if (stats.swapped)
        fprintf(out, ", swapped %" PRIu64, stats.swapped);
    putc('\n', out);
    for (unsigned i = 0; stats.numa_known && i < stats.n_nodes; i++) {
        fprintf(out, "      numa %u: %" PRIu64 " pages, ", i, stats.node[i]);
        mt_put_size(out, stats.node[i] * stats.page_bytes);
        fputs(" bytes\n", out);
    }
    if (!stats.numa_known)
        fputs("      numa: unknown\n", out);
}

static void table_put_sum(FILE *out, const char *name,
                          const struct mt_show_sum *sum)
{
    fputs(name, out);
    mt_put_count(out, " %s byte{|s} in ", sum->bytes);
    mt_put_count(out, "%s block{|s}", sum->count);
}

static void put_totals(const struct mt_report *report,
                       const struct mt_heap *heap)
{
    const struct mt_show *show = report->show;
    const struct mt_heap_usage *usage = &show->usage[heap->id];
    FILE *out = report->out;

    fputs("    total: ", out);
    mt_put_size(out, heap->size);
    fputs(", used: ", out);
    mt_put_size(out, usage->used_bytes);
    fputs(", free: ", out);
    mt_put_size(out, heap->size > usage->used_bytes
                         ? heap->size - usage->used_bytes
                         : 0);
    fputs(", trimmable: ", out);
    mt_put_size(out, heap->trimmable);
    fprintf(out,
            "\n      free chunks %" PRIu64 ", free blocks %" PRIu64
            "\n      max total allocated ",
            usage->free_chunks, usage->free_blocks);
    mt_put_size(out, heap->span_bytes_peak);
    putc('\n', out);
    table_put_sum(out, "    traced:", &show->traced[heap->id]);
    table_put_sum(out, ", untraced:", &show->untraced[heap->id]);
    if (show->unsampled[heap->id].count)
        table_put_sum(out, ", not sampled:", &show->unsampled[heap->id]);
    putc('\n', out);
    if (heap->failures)
        fprintf(out, "    allocations that got no memory: %" PRIu64 "\n",
                heap->failures);
}

void mt_print_classes(const struct mt_report *report, uint32_t heap)
{
    const struct mt_class_usage *size_class = report->show->usage[heap].classes;
    FILE *out = report->out;
    int columns = mt_report_is_full(report) ? 14 : 9; /* of figures in bytes */
    char committed[MT_FIGURE_BYTES], used[MT_FIGURE_BYTES];
    char requested[MT_FIGURE_BYTES];
    bool header = false;

    for (uint32_t i = 0; size_class && i <= MT_MAX_CLASSES; i++, size_class++) {
        if (size_class->spans == 0)
            continue;
        if (!header)
            fprintf(out, "\n%13s %10s %10s %8s %*s %*s %*s\n", "Block bytes",
                    "Live", "Free", "Spans", columns, "Committed", columns,
                    "Used", columns, "Asked for");
        header = true;
        if (size_class->block_bytes)
            fprintf(out, "%13" PRIu64, size_class->block_bytes);
        else
            fprintf(out, "%13s", "large");
        fprintf(
            out, " %10" PRIu64 " %10" PRIu64 " %8" PRIu64 " %*s %*s %*s\n",
            size_class->live_blocks, size_class->free_blocks, size_class->spans,
            columns, mt_figure(report, size_class->committed_bytes, committed),
            columns, mt_figure(report, size_class->used_bytes, used), columns,
            mt_figure(report, size_class->requested_bytes, requested));
    }
}

/* --- rows --- */

static bool wants_age(const struct mt_show_options *options)
{
    return options->sort == MT_SORT_AGE || options->ages ||
           options->since.kind != MT_WHEN_NOT ||
           options->older.kind != MT_WHEN_NOT;
}

static bool shows_allocs(const struct mt_show_options *options)
{
    return options->sort == MT_SORT_ALLOCS || options->sort == MT_SORT_LIFETIME;
}

static int table_put_age(const struct mt_report *report, uint32_t epoch)
{
    return fprintf(report->out, "%8" PRIu64 "s ",
                   mt_model_age_ns(report->model, epoch) / 1000000000);
}

/* A digit for each part of the time: tenths of the largest part, rounded up
 * so that what is there is seen. */
int mt_print_row_ages(const struct mt_report *report,
                      const struct mt_show_row *row)
{
    FILE *out = report->out;
    uint64_t most = 1;
    char digits[MT_SHOW_AGES + 1] = "";

    for (unsigned i = 0; i < MT_SHOW_AGES; i++)
        most = row->ages[i] > most ? row->ages[i] : most;
    for (unsigned i = 0; i < MT_SHOW_AGES; i++)
        digits[i] =
            row->ages[i] == 0
                ? '.'
                : (char)('0' + ((double)row->ages[i] * 9 + (double)most - 1) /
                                   (double)most);
    return fprintf(out, "%s %-6s ", digits, row->steady ? "steady" : "");
}

static void table_put_row(const struct mt_report *report,
                          const struct mt_show_row *row)
{
    const struct mt_show_options *options = report->show->options;
    FILE *out = report->out;
    char sample[24];
    int indent;

    if (row->sample == MT_NO_SAMPLE)
        strcpy(sample, "-");
    else
        snprintf(sample, sizeof sample, "0x%" PRIx64, row->sample);
    indent = fprintf(out, "%13" PRIu64 " %8" PRIu64 " %14s ", row->bytes,
                     row->count, sample);
    if (wants_age(options))
        indent += table_put_age(report, row->oldest_epoch);
    if (options->ages) {
        indent += table_put_age(report, row->newest_epoch);
        indent += mt_print_row_ages(report, row);
    }
    if (shows_allocs(options))
        indent += fprintf(out, "%10" PRIu64 " %13" PRIu64 " ", row->allocs,
                          row->alloc_bytes);
    mt_print_row_frames(report, row, indent);
}

static void put_rows(const struct mt_report *report, uint32_t heap)
{
    const struct mt_show *show = report->show;
    const struct mt_show_options *options = show->options;
    FILE *out = report->out;
    bool header = false;

    for (size_t i = 0; i < show->n_rows; i++) {
        if (show->rows[i].heap != heap)
            continue;
        if (!header)
            fprintf(out, "\n%13s %8s %14s %s%s%sTraceback\n", "Bytes", "Count",
                    "Sample  ", wants_age(options) ? "   Oldest " : "",
                    options->ages ? "   Newest Ages            " : "",
                    shows_allocs(options) ? "    Allocs     Allocated " : "");
        header = true;
        table_put_row(report, &show->rows[i]);
    }
}

void mt_print_target(const struct mt_report *report)
{
    const struct mt_process *process = &report->model->source->process;
    FILE *out = report->out;

    mt_summary_process(report);
    if (process->path) {
        fputs(", core ", out);
        mt_put_text(out, process->path);
    }
    putc('\n', out);
}

/* The meaning of the digits of the column Ages. */
void mt_print_ages_time(const struct mt_report *report)
{
    const struct mt_show *show = report->show;
    const struct mt_model *model = report->model;

    if (show->options->ages)
        fprintf(report->out,
                "  ages: eighths of the time from %.3f s to %.3f s ago\n",
                (double)(model->now_ns - show->from_ns) / 1e9,
                (double)(model->now_ns - show->to_ns) / 1e9);
}

static void put_rest(const struct mt_report *report)
{
    const struct mt_show *show = report->show;
    struct mt_show_sum rest = show->shown;

    if (show->n_rows == show->n_all_rows)
        return;
    for (size_t i = 0; i < show->n_rows; i++) {
        rest.bytes -= show->rows[i].bytes;
        rest.count -= show->rows[i].count;
    }
    mt_put_count(report->out, "  %s more stack{ is|s are} not shown: ",
                 show->n_all_rows - show->n_rows);
    table_put_sum(report->out, "they have", &rest);
    putc('\n', report->out);
}

static void put_heaps(const struct mt_report *report, bool rows)
{
    const struct mt_model *model = report->model;

    mt_print_target(report);
    for (uint32_t i = 0; i < model->n_heaps; i++) {
        if (!mt_show_wants(model, report->show, i))
            continue;
        put_header(report, &model->heaps[i]);
        table_put_pages(report, &model->heaps[i]);
        put_totals(report, &model->heaps[i]);
        mt_print_classes(report, i);
        if (rows)
            put_rows(report, i);
        putc('\n', report->out);
    }
}

void mt_print_table(const struct mt_report *report)
{
    put_heaps(report, true);
    mt_print_ages_time(report);
    put_rest(report);
    mt_print_notes(report, "  note: ");
}

void mt_print_heaps(const struct mt_report *report)
{
    put_heaps(report, false);
}
