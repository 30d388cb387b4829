/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_diff.c - what grew, as a table, as JSON and as folded stacks.
 */
#include "coreanalyze/reports/print_diff.h"
#include "coreanalyze/reports/frame_texts.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/style.h"
#include "coreanalyze/reports/summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const side_names[] = {"old", "new"};

/* The side whose frames and sample are shown: the new one, if it can be. */
static enum mt_diff_side side_of(const struct mt_diff_row *row)
{
    return row->row[MT_DIFF_NEW] ? MT_DIFF_NEW : MT_DIFF_OLD;
}

static bool one_target(const struct mt_diff_report *report)
{
    return report->side[0].model == report->side[1].model;
}

/* Bytes from before tracing, of the heaps that are looked at. */
static struct mt_show_sum diff_print_untraced(const struct mt_report *report)
{
    struct mt_show_sum sum = {0, 0};

    for (uint32_t i = 0; i < report->model->n_heaps; i++) {
        if (!mt_show_wants(report->model, report->show, i))
            continue;
        sum.bytes += report->show->untraced[i].bytes;
        sum.count += report->show->untraced[i].count;
    }
    return sum;
}

/* --- the table --- */

static void diff_print_put_row(const struct mt_diff_report *report,
                               const struct mt_diff_row *row)
{
    const struct mt_report *side = &report->side[side_of(row)];
    const struct mt_show_row *shown = row->row[side_of(row)];
    const struct mt_heap *heap = &side->model->heaps[shown->heap];
    char sample[24] = "-";
    int indent;

    if (row->row[MT_DIFF_NEW])
        snprintf(sample, sizeof sample, "0x%" PRIx64, shown->sample);
    indent = fprintf(
        report->out,
        "%+13" PRId64 " %+8" PRId64 " %13" PRIu64 " %8" PRIu64 " %14s ",
        mt_diff_bytes(row), mt_diff_count(row), row->sum[MT_DIFF_NEW].bytes,
        row->sum[MT_DIFF_NEW].count, sample);
    if (!heap->main) {
        fputs("(heap ", report->out);
        mt_put_text(report->out, heap->name);
        fprintf(report->out, ")\n%*s", indent, "");
    }
    mt_print_row_frames(side, shown, indent);
}

static void diff_print_put_sums(const struct mt_diff_report *report)
{
    const struct mt_diff *diff = report->diff;

    for (unsigned i = 0; i < 2; i++) {
        struct mt_show_sum lost = diff_print_untraced(&report->side[i]);
        fprintf(report->out, "  %s: ", side_names[i]);
        mt_put_count(report->out, "%s byte{|s} in ", diff->sum[i].bytes);
        mt_put_count(report->out, "%s block{|s}", diff->sum[i].count);
        if (lost.count && !one_target(report)) {
            mt_put_count(report->out, ", untraced: %s byte{|s} in ",
                         lost.bytes);
            mt_put_count(report->out, "%s block{|s}", lost.count);
        }
        putc('\n', report->out);
    }
    fprintf(report->out,
            "  change: %+" PRId64 " bytes in %+" PRId64 " blocks\n",
            (int64_t)(diff->sum[1].bytes - diff->sum[0].bytes),
            (int64_t)(diff->sum[1].count - diff->sum[0].count));
}

struct note_context {
    FILE *out;
    struct mt_json *json;
};

static void put_rebuilt(void *context, const char *path)
{
    const struct note_context *c = context;

    if (c->json) {
        mt_json_string(c->json, NULL, path);
        return;
    }
    fputs("  note: ", c->out);
    mt_put_text(c->out, path);
    fputs(" differs between OLD and NEW; stacks in it cannot be compared "
          "(see --by-name)\n",
          c->out);
}

void mt_print_diff_notes(const struct mt_diff_report *report)
{
    struct note_context context = {report->out, NULL};

    if (one_target(report)) {
        fputs("  note: blocks freed since then are not seen: old is what is "
              "left of the blocks from that time\n",
              report->out);
        mt_print_notes(&report->side[MT_DIFF_NEW], "  note: ");
        return;
    }
    mt_print_notes(&report->side[MT_DIFF_OLD], "  note: old: ");
    mt_print_notes(&report->side[MT_DIFF_NEW], "  note: new: ");
    if (!report->by_name)
        mt_diff_rebuilt(report->diff->model, put_rebuilt, &context);
}

/* --- for a person --- */

