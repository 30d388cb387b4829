/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_map.c - where the memory of a process is: a line for each kind, then
 * the largest files, stacks and mappings.
 */
#include "coreanalyze/reports/print_map.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/style.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of what the bytes are. */
static const char *map_of(const struct mt_map_report *r)
{
    return r->map->measured   ? "RSS"
           : r->map->of_trace ? "known to the trace"
                              : "in the core";
}

static const char *map_column(const struct mt_map_report *r)
{
    return r->map->measured ? "RSS" : r->map->of_trace ? "Mapped" : "In core";
}

static unsigned map_percent(uint64_t part, uint64_t all)
{
    return all ? (unsigned)(((unsigned __int128)part * 200 + all) / 2 / all)
               : 0;
}

static void map_put_change(const struct mt_map_report *r, uint64_t now,
                           uint64_t then)
{
    char text[MT_FIGURE_BYTES], change[MT_FIGURE_BYTES + 1] = "";

    if (!r->old)
        return;
    if (now != then)
        snprintf(
            change, sizeof change, "%c%s", now > then ? '+' : '-',
            mt_figure(r->report, now > then ? now - then : then - now, text));
    fprintf(r->report->out, " %9s", change);
}

static void map_put_sum(const struct mt_map_report *r, const char *name,
                        const struct mt_memory_sum *sum,
                        const struct mt_memory_sum *old)
{
    FILE *out = r->report->out;
    char text[MT_FIGURE_BYTES];

    fprintf(out, "%9s %4u%%", mt_figure(r->report, sum->resident, text),
            map_percent(sum->resident, r->map->all.resident));
    fprintf(out, " %9s", mt_figure(r->report, sum->size, text));
    fprintf(out, " %9s",
            sum->swapped ? mt_figure(r->report, sum->swapped, text) : "");
    map_put_change(r, sum->resident, old ? old->resident : 0);
    fprintf(out, "  %s\n", name);
}

static void map_put_sums(const struct mt_map_report *r)
{
    FILE *out = r->report->out;

    fprintf(out, "\n%9s %5s %9s %9s%s\n", map_column(r), "%", "Size", "Swapped",
            r->old ? "    Change" : "");
    for (unsigned kind = 0; kind < MT_N_MEMORY_KINDS; kind++)
        if (r->map->sums[kind].size || r->map->sums[kind].resident ||
            (r->old && r->old->sums[kind].resident))
            map_put_sum(r, mt_memory_kind_texts[kind], &r->map->sums[kind],
                        r->old ? &r->old->sums[kind] : NULL);
    map_put_sum(r, map_of(r), &r->map->all, r->old ? &r->old->all : NULL);
}

static const char *map_row_name(const struct mt_memory_row *row, char text[64])
{
    if (row->name)
        return row->name;
    snprintf(text, 64, "0x%" PRIx64, row->address);
    return text;
}

/* The side that shows a row, and its report. */
static enum mt_diff_side map_side(const struct mt_memory_pair *pair)
{
    return pair->row[MT_DIFF_NEW] ? MT_DIFF_NEW : MT_DIFF_OLD;
}

static const struct mt_report *map_names(const struct mt_map_report *r,
                                         const struct mt_memory_pair *pair)
{
    return map_side(pair) == MT_DIFF_NEW ? r->report : r->old_report;
}

static void map_put_row(const struct mt_map_report *r,
                        const struct mt_memory_pair *pair)
{
    const struct mt_memory_row *row = pair->row[map_side(pair)];
    const struct mt_memory_sum *sum = &pair->sum[MT_DIFF_NEW];
    const struct mt_report *report = r->report;
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES], name[64], thread[24] = "";
    int indent;

    indent = fprintf(out, "%9s ", mt_figure(report, sum->resident, text));
    indent += fprintf(out, "%9s ", mt_figure(report, sum->size, text));
    indent += fprintf(out, "%6" PRIu64, pair->count[MT_DIFF_NEW]);
    map_put_change(r, sum->resident, pair->sum[MT_DIFF_OLD].resident);
    indent += r->old ? 10 : 0;
    indent += fprintf(out, "  %-9s  ", mt_memory_kind_names[row->kind]);
    if (row->stack) {
        struct mt_show_row shown = {.stack = row->stack, .depth = UINT32_MAX};
        mt_print_row_stack(map_names(r, pair), &shown, indent, MT_ROW_CALLERS);
        return;
    }
    if (row->tid)
        snprintf(thread, sizeof thread, ", thread %u", row->tid);
    mt_put_in_line(report, map_row_name(row, name),
                   indent + (int)strlen(thread));
    fprintf(out, "%s\n", thread);
}

