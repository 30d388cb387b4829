/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_retained.h - the forms that retained memory comes out in.
 */
#ifndef MT_PRINT_RETAINED_H
#define MT_PRINT_RETAINED_H

#include "coreanalyze/analyses/retained.h"
#include "coreanalyze/reports/print_block.h"

struct mt_retained_report {
    const struct mt_retained *retained;
    const struct mt_block_printer *printer; /* names, and where to write */
    uint64_t top; /* rows of each kind at most; 0: all */
    bool inner;   /* blocks that others retain have rows, too */
    /* For JSON: stacks to say of who holds them, or NULL. */
    const uint32_t *held_stacks;
    size_t n_held_stacks;
};

bool mt_print_retained(const struct mt_retained_report *report,
                       struct mt_error *error);
bool mt_print_retained_json(const struct mt_retained_report *report,
                            struct mt_error *error);

/* --- retained_names.c --- */
/* To be freed; NULL when out of memory. */
char *mt_retained_holder_name(const struct mt_retained_report *report,
                              const struct mt_holder *holder);
char *mt_retained_place_name(const struct mt_retained_report *report,
                             const struct mt_holder *holder,
                             const struct mt_holder_slot *place);
/* The member "stack_holders": names, and for each of report->held_stacks the
 * index of the one that holds at least half of its bytes, or null. */
struct mt_json;
bool mt_json_put_stack_holders(struct mt_json *json,
                               const struct mt_retained_report *report,
                               struct mt_error *error);

#endif