/* "+2.2M"; `text` holds the sign too. */
static const char *diff_print_change(const struct mt_report *report,
                                     int64_t bytes,
                                     char text[MT_FIGURE_BYTES + 1])
{
    uint64_t size = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;

    *text = bytes < 0 ? '-' : '+';
    mt_figure(report, size, text + 1);
    return text;
}

static void diff_print_put_side(const struct mt_diff_report *report, unsigned i)
{
    const struct mt_diff *diff = report->diff;
    const struct mt_report *side = &report->side[i];
    const struct mt_process *process = &side->model->source->process;
    struct mt_show_sum lost = diff_print_untraced(side);
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES];

    fprintf(out, "  %s: %s", side_names[i],
            mt_figure_bytes(side, diff->sum[i].bytes, text));
    mt_put_count(out, " in %s block{|s}", diff->sum[i].count);
    if (one_target(report)) {
        fputs(", from before ", out);
        mt_put_text(out, i ? report->to : report->from);
    } else if (process->path) {
        fputs(", core ", out);
        mt_put_text(out, process->path);
    } else {
        fprintf(out, ", process %u", process->pid);
    }
    if (lost.count && !one_target(report))
        fprintf(out, "; not traced: %s",
                mt_figure_bytes(side, lost.bytes, text));
    putc('\n', out);
}

/* Callers that tell the rows of the new side apart; NULL when out of memory. */
static unsigned *diff_print_callers(const struct mt_diff_report *report)
{
    const struct mt_diff *diff = report->diff;
    struct mt_show_row *rows = calloc(diff->n_rows + 1, sizeof *rows);
    unsigned *callers = NULL, *spread;
    size_t n = 0;

    for (size_t i = 0; rows && i < diff->n_rows; i++)
        if (diff->rows[i].row[MT_DIFF_NEW])
            rows[n++] = *diff->rows[i].row[MT_DIFF_NEW];
    spread = calloc(diff->n_rows + 1, sizeof *spread);
    if (rows && spread)
        callers = mt_row_callers(&report->side[MT_DIFF_NEW], rows, n);
    n = 0;
    for (size_t i = 0; callers && i < diff->n_rows; i++)
        spread[i] =
            diff->rows[i].row[MT_DIFF_NEW] ? callers[n++] : MT_ROW_CALLERS;
    free(rows);
    if (!callers) {
        free(spread);
        return NULL;
    }
    free(callers);
    return spread;
}

static void diff_print_put_brief_row(const struct mt_diff_report *report,
                                     const struct mt_diff_row *row,
                                     unsigned callers)
{
    const struct mt_report *side = &report->side[side_of(row)];
    const struct mt_show_row *shown = row->row[side_of(row)];
    const struct mt_heap *heap = &side->model->heaps[shown->heap];
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES + 1], sample[24] = "-";
    int indent;

    if (row->row[MT_DIFF_NEW])
        snprintf(sample, sizeof sample, "0x%" PRIx64, shown->sample);
    indent =
        fprintf(out, "%9s ", diff_print_change(side, mt_diff_bytes(row), text));
    indent += fprintf(out, "%+8" PRId64 " ", mt_diff_count(row));
    indent +=
        fprintf(out, "%8s %14s  ",
                mt_figure(side, row->sum[MT_DIFF_NEW].bytes, text), sample);
    indent = mt_row_indent(side, indent);
    if (!heap->main) {
        fputs("(heap ", out);
        mt_put_text(out, heap->name);
        fprintf(out, ")\n%*s", indent, "");
    }
    mt_print_row_stack(side, shown, indent, callers);
}

static void diff_print_put_brief_head(const struct mt_diff_report *report)
{
    const struct mt_diff *diff = report->diff;
    const struct mt_report *fresh = &report->side[MT_DIFF_NEW];
    int64_t bytes = (int64_t)(diff->sum[1].bytes - diff->sum[0].bytes);
    FILE *out = report->out;
    char text[MT_FIGURE_BYTES + 1];

    mt_summary_process(fresh);
    if (diff->n_all_rows > 0) {
        fprintf(out, ": %s in ", diff_print_change(fresh, bytes, text));
        fprintf(out, "%+" PRId64 " blocks; ",
                (int64_t)(diff->sum[1].count - diff->sum[0].count));
        mt_put_count(out, "%s stack{|s} changed\n", diff->n_all_rows);
    } else {
        fputs(": nothing changed\n", out);
    }
    for (unsigned i = 0; i < 2; i++)
        diff_print_put_side(report, i);
}

