/* SPDX-License-Identifier: BSD-2-Clause
 *
 * folded_paths.h - the names of many stacks, from the root, in their order.
 *
 * A name is made once for each program counter, and is a number from then on:
 * its place among all names. A path is an array of such numbers, and paths are
 * compared and sorted by them. Text comes to be when it is written.
 */
#ifndef MT_FOLDED_PATHS_H
#define MT_FOLDED_PATHS_H

#include "coreanalyze/reports/print.h"

struct mt_folded;

/* NULL when out of memory. */
struct mt_folded *mt_folded_new(const struct mt_report *report);
void mt_folded_free(struct mt_folded *); /* takes NULL */
/* Adds the path of a row.  False when out of memory. */
bool mt_folded_add(struct mt_folded *, const struct mt_show_row *row);
/* Writes a line for each path: equal ones are one line.  False when out of
 * memory. */
bool mt_folded_put(struct mt_folded *, FILE *out);

/* The name of a frame in such a line, to be freed; NULL when out of memory. */
char *mt_folded_name(const struct mt_frame *frame);
/* The name of blocks that have no stack. */
const char *mt_folded_nowhere(uint32_t stack);

#endif
