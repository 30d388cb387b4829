/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_folded.c - "main;parse;malloc_wrapper 4096": what flame-graph tools
 * read.  Stacks that come out as the same text are one line.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reports/folded_paths.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct names {
    char **items; /* innermost first */
    size_t n, capacity;
    bool out_of_memory;
};

static void folded_add_name(void *context, const struct mt_frame *frame)
{
    struct names *names = context;

    if (!mt_grow(&names->items, &names->capacity, names->n + 1,
                 sizeof *names->items) ||
        (names->items[names->n] = mt_folded_name(frame)) == NULL)
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
        fputs(mt_folded_nowhere(row->stack), out);
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

/* Writes and frees the paths, if there are some. */
static bool folded_finish(const struct mt_report *report,
                          struct mt_folded *folded, struct mt_error *error)
{
    const struct mt_show *show = report->show;
    uint64_t untraced = 0;
    bool ok = folded && mt_folded_put(folded, report->out);

    mt_folded_free(folded);
    for (uint32_t i = 0; i < report->model->n_heaps; i++)
        if (mt_show_wants(report->model, show, i) &&
            show->options->classify == NULL)
            untraced += show->untraced[i].bytes;
    if (ok && untraced > 0)
        fprintf(report->out, "[untraced] %" PRIu64 "\n", untraced);
    return ok || mt_no_memory(error, "the report");
}

static struct mt_folded *folded_add(struct mt_folded *folded,
                                    const struct mt_show_row *row)
{
    if (!folded || mt_folded_add(folded, row))
        return folded;
    mt_folded_free(folded);
    return NULL;
}

bool mt_print_folded(const struct mt_report *report, struct mt_error *error)
{
    struct mt_folded *folded = mt_folded_new(report);

    for (size_t i = 0; i < report->show->n_rows; i++)
        folded = folded_add(folded, &report->show->rows[i]);
    return folded_finish(report, folded, error);
}

bool mt_print_folded_last(const struct mt_report *report, struct mt_show *show,
                          struct mt_error *error)
{
    struct mt_folded *folded = mt_folded_new(report);
    struct mt_show_row row;

    while (mt_show_take_row(show, report->model, &row))
        folded = folded_add(folded, &row);
    return folded_finish(report, folded, error);
}
