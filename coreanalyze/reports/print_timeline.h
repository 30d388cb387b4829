/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_timeline.h - totals over the life of a process.
 */
#ifndef MT_PRINT_TIMELINE_H
#define MT_PRINT_TIMELINE_H

#include "coreanalyze/reports/print.h"

/* The state that the report is of: a sample that ends the curve. */
struct mt_sample mt_timeline_now(const struct mt_report *report);
/* For a person: curves, as wide as the style says. */
void mt_print_timeline(const struct mt_report *report);
/* A document of its own; and the member "timeline" alone. */
void mt_print_timeline_json(const struct mt_report *report);
void mt_json_put_timeline(struct mt_json *json, const struct mt_report *report);

#endif