static void map_put_rows(const struct mt_map_report *r)
{
    const struct mt_memory_diff *diff = r->diff;
    FILE *out = r->report->out;
    size_t n = diff->n;
    uint64_t rest = 0, change = 0;
    char text[MT_FIGURE_BYTES];

    if (r->top && n > r->top)
        n = (size_t)r->top;
    fprintf(out, "\n%9s %9s %6s%s  %-9s  %s\n", map_column(r), "Size", "Parts",
            r->old ? "    Change" : "", "Kind", "Origin");
    for (size_t i = 0; i < diff->n; i++) {
        int64_t more = mt_memory_change(&diff->pairs[i]);
        if (i < n) {
            map_put_row(r, &diff->pairs[i]);
            continue;
        }
        rest += diff->pairs[i].sum[MT_DIFF_NEW].resident;
        change += more < 0 ? -(uint64_t)more : (uint64_t)more;
    }
    if (n < diff->n) {
        fputs("\n  ", out);
        mt_put_count(out, "%s more origin{|s} with ", diff->n - n);
        fputs(mt_figure_bytes(r->report, rest, text), out);
        if (r->old)
            fprintf(out, ", which changed by %s",
                    mt_figure_bytes(r->report, change, text));
        fputs(" (--top 0 shows all)\n", out);
    }
}

static void map_put_note(const struct mt_map_report *r, const char *text,
                         uint64_t n)
{
    if (n == 0)
        return;
    fputs("  note: ", r->report->out);
    mt_report_put_count(r->report, text, n);
    putc('\n', r->report->out);
}

static void map_put_notes(const struct mt_map_report *r)
{
    const struct mt_source *source = r->source;
    const struct mt_memory_map *map = r->map;
    FILE *out = r->report->out;

    if (r->no_model) {
        fputs("  note: ", out);
        if (strncmp(r->no_model, "no trace", strlen("no trace")) != 0)
            fputs("no traced heap: ", out);
        mt_put_text(out, r->no_model);
        putc('\n', out);
    } else {
        mt_print_notes(r->report, "  note: ");
    }
    if (map->of_trace)
        fputs("  note: of what was mapped, not of what was resident: files, "
              "stacks and .data are not in a trace\n",
              out);
    else if (source->process.kind == MT_SOURCE_CORE)
        fputs("  note: a core does not have all pages, and some that were "
              "never used: these are not the kernel's figures\n",
              out);
    map_put_note(r,
                 "%b of huge pages (hugetlbfs), which the kernel "
                 "does not count as RSS",
                 map->huge_bytes);
    map_put_note(r,
                 "%b of the page table {is|are} not in the kernel's "
                 "RSS and in no row",
                 map->uncounted);
    map_put_note(r,
                 "%b of RSS {was|were} not found in the page table: "
                 "the process runs, or the kernel shows no pages",
                 map->unlisted);
    map_put_note(r,
                 "%s thread{|s} whose stack is not known: {its|their} memory "
                 "may be in 'unknown'",
                 map->unknown_stacks);
}

/* What is known of the rest. */
static void map_put_last_rss(const struct mt_map_report *r)
{
    const struct mt_model *model = r->report->model;
    const struct mt_memory_map *map = r->map;
    char text[MT_FIGURE_BYTES];

    if (!map->of_trace)
        return;
    if (!map->last_rss) {
        fputs("  RSS: not known\n", r->report->out);
        return;
    }
    fprintf(r->report->out,
            "  RSS: %s when it was last looked at, %.1f s after the start",
            mt_figure_bytes(r->report, map->last_rss, text),
            (double)map->last_rss_ns / 1e9);
    fprintf(r->report->out, "; the trace ends at %.1f s\n",
            (double)model->now_ns / 1e9);
}

