/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_map.h - where the memory of a process is, as text and as JSON.
 */
#ifndef MT_PRINT_MAP_H
#define MT_PRINT_MAP_H

#include "coreanalyze/analyses/memory_map.h"
#include "coreanalyze/reports/print.h"

struct mt_map_report {
    const struct mt_memory_map *map;
    const struct mt_memory_map *old; /* what it is compared with, or NULL */
    struct mt_source *source;
    const struct mt_report *report; /* output and style; its model may be
                                     * NULL: there is no traced heap */
    const char *no_model;           /* why there is none, or NULL */
    uint64_t top;                   /* rows at most, 0: all */
};

void mt_print_map(const struct mt_map_report *);
void mt_print_map_json(const struct mt_map_report *);
/* The lines of show: the sums of the kinds alone. */
void mt_print_map_sums(const struct mt_report *, const struct mt_memory_map *);

#endif
