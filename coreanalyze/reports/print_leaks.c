/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_leaks.c - leaks as a table and as JSON, with what they rest on.
 */
#include "coreanalyze/reports/print_leaks.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/summary.h"
#include "coreanalyze/snapshot/allocators.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_INDENT 10

static void leaks_put_sum(const struct mt_report *report, const char *title,
                          const struct mt_show_sum *sum)
{
    fprintf(report->out, "  %s: ", title);
    mt_summary_amount(report, sum);
    putc('\n', report->out);
}

static void add_sum(struct mt_show_sum *to, const struct mt_show_sum *sum)
{
    to->bytes += sum->bytes;
    to->count += sum->count;
}

static void leaks_put_sums(const struct mt_report *report,
                           const struct mt_leaks *leaks)
{
    struct mt_show_sum suppressed = {0, 0}, known = {0, 0};

    for (unsigned i = 0; i < MT_N_LEAK_KINDS; i++) {
        struct mt_show_sum left = mt_leaks_left(leaks, i);
        /* For a person what there is, and that nothing is lost. */
        if (mt_report_is_full(report) || left.count > 0 ||
            i == MT_LEAK_DEFINITE)
            leaks_put_sum(report, mt_leak_kind_titles[i], &left);
        add_sum(&suppressed, &leaks->suppressed[i]);
        add_sum(&known, &leaks->known[i]);
    }
    if (suppressed.count > 0)
        leaks_put_sum(report, "suppressed", &suppressed);
    if (known.count > 0)
        leaks_put_sum(report, "in the baseline", &known);
}

static void leaks_put_age(const struct mt_report *report, uint32_t epoch)
{
    uint64_t ms = mt_model_age_ns(report->model, epoch) / 1000000;

    fprintf(report->out, "%6" PRIu64 ".%" PRIu64 "s ", ms / 1000,
            ms % 1000 / 100);
}

static void leaks_put_row(const struct mt_report *report,
                          const struct mt_show_row *row)
{
    FILE *out = report->out;
    char sample[24];

    snprintf(sample, sizeof sample, "0x%" PRIx64, row->sample);
    fprintf(out, "%-9s %13" PRIu64 " %8" PRIu64 " %13" PRIu64 " %8" PRIu64 " ",
            mt_leak_kind_names[row->kind], row->bytes, row->count,
            row->indirect_bytes, row->indirect_count);
    if (row->stack >= MT_ID_FIRST) {
        leaks_put_age(report, row->oldest_epoch);
        leaks_put_age(report, row->newest_epoch);
    } else {
        fprintf(out, "%9s %9s ", "-", "-");
    }
    fprintf(out, "%14s\n%*s", sample, FRAMES_INDENT, "");
    mt_print_row_frames(report, row, FRAMES_INDENT);
}

static size_t leaks_put_note(const struct mt_report *report, const char *prefix,
                             uint64_t value, const char *text)
{
    if (value == 0)
        return 0;
    fputs(prefix, report->out);
    mt_report_put_count(report, text, value);
    putc('\n', report->out);
    return 1;
}

static size_t leaks_put_text(const struct mt_report *report, const char *prefix,
                             const char *text)
{
    fprintf(report->out, "%s%s\n", prefix, text);
    return 1;
}

static bool leaks_has_lost(const struct mt_leaks *leaks)
{
    return mt_leaks_left(leaks, MT_LEAK_DEFINITE).count > 0;
}

/* Words that the kernel holds are not seen. */
static size_t leaks_put_kernel(const struct mt_report *report,
                               const char *prefix,
                               const struct mt_roots_coverage *r)
{
    const char *separator = " ";
    const struct mt_source_coverage *c = &report->model->source->coverage;
    size_t n = 0;

    n += leaks_put_note(report, prefix, c->queues_unseen,
                        "%s pipe{ or socket|s and sockets} could not be looked "
                        "into: blocks that only a word there holds look lost");
    n += leaks_put_note(report, prefix, c->notifications,
                        "the process waits for %s notification{|s} of message "
                        "queues: blocks that only {its value holds|their "
                        "values hold} look lost");
    if (c->kernel_unseen)
        n += leaks_put_text(report, prefix,
                            "the debugger does not have vector registers, nor "
                            "what the kernel holds (of epoll, timers and "
                            "signals): blocks that only these hold look lost");
    if (r->kernel_calls == 0)
        return n + leaks_put_note(
                       report, prefix, r->polling,
                       "%s thread{ waits|s wait} in an epoll, whose data a "
                       "core does not have: blocks that only it holds look "
                       "lost");
    fprintf(report->out, "%sthe program has called, or may have called,",
            prefix);
    for (unsigned i = 0; mt_kernel_calls[i]; i++) {
        if (!(r->kernel_calls & 1u << i))
            continue;
        fprintf(report->out, "%s%s", separator, mt_kernel_calls[i]);
        separator = ", ";
    }
    fputs("; a core does not have what these gave to the kernel: blocks that "
          "only it holds look lost\n",
          report->out);
    return n + 1;
}