void mt_print_map(const struct mt_map_report *r)
{
    const struct mt_process *process = &r->source->process;
    uint64_t peak = process->peak_rss_bytes;
    FILE *out = r->report->out;
    char text[MT_FIGURE_BYTES];

    if (peak && peak < r->map->all.resident)
        peak = r->map->all.resident; /* pages that were not counted yet */
    fprintf(out, "Process %u", process->pid);
    if (process->name[0] || process->exe) {
        putc(' ', out);
        mt_put_text(out, process->name[0] ? process->name
                                          : mt_base_name(process->exe));
    }
    fprintf(out, ": %s %s",
            mt_figure_bytes(r->report, r->map->all.resident, text), map_of(r));
    if (peak)
        fprintf(out, ", at most %s", mt_figure_bytes(r->report, peak, text));
    putc('\n', out);
    map_put_last_rss(r);
    map_put_sums(r);
    map_put_rows(r);
    map_put_notes(r);
}

/* Where threads have not been stopped, their stacks are not known: stacks and
 * unknown memory make one figure in every case. */
void mt_print_map_sums(const struct mt_report *report,
                       const struct mt_memory_map *map)
{
    static const char *const texts[MT_N_MEMORY_KINDS] = {
        "asked for",
        "heap free and rounding",
        "trace",
        "anonymous by stack",
        "break",
        NULL,
        "data",
        "files",
        "shared",
        "devices",
        "stacks and unknown",
    };
    unsigned width = report->style->width;
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES], piece[64];
    int column = fprintf(out, "  %s %s =", map->measured ? "RSS" : "core",
                         mt_figure(report, map->all.resident, text));
    const char *plus = "";

    for (unsigned kind = 0; kind < MT_N_MEMORY_KINDS; kind++) {
        uint64_t bytes = map->sums[kind].resident;
        int length;
        if (kind == MT_MEMORY_UNKNOWN)
            bytes += map->sums[MT_MEMORY_STACKS].resident;
        if (bytes == 0 || !texts[kind])
            continue;
        length = snprintf(piece, sizeof piece, " %s%s %s", plus,
                          mt_figure(report, bytes, text), texts[kind]);
        if (width && column + length > (int)width)
            column = fprintf(out, "\n   ") - 1;
        fputs(piece, out);
        column += length;
        plus = "+ ";
    }
    putc('\n', out);
}

/* --- JSON --- */

static void map_json_sum(struct mt_json *json, const struct mt_map_report *r,
                         const struct mt_memory_sum *sum,
                         const struct mt_memory_sum *old)
{
    mt_json_u64(json, "bytes", sum->resident);
    if (r->old)
        mt_json_i64(json, "change",
                    (int64_t)(sum->resident - (old ? old->resident : 0)));
    mt_json_u64(json, "size", sum->size);
    mt_json_u64(json, "swapped", sum->swapped);
}

static void map_json_row(struct mt_json *json, const struct mt_map_report *r,
                         const struct mt_memory_pair *pair)
{
    const struct mt_memory_row *row = pair->row[map_side(pair)];

    mt_json_open(json, NULL, '{');
    mt_json_string(json, "kind", mt_memory_kind_names[row->kind]);
    mt_json_string(json, "name", row->name);
    mt_json_address(json, "address", row->address);
    map_json_sum(json, r, &pair->sum[MT_DIFF_NEW], &pair->sum[MT_DIFF_OLD]);
    mt_json_u64(json, "count", pair->count[MT_DIFF_NEW]);
    if (row->tid)
        mt_json_u64(json, "tid", row->tid);
    if (row->stack) {
        struct mt_show_row shown = {.stack = row->stack, .depth = UINT32_MAX};
        mt_json_put_frames(json, map_names(r, pair), &shown, NULL);
    }
    mt_json_close(json, '}');
}

