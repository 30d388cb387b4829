/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_rows.h - the figures and the stack of a row, as text.
 */
#ifndef MT_PRINT_ROWS_H
#define MT_PRINT_ROWS_H

#include "coreanalyze/reports/print.h"

#define MT_FIGURE_BYTES 32

/* Bytes for a person: 692K, 2.4M; exact if the style says so. */
const char *mt_figure(const struct mt_report *report, uint64_t bytes,
                      char text[MT_FIGURE_BYTES]);
/* The same in a sentence: with `bytes` where it has no other unit. */
const char *mt_figure_bytes(const struct mt_report *report, uint64_t bytes,
                            char text[MT_FIGURE_BYTES]);
/* The age of a block of that epoch, now, in its largest unit: 12s, 5m, 3h, 9d.
 */
const char *mt_age_text(const struct mt_model *model, uint32_t epoch,
                        char text[MT_FIGURE_BYTES]);
/* Where the stack of a row begins, after figures that took `indent` columns: if
 * they leave too little room, a new line is begun. */
int mt_row_indent(const struct mt_report *report, int indent);
/* A name, cut so that it ends in the line that it begins at `column` of. */
void mt_put_in_line(const struct mt_report *report, const char *name,
                    int column);
/* The same for a function, in its short form; its template arguments give way
 * first. */
void mt_put_function_in_line(const struct mt_report *report,
                             const char *function, int column);
/* Is the report in its whole form? */
bool mt_report_is_full(const struct mt_report *report);

/* The name of a frame and its place, for a person, in at most `columns`;
 * returns how many it took.  `title`: it names a row. */
size_t mt_print_frame(const struct mt_report *report,
                      const struct mt_frame *frame, size_t columns, bool title);
/* The library function that the frame just printed called, in brackets: on its
 * line, of which `used` columns are taken, or in the next one. */
void mt_print_callee(const struct mt_report *report,
                     const struct mt_frame *frame, size_t used, size_t columns,
                     int indent);

/* The number of callers that distinguish each of n rows from the others.  The
 * caller frees it; NULL when out of memory (each row then has a few). */
unsigned *mt_row_callers(const struct mt_report *report,
                         const struct mt_show_row *rows, size_t n);
/* The stack of a row, the first line at the current column, the others at
 * `indent`.  In the whole form these are all frames; otherwise the program's
 * frame that allocated, what it called, and its next `callers`. */
void mt_print_row_stack(const struct mt_report *report,
                        const struct mt_show_row *row, int indent,
                        unsigned callers);
/* Callers where no rows need to be told apart. */
#define MT_ROW_CALLERS 3

#endif