size_t mt_print_leak_notes(const struct mt_report *report,
                           const struct mt_leaks *leaks, const char *prefix)
{
    const struct mt_roots_coverage *r = &leaks->roots;
    const struct mt_source *source = report->model->source;
    size_t n = 0;

    if (leaks->stopped)
        n += leaks_put_text(report, prefix,
                            "stopped early: the kinds mean nothing");
    if (source->process.kind == MT_SOURCE_LIVE && source->captured.copied &&
        !source->captured.stopped)
        n += leaks_put_text(
            report, prefix,
            "the process was running while it was read: blocks whose "
            "pointers moved may look lost");
    if (source->coverage.by_debugger)
        n += leaks_put_text(report, prefix,
                            "a debugger wrote the core: it leaves out memory, "
                            "and the core does not say which");
    if (r->threads == 0)
        n += leaks_put_text(
            report, prefix,
            "the threads are not known: stacks were searched whole");
    n += leaks_put_note(
        report, prefix, r->threads_without_registers,
        "%s thread{ has|s have} no registers: blocks that only a register "
        "holds look lost, and blocks that only an unused part of a stack "
        "holds look reachable");
    n += leaks_put_note(
        report, prefix, r->missing_bytes,
        "%b of writable memory {is|are} not in the core "
        "(coredump_filter, shared with a file, or it is cut off): blocks that "
        "only this memory holds look lost");
    n += leaks_put_note(report, prefix, r->missing_file_bytes,
                        "%b of writable data of modules {is|are} not in the "
                        "core: never written to");
    n += leaks_put_note(
        report, prefix, leaks->missing_bytes,
        "%b of roots and blocks could not be read: blocks that only "
        "this memory holds look lost");
    n += leaks_put_note(
        report, prefix, leaks->ignored_blocks,
        "%s block{|s} (and blocks reachable from {it|them}) {was|were} marked "
        "as intentional by the program (memtrace_ignore, __lsan_disable)");
    if (mt_report_is_full(report)) /* takes nothing from the result */
        n += leaks_put_note(report, prefix, r->ended_stack_bytes,
                            "%b of stacks of threads that have ended {is|are} "
                            "not roots");
    n += leaks_put_note(
        report, prefix, leaks->idle_blocks,
        "only unused parts of stacks that no thread runs on hold %s block{|s}: "
        "possibly lost");
    if (report->model->spare_bytes == 0)
        n += leaks_put_text(report, prefix,
                            "blocks lie without a gap (an older memtrace): an "
                            "address just after one can be taken for a "
                            "pointer to the next");
    if (leaks_has_lost(leaks))
        n += leaks_put_kernel(report, prefix, r);
    n += leaks_put_note(report, prefix, leaks->in_vectors,
                        "%s vector register{ has|s have} the address of a "
                        "block that looks lost: a copy may have been under "
                        "way");
    if (r->async && leaks_has_lost(leaks))
        n += leaks_put_text(report, prefix,
                            "the process has io_uring or AIO: blocks that "
                            "only a pending operation holds look lost");
    n += leaks_put_note(report, prefix, r->stacks_unknown,
                        "%s thread{ runs|s run} on unknown stacks: the memory "
                        "there was searched whole");
    return n;
}

static void leaks_put_result(FILE *out, const struct mt_verdict *verdict)
{
    fprintf(out, "  result: %s", mt_result_names[verdict->result]);
    if (verdict->why[0]) {
        fputs(" (", out);
        mt_put_text(out, verdict->why);
        putc(')', out);
    }
    putc('\n', out);
}