static void diff_print_put_brief(const struct mt_diff_report *report)
{
    const struct mt_diff *diff = report->diff;
    unsigned *callers = diff_print_callers(report);
    FILE *out = report->out;

    if (diff->n_rows > 0)
        fprintf(out, "\n%9s %8s %8s %14s  Traceback\n", "+Bytes", "+Count",
                "Bytes", "Sample");
    for (size_t i = 0; i < diff->n_rows; i++)
        diff_print_put_brief_row(report, &diff->rows[i],
                                 callers ? callers[i] : MT_ROW_CALLERS);
    free(callers);
    putc('\n', out);
    if (diff->n_rows < diff->n_all_rows)
        mt_put_count(out,
                     "  %s more stack{|s} changed (--top 0 shows all; --full "
                     "every frame)\n",
                     diff->n_all_rows - diff->n_rows);
    else if (diff->n_rows > 0)
        fputs("  --full shows every frame and the exact figures\n", out);
}

/* --- the whole form --- */

static void diff_print_put_full_head(const struct mt_diff_report *report)
{
    FILE *out = report->out;

    if (one_target(report)) {
        mt_print_target(&report->side[MT_DIFF_NEW]);
        fputs("  old: blocks from before ", out);
        mt_put_text(out, report->from);
        fputs("\n  new: blocks from before ", out);
        mt_put_text(out, report->to);
        putc('\n', out);
    } else {
        fputs("old: ", out);
        mt_print_target(&report->side[MT_DIFF_OLD]);
        fputs("new: ", out);
        mt_print_target(&report->side[MT_DIFF_NEW]);
    }
    diff_print_put_sums(report);
}

static void diff_print_put_full(const struct mt_diff_report *report)
{
    const struct mt_diff *diff = report->diff;
    FILE *out = report->out;

    if (diff->n_rows > 0)
        fprintf(out, "\n%13s %8s %13s %8s %14s Traceback\n", "+Bytes", "+Count",
                "Bytes", "Count", "Sample  ");
    for (size_t i = 0; i < diff->n_rows; i++)
        diff_print_put_row(report, &diff->rows[i]);
    putc('\n', out);
    if (diff->n_rows < diff->n_all_rows)
        mt_put_count(out, "  %s more stack{|s} changed\n",
                     diff->n_all_rows - diff->n_rows);
}

void mt_print_diff_summary(const struct mt_diff_report *report)
{
    if (mt_report_is_full(&report->side[MT_DIFF_NEW]))
        diff_print_put_full_head(report);
    else
        diff_print_put_brief_head(report);
}

void mt_print_diff(const struct mt_diff_report *report)
{
    mt_print_diff_summary(report);
    if (mt_report_is_full(&report->side[MT_DIFF_NEW]))
        diff_print_put_full(report);
    else
        diff_print_put_brief(report);
    mt_print_diff_notes(report);
}

/* --- JSON --- */

static void put_json_sums(struct mt_json *json, const struct mt_show_sum sum[2])
{
    mt_json_i64(json, "bytes", (int64_t)(sum[1].bytes - sum[0].bytes));
    mt_json_i64(json, "count", (int64_t)(sum[1].count - sum[0].count));
    mt_json_u64(json, "old_bytes", sum[0].bytes);
    mt_json_u64(json, "old_count", sum[0].count);
    mt_json_u64(json, "new_bytes", sum[1].bytes);
    mt_json_u64(json, "new_count", sum[1].count);
}

static void put_json_row(struct mt_json *json,
                         const struct mt_diff_report *report,
                         const struct mt_diff_row *row,
                         struct mt_frame_texts *texts)
{
    const struct mt_report *side = &report->side[side_of(row)];
    const struct mt_show_row *shown = row->row[side_of(row)];
    char key[36];

    snprintf(key, sizeof key, "%016" PRIx64 "%016" PRIx64, row->key.hash[0],
             row->key.hash[1]);
    mt_json_open(json, NULL, '{');
    mt_json_string(json, "key", key);
    mt_json_string(json, "heap", side->model->heaps[shown->heap].name);
    put_json_sums(json, row->sum);
    if (row->row[MT_DIFF_NEW])
        mt_json_address(json, "sample", shown->sample);
    else
        mt_json_null(json, "sample");
    mt_json_bool(json, "overflow", shown->stack == MT_ID_OVERFLOW);
    mt_json_put_frames(json, side, shown, texts);
    mt_json_close(json, '}');
}

static void put_json_side(struct mt_json *json,
                          const struct mt_diff_report *report, unsigned i)
{
    const struct mt_report *side = &report->side[i];
    struct mt_show_sum lost = diff_print_untraced(side);

    mt_json_open(json, side_names[i], '{');
    mt_json_put_target(json, side->model);
    if (report->from)
        mt_json_string(json, "before", i ? report->to : report->from);
    mt_json_put_sum(json, "untraced", &lost);
    mt_json_put_coverage(json, side);
    mt_json_close(json, '}');
}

