/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_folded.c - "main;parse;grow 4096": one line a stack, with the bytes
 * of the old and of the new side in a comparison.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/export/export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct folded_line {
    char *text;
    uint64_t bytes[2]; /* old, now */
};

struct folded_lines {
    struct folded_line *items;
    size_t n, capacity;
    uint32_t *path;
};

/* `;` and ends of lines mean something. */
static void folded_put_name(FILE *out, const char *name)
{
    char *text = NULL;
    size_t bytes;
    FILE *clean = open_memstream(&text, &bytes);

    if (clean) {
        mt_put_text(clean, name);
        if (fclose(clean) == 0)
            for (char *p = text; *p; p++)
                putc(*p == ';' ? ':' : *p, out);
        else
            fputc('?', out);
    }
    free(text);
}

static char *folded_text(const struct mt_profile *p, uint32_t *path,
                         uint32_t node)
{
    size_t n = mt_export_path(p, node, path), bytes;
    char *text = NULL;
    FILE *out = open_memstream(&text, &bytes);

    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            putc(';', out);
        folded_put_name(out, mt_profile_function_of(p, path[i])->name);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static bool folded_add_side(struct folded_lines *lines,
                            const struct mt_profile *p, unsigned side)
{
    for (uint32_t node = 1; p && node < p->n_nodes; node++) {
        struct folded_line fresh = {0};
        fresh.bytes[side] = mt_profile_self(p, node)->of[MT_LIVE_BYTES];
        if (fresh.bytes[side] == 0)
            continue;
        fresh.text = folded_text(p, lines->path, node);
        if (!fresh.text || !mt_grow(&lines->items, &lines->capacity,
                                    lines->n + 1, sizeof *lines->items)) {
            free(fresh.text);
            return false;
        }
        lines->items[lines->n++] = fresh;
    }
    return true;
}

static int export_folded_by_text(const void *a, const void *b)
{
    return strcmp(((const struct folded_line *)a)->text,
                  ((const struct folded_line *)b)->text);
}

static void folded_put(const struct folded_lines *lines, bool compares,
                       FILE *out)
{
    uint64_t sum[2] = {0, 0};

    for (size_t i = 0; i < lines->n; i++) {
        const struct folded_line *line = &lines->items[i];
        sum[0] += line->bytes[0];
        sum[1] += line->bytes[1];
        if (i + 1 < lines->n && strcmp(line->text, line[1].text) == 0)
            continue;
        fputs(line->text, out);
        if (compares)
            fprintf(out, " %" PRIu64, sum[0]);
        fprintf(out, " %" PRIu64 "\n", sum[1]);
        sum[0] = sum[1] = 0;
    }
}

bool mt_export_folded(const struct mt_export *export, struct mt_error *error)
{
    struct folded_lines lines = {
        .path = malloc(MT_EXPORT_DEPTH * sizeof(uint32_t))};

    if (!export->now.profile) {
        struct mt_report report = *export->now.report;
        free(lines.path);
        report.out = export->out;
        return export->now.options->taken
                   ? mt_print_folded_last(&report, export->now.options->taken,
                                          error)
                   : mt_print_folded(&report, error);
    }
    bool ok = lines.path && folded_add_side(&lines, export->now.profile, 1) &&
              folded_add_side(&lines, export->old.profile, 0);

    if (ok && lines.n)
        qsort(lines.items, lines.n, sizeof *lines.items, export_folded_by_text);
    if (ok)
        folded_put(&lines, export->old.profile != NULL, export->out);
    for (size_t i = 0; i < lines.n; i++)
        free(lines.items[i].text);
    free(lines.items);
    free(lines.path);
    return ok || mt_no_memory(error, "the report");
}
