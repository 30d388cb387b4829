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
};

bool mt_print_retained(const struct mt_retained_report *report,
                       struct mt_error *error);
bool mt_print_retained_json(const struct mt_retained_report *report,
                            struct mt_error *error);

#endif
