/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_diff.h - the forms that a diff comes out in.
 */
#ifndef MT_PRINT_DIFF_H
#define MT_PRINT_DIFF_H

#include "coreanalyze/analyses/diff.h"
#include "coreanalyze/reports/print.h"

struct mt_diff_report {
    const struct mt_diff *diff;
    struct mt_report side[2]; /* by enum mt_diff_side */
    FILE *out;
    /* The moments that are compared in one target, or NULL. */
    const char *from, *to;
    bool by_name; /* stacks were matched by names */
};

void mt_print_diff(const struct mt_diff_report *report);
void mt_print_diff_json(const struct mt_diff_report *report);
/* JSON, version 2, of the profiles of both sides; `more` as of
 * mt_print_json2(). */
void mt_print_diff_json2(const struct mt_diff_report *report,
                         const struct mt_profile *const profiles[2],
                         void (*more)(void *context, struct mt_json *json),
                         void *context);
/* The summary above the rows, and the notes below them. */
void mt_print_diff_summary(const struct mt_diff_report *report);
void mt_print_diff_notes(const struct mt_diff_report *report);
/* "main;parse OLD NEW", the bytes before and after: what tools for
 * differential flame graphs read. */
bool mt_print_diff_folded(const struct mt_diff_report *report,
                          struct mt_error *error);

#endif