static void map_json_target(struct mt_json *json, const struct mt_map_report *r)
{
    const struct mt_process *process = &r->source->process;

    if (r->report->model) {
        mt_json_put_target(json, r->report->model);
        return;
    }
    mt_json_open(json, "target", '{');
    mt_json_string(json, "kind",
                   process->kind == MT_SOURCE_LIVE ? "live" : "core");
    mt_json_u64(json, "pid", process->pid);
    mt_json_string(json, "name", process->name);
    mt_json_string(json, "exe", process->exe);
    mt_json_string(json, "command", process->command);
    mt_json_string(json, "path", process->path);
    mt_json_close(json, '}');
}

void mt_print_map_json(const struct mt_map_report *r)
{
    const struct mt_memory_map *map = r->map;
    struct mt_json json = {.out = r->report->out};

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    map_json_target(&json, r);
    mt_json_bool(&json, "traced", r->report->model != NULL);
    mt_json_bool(&json, "measured", map->measured);
    if (map->of_trace) {
        mt_json_bool(&json, "of_trace", true);
        mt_json_u64(&json, "last_rss_bytes", map->last_rss);
        mt_json_seconds(&json, "last_rss_s", (double)map->last_rss_ns / 1e9);
    }
    map_json_sum(&json, r, &map->all, r->old ? &r->old->all : NULL);
    mt_json_u64(&json, "asked_bytes", map->asked_bytes);
    mt_json_u64(&json, "huge_bytes", map->huge_bytes);
    mt_json_u64(&json, "uncounted_bytes", map->uncounted);
    mt_json_u64(&json, "unlisted_bytes", map->unlisted);
    mt_json_u64(&json, "unknown_stacks", map->unknown_stacks);
    mt_json_open(&json, "kinds", '[');
    for (unsigned kind = 0; kind < MT_N_MEMORY_KINDS; kind++) {
        mt_json_open(&json, NULL, '{');
        mt_json_string(&json, "kind", mt_memory_kind_names[kind]);
        map_json_sum(&json, r, &map->sums[kind],
                     r->old ? &r->old->sums[kind] : NULL);
        mt_json_close(&json, '}');
    }
    mt_json_close(&json, ']');
    mt_json_open(&json, "rows", '[');
    for (size_t i = 0; i < r->diff->n; i++)
        map_json_row(&json, r, &r->diff->pairs[i]);
    mt_json_close(&json, ']');
    if (r->report->model)
        mt_json_put_coverage(&json, r->report);
    mt_json_close(&json, '}');
    putc('\n', r->report->out);
}

/* --- folded --- */

/* The text of a row: its kind, then its stack or its name. */
static bool map_fold_row(const struct mt_map_report *r,
                         const struct mt_memory_pair *pair)
{
    const struct mt_memory_row *row = pair->row[map_side(pair)];
    struct mt_show_row shown = {.stack = row->stack, .depth = UINT32_MAX};
    FILE *out = r->report->out;
    char name[64], *stack;

    fprintf(out, "%s;", mt_memory_kind_names[row->kind]);
    if (row->stack) {
        stack = mt_folded_text(map_names(r, pair), &shown);
        if (!stack)
            return false;
        fputs(stack, out);
        free(stack);
    } else {
        mt_put_text(out, map_row_name(row, name));
        if (row->tid)
            fprintf(out, ":%u", row->tid);
    }
    if (r->old)
        fprintf(out, " %" PRIu64, pair->sum[MT_DIFF_OLD].resident);
    fprintf(out, " %" PRIu64 "\n", pair->sum[MT_DIFF_NEW].resident);
    return true;
}

bool mt_print_map_folded(const struct mt_map_report *r, struct mt_error *error)
{
    for (size_t i = 0; i < r->diff->n; i++) {
        const struct mt_memory_sum *sum = r->diff->pairs[i].sum;
        if ((sum[MT_DIFF_OLD].resident || sum[MT_DIFF_NEW].resident) &&
            !map_fold_row(r, &r->diff->pairs[i]))
            return mt_no_memory(error, "the report");
    }
    return true;
}