void mt_print_diff_json(const struct mt_diff_report *report)
{
    const struct mt_diff *diff = report->diff;
    struct mt_json json = {.out = report->out};
    struct note_context context = {report->out, &json};
    struct mt_frame_texts *texts = mt_frame_texts_new();

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    for (unsigned i = 0; i < 2; i++)
        put_json_side(&json, report, i);
    mt_json_open(&json, "change", '{');
    put_json_sums(&json, diff->sum);
    mt_json_close(&json, '}');
    mt_json_open(&json, "stacks", '[');
    for (size_t i = 0; i < diff->n_rows; i++)
        put_json_row(&json, report, &diff->rows[i], texts);
    mt_json_close(&json, ']');
    mt_frame_texts_free(texts);
    mt_json_open(&json, "rebuilt", '[');
    if (!one_target(report))
        mt_diff_rebuilt(diff->model, put_rebuilt, &context);
    mt_json_close(&json, ']');
    mt_json_close(&json, '}');
}

static void diff_put_row2(struct mt_json *json,
                          const struct mt_diff_report *report,
                          const struct mt_diff_row *row)
{
    mt_json_open(json, NULL, '{');
    put_json_sums(json, row->sum);
    for (unsigned i = 0; i < 2; i++)
        if (row->row[i])
            mt_json_u64(json, side_names[i],
                        (uint64_t)(row->row[i] - report->side[i].show->rows));
    mt_json_close(json, '}');
}

void mt_print_diff_json2(const struct mt_diff_report *report,
                         const struct mt_profile *const profiles[2],
                         void (*more)(void *context, struct mt_json *json),
                         void *context)
{
    const struct mt_diff *diff = report->diff;
    struct mt_json json = {.out = report->out, .exact = true};
    struct note_context notes = {report->out, &json};

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 2);
    mt_json_string(&json, "report", "diff");
    for (unsigned i = 0; i < 2; i++) {
        mt_json_open(&json, side_names[i], '{');
        if (report->from)
            mt_json_string(&json, "before", i ? report->to : report->from);
        mt_json_put_profile(&json, &report->side[i], profiles[i]);
        mt_json_close(&json, '}');
    }
    mt_json_open(&json, "change", '{');
    put_json_sums(&json, diff->sum);
    mt_json_close(&json, '}');
    mt_json_open(&json, "stacks", '[');
    for (size_t i = 0; i < diff->n_rows; i++)
        diff_put_row2(&json, report, &diff->rows[i]);
    mt_json_close(&json, ']');
    mt_json_open(&json, "rebuilt", '[');
    if (!one_target(report))
        mt_diff_rebuilt(diff->model, put_rebuilt, &notes);
    mt_json_close(&json, ']');
    if (more)
        more(context, &json);
    mt_json_close(&json, '}');
}

/* --- folded --- */

struct line {
    char *text;
    uint64_t bytes[2];
};

static int diff_print_by_text(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    return strcmp(x->text, y->text);
}

bool mt_print_diff_folded(const struct mt_diff_report *report,
                          struct mt_error *error)
{
    const struct mt_diff *diff = report->diff;
    struct line *lines = calloc(diff->n_rows + 1, sizeof *lines);
    size_t n = 0;
    bool ok = lines != NULL;

    for (; ok && n < diff->n_rows; n++) {
        const struct mt_diff_row *row = &diff->rows[n];
        lines[n].bytes[0] = row->sum[0].bytes;
        lines[n].bytes[1] = row->sum[1].bytes;
        lines[n].text =
            mt_folded_text(&report->side[side_of(row)], row->row[side_of(row)]);
        ok = lines[n].text != NULL;
    }
    if (ok)
        qsort(lines, n, sizeof *lines, diff_print_by_text);
    for (size_t i = 0; ok && i < n; i++) {
        if (i + 1 < n && strcmp(lines[i].text, lines[i + 1].text) == 0) {
            lines[i + 1].bytes[0] += lines[i].bytes[0];
            lines[i + 1].bytes[1] += lines[i].bytes[1];
        } else {
            fprintf(report->out, "%s %" PRIu64 " %" PRIu64 "\n", lines[i].text,
                    lines[i].bytes[0], lines[i].bytes[1]);
        }
    }
    for (size_t i = 0; lines && i < n; i++)
        free(lines[i].text);
    free(lines);
    return ok || mt_no_memory(error, "the report");
}
