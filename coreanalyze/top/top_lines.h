/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_lines.h - lines of text, each with how it looks and what it is about.
 */
#ifndef MT_TOP_LINES_H
#define MT_TOP_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum mt_top_look {
    MT_LOOK_PLAIN,
    MT_LOOK_TITLE,   /* of the screen */
    MT_LOOK_HEAD,    /* names of columns */
    MT_LOOK_WARNING, /* what is not seen, what went wrong */
};

#define MT_TOP_NO_ITEM SIZE_MAX

struct mt_top_line {
    size_t start; /* in the text */
    enum mt_top_look look;
    size_t item; /* what may be chosen, or MT_TOP_NO_ITEM */
};

/* Write to `out`, then end the line. */
struct mt_top_lines {
    FILE *out; /* NULL when out of memory */
    char *text;
    size_t bytes;
    struct mt_top_line *lines;
    size_t n, capacity;
    bool incomplete; /* out of memory */
};

bool mt_top_lines_begin(struct mt_top_lines *lines);
void mt_top_line_end(struct mt_top_lines *lines, enum mt_top_look look,
                     size_t item);
/* Text with newlines: a line each. */
void mt_top_lines_add(struct mt_top_lines *lines, const char *text,
                      enum mt_top_look look);
/* The text of a line, after mt_top_lines_close(). */
bool mt_top_lines_close(struct mt_top_lines *lines);
const char *mt_top_line_text(const struct mt_top_lines *lines, size_t i);
void mt_top_lines_free(struct mt_top_lines *lines);

#endif
