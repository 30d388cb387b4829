/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_map.h - where the memory of a process is, as text, as JSON and as
 * folded stacks.
 */
#ifndef MT_PRINT_MAP_H
#define MT_PRINT_MAP_H

#include "coreanalyze/analyses/memory_diff.h"
#include "coreanalyze/reports/print.h"

struct mt_map_report {
    const struct mt_memory_map *map;
    const struct mt_memory_map *old;   /* what it is compared with, or NULL */
    const struct mt_memory_diff *diff; /* the rows of both */
    struct mt_source *source;
    /* Output, style and names; the model may be NULL: there is no traced
     * heap. */
    const struct mt_report *report;
    const struct mt_report *old_report; /* names of the old target, or NULL */
    const char *no_model;               /* why there is none, or NULL */
    uint64_t top;                       /* rows at most, 0: all */
};

void mt_print_map(const struct mt_map_report *);
void mt_print_map_json(const struct mt_map_report *);
/* A line for each origin: its kind and stack, and its resident bytes, of the
 * old target first.  False when out of memory. */
bool mt_print_map_folded(const struct mt_map_report *, struct mt_error *);
/* The lines of show: the sums of the kinds alone. */
void mt_print_map_sums(const struct mt_report *, const struct mt_memory_map *);

#endif
