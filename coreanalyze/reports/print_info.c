/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_info.c - process, trace, heaps and health as text.
 */
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static void put_line(FILE *out, const char *name, const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    fprintf(out, "  %-10s", name);
    mt_put_text(out, text);
    putc('\n', out);
}

/* The limit that was near when the process wrote the file, if it did. */
void mt_print_saved_at(const struct mt_report *report)
{
    static const char *const kinds[MT_N_SAVED_KINDS] = {"",
                                                        " of the memory cgroup",
                                                        " of the address space",
                                                        " of the heap's limit",
                                                        " resident",
                                                        " resident"};
    const struct mt_saved_at *at = &report->model->source->process.saved_at;
    time_t when = (time_t)(at->realtime_ns / 1000000000);
    struct tm tm;
    char text[64] = "";
    FILE *out = report->out;

    if (at->kind == 0)
        return;
    fputs("  saved at ", out);
    mt_put_bytes(out, at->usage);
    fputs(at->kind == MT_SAVED_GROWN ? ", grown from " : " of ", out);
    mt_put_bytes(out, at->limit);
    fputs(kinds[at->kind], out);
    fputs("; the process has ", out);
    mt_put_bytes(out, at->resident_bytes);
    if (gmtime_r(&when, &tm) &&
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm))
        fprintf(out, "; %s", text);
    putc('\n', out);
}

static void info_put_process(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    const struct mt_process *process = &model->source->process;
    time_t start = (time_t)(model->start_realtime_ns / 1000000000);
    struct tm tm;
    char text[64] = "";
    FILE *out = report->out;

    fprintf(out, "process %u (%s)\n", process->pid ? process->pid : model->pid,
            process->kind == MT_SOURCE_LIVE ? "live"
            : process->box                  ? "black box"
            : process->mini                 ? "mini-core"
                                            : "core");
    put_line(out, "program", process->exe);
    put_line(out, "command", process->command);
    put_line(out, "core", process->path);
    if (process->signal)
        fprintf(out, "  %-10s%d (%s)\n", "signal", process->signal,
                strsignal(process->signal));
    mt_print_saved_at(report);
    if (model->parent_pid)
        fprintf(out, "  %-10sof %u\n", "fork", model->parent_pid);
    if (gmtime_r(&start, &tm) &&
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm))
        put_line(out, "started", text);
    fprintf(out, "  %-10s%" PRIu64 " s after the start\n", "last seen",
            model->now_ns / 1000000000);
}

static void put_trace(const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    size_t live = 0, marks = 0, gone = 0, stacks = 0;
    FILE *out = report->out;

    for (size_t i = 0; i < model->n_threads; i++)
        live += model->threads[i].live;
    for (size_t i = 0; i < model->n_epochs; i++)
        marks += model->epochs[i].mark;
    for (size_t i = 0; i < model->n_modules; i++)
        gone += model->modules[i].unloaded_ns != 0;
    for (size_t i = 0; i < model->n_stacks; i++)
        stacks += model->stacks[i].valid;
    fprintf(out, "trace at 0x%" PRIx64 ", layout %u.%u, found by %s\n",
            model->root, model->layout_major, model->layout_minor,
            mt_root_method_name(model->coverage.root_method));
    fputs("  memory    ", out);
    mt_put_size(out, model->trace_used);
    fputs(" used, ", out);
    mt_put_size(out, model->trace_bytes);
    fputs(" reserved\n", out);
    put_line(out, "MEMTRACE", model->config);
    mt_put_count(out, "  depth     %s frame{|s}\n", model->depth);
    if (model->sample_bytes)
        fprintf(out, "  sample    one in %" PRIu64 " bytes\n",
                model->sample_bytes);
    fprintf(out,
            "  stacks    %zu\n"
            "  epochs    %zu, %zu of them marks\n"
            "  modules   %zu, %zu of them unloaded\n"
            "  threads   %zu that allocated, %zu of them live\n",
            stacks, model->n_epochs, marks, model->n_modules, gone,
            model->n_threads, live);
}

static void info_put_sum(FILE *out, const char *name,
                         const struct mt_show_sum *sum)
{
    fprintf(out, "  %-10s", name);
    mt_put_count(out, "%s byte{|s} in ", sum->bytes);
    mt_put_count(out, "%s block{|s}\n", sum->count);
}

static void info_put_heap(const struct mt_report *report,
                          const struct mt_heap *heap)
{
    const struct mt_show *show = report->show;
    const struct mt_heap_usage *usage = &show->usage[heap->id];
    FILE *out = report->out;

    fputs("heap '", out);
    mt_put_text(out, heap->name);
    fprintf(out, "', tracing %s\n  used      ", heap->tracing ? "on" : "off");
    mt_put_size(out, usage->used_bytes);
    mt_put_count(out, " in %s block{|s}; asked for: ", usage->live_blocks);
    mt_put_size(out, usage->requested_bytes);
    fputs("\n  size      ", out);
    mt_put_size(out, heap->size);
    mt_put_count(out, " in %s region{|s}, ", heap->n_regions);
    mt_put_size(out, heap->committed);
    fputs(" committed\n", out);
    info_put_sum(out, "traced", &show->traced[heap->id]);
    info_put_sum(out, "untraced", &show->untraced[heap->id]);
    if (show->unsampled[heap->id].count)
        info_put_sum(out, "unsampled", &show->unsampled[heap->id]);
    if (heap->failures)
        mt_put_count(out, "  failures  %s allocation{|s} got no memory\n",
                     heap->failures);
}

static void put_error(const struct mt_report *report)
{
    const struct mt_traced_error *e = &report->model->last_error;

    if (e->count == 0)
        return;
    fprintf(report->out, "errors: %" PRIu64 "; the last one, in thread %u:\n  ",
            e->count, e->tid);
    mt_put_text(report->out, e->text);
    putc('\n', report->out);
}

void mt_print_info(const struct mt_report *report)
{
    const struct mt_model *model = report->model;

    info_put_process(report);
    put_trace(report);
    for (size_t i = 0; i < model->n_heaps; i++)
        if (model->heaps[i].in_use)
            info_put_heap(report, &model->heaps[i]);
    put_error(report);
    fputs("coverage\n", report->out);
    if (mt_print_notes(report, "  ") == 0)
        fputs("  complete\n", report->out);
}
