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
    return r->map->measured ? "RSS" : "in the core";
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

    fprintf(out, "\n%9s %5s %9s %9s%s\n", r->map->measured ? "RSS" : "In core",
            "%", "Size", "Swapped", r->old ? "    Change" : "");
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

/* The row of an older map with the same origin, or NULL. */
static const struct mt_memory_row *map_row_in(const struct mt_memory_map *map,
                                              const struct mt_memory_row *row)
{
    for (size_t i = 0; map && i < map->n_rows; i++) {
        const struct mt_memory_row *other = &map->rows[i];
        if (other->kind == row->kind && other->tid == row->tid &&
            !other->name == !row->name && other->stack == 0 &&
            row->stack == 0 &&
            (row->name ? strcmp(other->name, row->name) == 0
                       : other->address == row->address))
            return other;
    }
    return NULL;
}

static void map_put_row(const struct mt_map_report *r,
                        const struct mt_memory_row *row)
{
    const struct mt_report *report = r->report;
    const struct mt_memory_row *old = map_row_in(r->old, row);
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES], name[64];
    int indent;

    indent = fprintf(out, "%9s ", mt_figure(report, row->sum.resident, text));
    indent += fprintf(out, "%9s ", mt_figure(report, row->sum.size, text));
    indent += fprintf(out, "%6" PRIu64, row->count);
    map_put_change(r, row->sum.resident, old ? old->sum.resident : 0);
    indent += r->old ? 10 : 0;
    indent += fprintf(out, "  %-9s  ", mt_memory_kind_names[row->kind]);
    if (row->stack) {
        struct mt_show_row shown = {.stack = row->stack, .depth = UINT32_MAX};
        mt_print_row_stack(report, &shown, indent, MT_ROW_CALLERS);
        return;
    }
    mt_put_text(out, map_row_name(row, name));
    if (row->tid)
        fprintf(out, ", thread %u", row->tid);
    putc('\n', out);
}

static int map_row_order(const void *a, const void *b)
{
    const struct mt_memory_row *x = *(const struct mt_memory_row *const *)a;
    const struct mt_memory_row *y = *(const struct mt_memory_row *const *)b;

    if (x->sum.resident != y->sum.resident)
        return x->sum.resident > y->sum.resident ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void map_put_rows(const struct mt_map_report *r)
{
    const struct mt_memory_map *map = r->map;
    const struct mt_memory_row **rows = calloc(map->n_rows + 1, sizeof *rows);
    FILE *out = r->report->out;
    size_t n = map->n_rows;
    struct mt_memory_sum rest = {0};
    char text[MT_FIGURE_BYTES];

    for (size_t i = 0; rows && i < n; i++)
        rows[i] = &map->rows[i];
    if (rows)
        qsort(rows, n, sizeof *rows, map_row_order);
    if (r->top && n > r->top)
        n = (size_t)r->top;
    fprintf(out, "\n%9s %9s %6s%s  %-9s  %s\n",
            map->measured ? "RSS" : "In core", "Size", "Parts",
            r->old ? "    Change" : "", "Kind", "Origin");
    for (size_t i = 0; i < map->n_rows; i++) {
        const struct mt_memory_row *row = rows ? rows[i] : &map->rows[i];
        if (i < n)
            map_put_row(r, row);
        else
            rest.resident += row->sum.resident;
    }
    if (n < map->n_rows) {
        fputs("\n  ", out);
        mt_put_count(out, "%s more origin{|s} with ", map->n_rows - n);
        fprintf(out, "%s (--top 0 shows all)\n",
                mt_figure(r->report, rest.resident, text));
    }
    free(rows);
}

static void map_put_note(const struct mt_map_report *r, const char *text,
                         uint64_t n)
{
    if (n == 0)
        return;
    fputs("  note: ", r->report->out);
    mt_put_count(r->report->out, text, n);
    putc('\n', r->report->out);
}

static void map_put_notes(const struct mt_map_report *r)
{
    const struct mt_source *source = r->source;
    const struct mt_memory_map *map = r->map;
    FILE *out = r->report->out;

    if (r->no_model) {
        fputs("  note: no traced heap: ", out);
        mt_put_text(out, r->no_model);
        putc('\n', out);
    } else {
        mt_print_notes(r->report, "  note: ");
    }
    if (source->process.kind == MT_SOURCE_CORE)
        fputs("  note: a core does not have all pages, and some that were "
              "never used: these are not the kernel's figures\n",
              out);
    map_put_note(r,
                 "%s byte{|s} of huge pages (hugetlbfs), which the kernel "
                 "does not count as RSS",
                 map->huge_bytes);
    map_put_note(r,
                 "%s byte{|s} of the page table {is|are} not in the kernel's "
                 "RSS and in no row",
                 map->uncounted);
    map_put_note(r,
                 "%s byte{|s} of RSS {was|were} not found in the page table: "
                 "the process runs, or the kernel shows no pages",
                 map->unlisted);
    map_put_note(r,
                 "%s thread{|s} whose stack is not known: {its|their} memory "
                 "may be in 'unknown'",
                 map->unknown_stacks);
}

void mt_print_map(const struct mt_map_report *r)
{
    const struct mt_process *process = &r->source->process;
    FILE *out = r->report->out;
    char text[MT_FIGURE_BYTES];

    fprintf(out, "Process %u", process->pid);
    if (process->name[0] || process->exe) {
        putc(' ', out);
        mt_put_text(out, process->name[0] ? process->name
                                          : mt_base_name(process->exe));
    }
    fprintf(out, ": %s %s", mt_figure(r->report, r->map->all.resident, text),
            map_of(r));
    if (process->peak_rss_bytes)
        fprintf(out, ", at most %s",
                mt_figure(r->report, process->peak_rss_bytes, text));
    putc('\n', out);
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
                         const struct mt_memory_row *row)
{
    const struct mt_memory_row *old = map_row_in(r->old, row);

    mt_json_open(json, NULL, '{');
    mt_json_string(json, "kind", mt_memory_kind_names[row->kind]);
    mt_json_string(json, "name", row->name);
    mt_json_address(json, "address", row->address);
    map_json_sum(json, r, &row->sum, old ? &old->sum : NULL);
    mt_json_u64(json, "count", row->count);
    if (row->tid)
        mt_json_u64(json, "tid", row->tid);
    if (row->stack) {
        struct mt_show_row shown = {.stack = row->stack, .depth = UINT32_MAX};
        mt_json_put_frames(json, r->report, &shown);
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
    for (size_t i = 0; i < map->n_rows; i++)
        map_json_row(&json, r, &map->rows[i]);
    mt_json_close(&json, ']');
    if (r->report->model)
        mt_json_put_coverage(&json, r->report);
    mt_json_close(&json, '}');
    putc('\n', r->report->out);
}
