/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fold.c - breaks lines of text at spaces, so that they fit a terminal.
 */
#include "coreanalyze/base/fold.h"

#include <stdlib.h>
#include <string.h>

/* Columns that a continued line begins further in. */
#define FOLD_INDENT 2

/* Columns of n bytes: escape sequences and the tails of characters have none.
 */
static size_t fold_columns(const char *text, size_t n)
{
    size_t columns = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\033') {
            while (i + 1 < n && text[i] != 'm')
                i++;
            continue;
        }
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return columns;
}

static void fold_line(FILE *out, const char *line, size_t n, size_t width)
{
    size_t indent = 0, column, at;

    while (indent < n && line[indent] == ' ')
        indent++;
    if (fold_columns(line, n) <= width || indent + FOLD_INDENT >= width) {
        fwrite(line, 1, n, out);
        return;
    }
    fwrite(line, 1, indent, out);
    column = at = indent;
    while (at < n) {
        size_t spaces = 0, end;
        while (at + spaces < n && line[at + spaces] == ' ')
            spaces++;
        for (end = at + spaces; end < n && line[end] != ' ';)
            end++;
        size_t word = fold_columns(line + at, end - at);
        if (column + word > width && column > indent + FOLD_INDENT) {
            fprintf(out, "\n%*s", (int)(indent + FOLD_INDENT), "");
            column = indent + FOLD_INDENT;
            word -= spaces;
            at += spaces;
        }
        fwrite(line + at, 1, end - at, out);
        column += word;
        at = end;
    }
}

FILE *mt_fold_begin(struct mt_fold *fold, FILE *out, unsigned width)
{
    *fold = (struct mt_fold){.real = out, .width = width};
    if (width > 0)
        fold->kept = open_memstream(&fold->text, &fold->bytes);
    return fold->kept ? fold->kept : out;
}

FILE *mt_fold_end(struct mt_fold *fold, FILE *out)
{
    const char *line, *end, *stop;

    if (fold->kept == NULL)
        return out;
    out = fold->real;
    fclose(fold->kept);
    line = fold->text;
    for (stop = line ? line + fold->bytes : line; line < stop; line = end) {
        end = memchr(line, '\n', (size_t)(stop - line));
        end = end ? end : stop;
        fold_line(out, line, (size_t)(end - line), fold->width);
        if (end < stop) {
            putc('\n', out);
            end++;
        }
    }
    free(fold->text);
    *fold = (struct mt_fold){0};
    return out;
}
