/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_lines.c - gathers lines of text.
 */
#include "coreanalyze/top/top_lines.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

bool mt_top_lines_begin(struct mt_top_lines *lines)
{
    *lines = (struct mt_top_lines){0};
    lines->out = open_memstream(&lines->text, &lines->bytes);
    if (lines->out &&
        mt_grow(&lines->lines, &lines->capacity, 64, sizeof *lines->lines))
        return true;
    mt_top_lines_free(lines);
    return false;
}

void mt_top_line_end(struct mt_top_lines *lines, enum mt_top_look look,
                     size_t item)
{
    /* The line after it starts where this one ends. */
    putc('\0', lines->out);
    if (fflush(lines->out) != 0 ||
        !mt_grow(&lines->lines, &lines->capacity, lines->n + 2,
                 sizeof *lines->lines)) {
        lines->incomplete = true;
        return;
    }
    lines->lines[lines->n].look = look;
    lines->lines[lines->n].item = item;
    lines->lines[++lines->n].start = lines->bytes;
}

void mt_top_lines_add(struct mt_top_lines *lines, const char *text,
                      enum mt_top_look look)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        fwrite(text, 1, n, lines->out);
        mt_top_line_end(lines, look, MT_TOP_NO_ITEM);
        text += n + (text[n] == '\n');
    }
}

bool mt_top_lines_close(struct mt_top_lines *lines)
{
    bool ok = !lines->incomplete && !ferror(lines->out);

    ok = fclose(lines->out) == 0 && ok;
    lines->out = NULL;
    return ok && lines->text;
}

const char *mt_top_line_text(const struct mt_top_lines *lines, size_t i)
{
    return i < lines->n ? lines->text + lines->lines[i].start : "";
}

void mt_top_lines_free(struct mt_top_lines *lines)
{
    if (lines->out)
        fclose(lines->out);
    free(lines->text);
    free(lines->lines);
    *lines = (struct mt_top_lines){0};
}