static void put_basis(const struct mt_report *report,
                      const struct mt_leaks *leaks)
{
    const struct mt_captured *captured = &report->model->source->captured;
    FILE *out = report->out;

    fprintf(out, "  searched: ");
    mt_put_bytes(out, leaks->roots.scanned_bytes);
    mt_put_count(out, " of roots (%s thread{|s})\n", leaks->roots.threads);
    if (leaks->options->times) {
        /* How often a block is searched depends on what is met first. */
        fputs("  searched in all: ", out);
        mt_put_bytes(out, leaks->scanned_bytes);
        fputc('\n', out);
        fprintf(out,
                "  the search took %" PRIu64 " ms, %" PRIu64
                " ms of processor time\n",
                leaks->search_ns / 1000000, leaks->search_cpu_ns / 1000000);
        if (captured->copied)
            fprintf(out,
                    "  the reading before it took %" PRIu64
                    " ms of processor time\n",
                    captured->cpu_ns / 1000000);
    }
    if (captured->copied && captured->stopped) {
        fputs("  stopped for ", out);
        fprintf(out, "%" PRIu64 " ms, to read ", captured->ns / 1000000);
        mt_put_bytes(out, captured->bytes);
        fputs("; kept ", out);
        mt_put_bytes(out, captured->kept_bytes);
        putc('\n', out);
    }
}

static void leaks_put_table(const struct mt_report *report)
{
    const struct mt_show *show = report->show;

    if (show->n_rows > 0)
        fprintf(report->out,
                "\n%-9s %13s %8s %13s %8s %9s %9s %14s\n%*sTraceback\n", "Kind",
                "Bytes", "Count", "Indirect", "Count", "Oldest", "Newest",
                "Sample  ", FRAMES_INDENT, "");
    for (size_t i = 0; i < show->n_rows; i++)
        leaks_put_row(report, &show->rows[i]);
    putc('\n', report->out);
    if (show->n_rows < show->n_all_rows)
        mt_put_count(report->out, "  %s more row{ is|s are} not shown\n",
                     show->n_all_rows - show->n_rows);
}

/* --- for a person --- */

static int leaks_put_figures(const struct mt_report *report,
                             const struct mt_show_row *row, bool indirect)
{
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES];
    int indent = fprintf(out, "%9s ", mt_figure(report, row->bytes, text));

    if (indirect)
        indent +=
            fprintf(out, "%9s ", mt_figure(report, row->indirect_bytes, text));
    indent += fprintf(out, "%8" PRIu64 " ", row->count);
    indent += fprintf(out, "%6s ",
                      row->stack >= MT_ID_FIRST
                          ? mt_age_text(report->model, row->oldest_epoch, text)
                          : "-");
    snprintf(text, sizeof text, "0x%" PRIx64, row->sample);
    return indent + fprintf(out, "%14s", text);
}

static void leaks_put_brief_rows(const struct mt_report *report)
{
    const struct mt_show *show = report->show;
    unsigned *callers = mt_row_callers(report, show->rows, show->n_rows);
    bool indirect = false;
    int indent, figures;

    for (size_t i = 0; i < show->n_rows; i++)
        indirect |= show->rows[i].indirect_count > 0;
    if (show->n_rows > 0)
        fprintf(report->out, "\n%9s %s%8s %6s %14s  Traceback\n", "Bytes",
                indirect ? " Indirect " : "", "Count", "Oldest", "Sample");
    for (size_t i = 0; i < show->n_rows; i++) {
        if (i == 0 || show->rows[i].kind != show->rows[i - 1].kind)
            fprintf(report->out, "%s\n",
                    mt_leak_kind_titles[show->rows[i].kind]);
        figures = leaks_put_figures(report, &show->rows[i], indirect) + 2;
        indent = mt_row_indent(report, figures);
        if (indent == figures)
            fputs("  ", report->out);
        mt_print_row_stack(report, &show->rows[i], indent,
                           callers ? callers[i] : MT_ROW_CALLERS);
    }
    free(callers);
    putc('\n', report->out);
    if (show->n_rows < show->n_all_rows)
        mt_put_count(report->out,
                     "  %s more stack{|s} (--top 0 shows all; --full every "
                     "frame)\n",
                     show->n_all_rows - show->n_rows);
    else if (show->n_rows > 0)
        fputs("  --full shows every frame and the exact figures\n",
              report->out);
}

static void leaks_put_lost(const struct mt_report *report,
                           const struct mt_leaks *leaks)
{
    struct mt_show_sum lost = {0, 0};

    for (unsigned i = 0; i < MT_N_LEAK_KINDS; i++) {
        struct mt_show_sum left = mt_leaks_left(leaks, i);
        if (i != MT_LEAK_REACHABLE && i != MT_LEAK_POSSIBLE)
            add_sum(&lost, &left);
    }
    mt_summary_process(report);
    fputs(": ", report->out);
    if (lost.count > 0) {
        mt_summary_amount(report, &lost);
        fputs(" lost\n", report->out);
    } else {
        fputs(mt_model_own_malloc(report->model) == MT_OWN_MALLOC_ALL
                  ? "no block is seen\n"
                  : "nothing is lost\n",
              report->out);
    }
}

