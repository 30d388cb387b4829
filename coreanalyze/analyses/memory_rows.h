/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_rows.h - how the rows of a map of memory are collected.
 */
#ifndef MT_MEMORY_ROWS_H
#define MT_MEMORY_ROWS_H

#include "coreanalyze/analyses/memory_map.h"

/* False when out of memory. */
bool mt_memory_row_add(struct mt_memory_map *map,
                       const struct mt_memory_row *row);
/* Makes one row of those of one kind and origin. */
void mt_memory_rows_merge(struct mt_memory_map *map);
/* Sorts the rows, and fills the sums. */
void mt_memory_rows_finish(struct mt_memory_map *map);

/* memory_of_trace.c: the map of a target that has the trace alone. */
bool mt_memory_map_of_trace(struct mt_model *model, struct mt_memory_map *map,
                            struct mt_error *error);

#endif
