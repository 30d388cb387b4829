/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_folded.c - "main;parse;malloc_wrapper 4096": what flame-graph tools
 * read.  Stacks that come out as the same text are one line.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/names/frame_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char *text;
    uint64_t bytes;
};

struct names {
    char **items; /* innermost first */
    size_t n, capacity;
    bool out_of_memory;
};

/* The name of a frame; ';' and spaces at the ends mean something. */
static char *frame_name(const struct mt_frame *frame)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    if (frame->function)
        mt_put_text(out, frame->function);
    else
        mt_put_frame(out, frame);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    for (char *p = text; *p; p++)
        if (*p == ';')
            *p = ':';
    return text;
}

static void folded_add_name(void *context, const struct mt_frame *frame)
{
    struct names *names = context;

    if (!mt_grow(&names->items, &names->capacity, names->n + 1,
                 sizeof *names->items) ||
        (names->items[names->n] = frame_name(frame)) == NULL)
        names->out_of_memory = true;
    else
        names->n++;
}

char *mt_folded_text(const struct mt_report *report,
                     const struct mt_show_row *row)
{
    struct names names = {0};
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    mt_report_frames(report, row, folded_add_name, &names);
    if (names.n == 0)
        fputs(row->stack == MT_ID_OVERFLOW    ? "[stack table full]"
              : row->stack == MT_ID_UNTRACED  ? "[untraced]"
              : row->stack == MT_ID_UNSAMPLED ? "[not sampled]"
                                              : "[unknown]",
              out);
    for (size_t i = names.n; i-- > 0;) {
        fprintf(out, "%s%s", names.items[i], i ? ";" : "");
        free(names.items[i]);
    }
    free(names.items);
    if (fclose(out) == 0 && !names.out_of_memory)
        return text;
    free(text);
    return NULL;
}

static int folded_by_text(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    return strcmp(x->text, y->text);
}

bool mt_print_folded(const struct mt_report *report, struct mt_error *error)
{
    const struct mt_show *show = report->show;
    struct line *lines = calloc(show->n_rows + 1, sizeof *lines);
    uint64_t untraced = 0;
    bool ok = lines != NULL;

    for (size_t i = 0; ok && i < show->n_rows; i++) {
        lines[i].bytes = show->rows[i].bytes;
        ok = (lines[i].text = mt_folded_text(report, &show->rows[i])) != NULL;
    }
    if (ok)
        qsort(lines, show->n_rows, sizeof *lines, folded_by_text);
    for (size_t i = 0; ok && i < show->n_rows; i++) {
        if (i + 1 < show->n_rows &&
            strcmp(lines[i].text, lines[i + 1].text) == 0)
            lines[i + 1].bytes += lines[i].bytes;
        else
            fprintf(report->out, "%s %" PRIu64 "\n", lines[i].text,
                    lines[i].bytes);
    }
    for (uint32_t i = 0; i < report->model->n_heaps; i++)
        if (mt_show_wants(report->model, show, i) &&
            show->options->classify == NULL)
            untraced += show->untraced[i].bytes;
    if (ok && untraced > 0)
        fprintf(report->out, "[untraced] %" PRIu64 "\n", untraced);
    for (size_t i = 0; lines && i < show->n_rows; i++)
        free(lines[i].text);
    free(lines);
    return ok || mt_no_memory(error, "the report");
}