void mt_print_leaks_of(const struct mt_report *report,
                       const struct mt_leaks *leaks)
{
    leaks_put_sums(report, leaks);
    if (mt_report_is_full(report)) {
        leaks_put_table(report);
        put_basis(report, leaks);
    } else {
        put_basis(report, leaks);
        leaks_put_brief_rows(report);
    }
    mt_print_leak_notes(report, leaks, "  note: ");
    mt_print_notes(report, "  note: ");
}

void mt_print_leaks(const struct mt_report *report,
                    const struct mt_leaks *leaks,
                    const struct mt_verdict *verdict)
{
    if (mt_report_is_full(report)) {
        mt_print_target(report);
        leaks_put_sums(report, leaks);
        leaks_put_table(report);
        put_basis(report, leaks);
        leaks_put_result(report->out, verdict);
    } else {
        leaks_put_lost(report, leaks);
        mt_summary_core(report);
        leaks_put_result(report->out, verdict);
        leaks_put_sums(report, leaks);
        put_basis(report, leaks);
        leaks_put_brief_rows(report);
    }
    mt_print_leak_notes(report, leaks, "  note: ");
    mt_print_notes(report, "  note: ");
}

void mt_json_put_checked(struct mt_json *json, const struct mt_report *report,
                         const struct mt_leaks *leaks,
                         const struct mt_verdict *verdict)
{
    const struct mt_captured *captured = &report->model->source->captured;
    const struct mt_roots_coverage *r = &leaks->roots;

    mt_json_open(json, "checked", '{');
    mt_json_bool(json, "complete", mt_leaks_complete(report->model, leaks));
    mt_json_string(json, "verdict", mt_result_names[verdict->result]);
    mt_json_string(json, "why", verdict->why[0] ? verdict->why : NULL);
    mt_json_bool(json, "stopped_early", leaks->stopped);
    mt_json_bool(json, "target_stopped",
                 report->model->source->process.kind != MT_SOURCE_LIVE ||
                     captured->stopped || !captured->copied);
    mt_json_u64(json, "copy_ns", captured->ns);
    mt_json_u64(json, "copied_bytes", captured->bytes);
    mt_json_u64(json, "kept_bytes", captured->kept_bytes);
    mt_json_u64(json, "threads", r->threads);
    mt_json_u64(json, "threads_without_registers",
                r->threads_without_registers);
    mt_json_u64(json, "root_bytes", r->scanned_bytes);
    if (leaks->options->times) {
        mt_json_u64(json, "scanned_bytes", leaks->scanned_bytes);
        mt_json_u64(json, "search_ns", leaks->search_ns);
        mt_json_u64(json, "search_cpu_ns", leaks->search_cpu_ns);
        mt_json_u64(json, "read_cpu_ns", captured->cpu_ns);
    }
    mt_json_u64(json, "ignored_blocks", leaks->ignored_blocks);
    mt_json_u64(json, "unreadable_bytes", leaks->missing_bytes);
    mt_json_u64(json, "missing_root_bytes", r->missing_bytes);
    mt_json_u64(json, "missing_file_bytes", r->missing_file_bytes);
    mt_json_u64(json, "exited_stack_bytes", r->ended_stack_bytes);
    mt_json_u64(json, "unknown_stacks", r->stacks_unknown);
    mt_json_u64(json, "idle_stack_blocks", leaks->idle_blocks);
    mt_json_close(json, '}');
}

void mt_json_put_leak_sums(struct mt_json *json, const struct mt_leaks *leaks)
{
    struct mt_show_sum suppressed = {0, 0}, known = {0, 0};

    mt_json_open(json, "kinds", '{');
    for (unsigned i = 0; i < MT_N_LEAK_KINDS; i++) {
        struct mt_show_sum left = mt_leaks_left(leaks, i);
        mt_json_put_sum(json, mt_leak_kind_names[i], &left);
        add_sum(&suppressed, &leaks->suppressed[i]);
        add_sum(&known, &leaks->known[i]);
    }
    mt_json_put_sum(json, "suppressed", &suppressed);
    mt_json_put_sum(json, "known", &known);
    mt_json_close(json, '}');
}

void mt_json_put_leaks(struct mt_json *json, const struct mt_report *report,
                       const struct mt_leaks *leaks,
                       const struct mt_verdict *verdict)
{
    mt_json_put_target(json, report->model);
    mt_json_put_leak_sums(json, leaks);
    mt_json_put_stacks(json, report);
    mt_json_put_checked(json, report, leaks, verdict);
    mt_json_put_coverage(json, report);
}
