/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_groups.h - live memory by function, module, file, line, thread or heap.
 */
#ifndef MT_PRINT_GROUPS_H
#define MT_PRINT_GROUPS_H

#include "coreanalyze/profile/groups.h"
#include "coreanalyze/reports/print.h"

/* A row a group: what it is part of, and its own part.  `growth`: what changed
 * since the old side.  The summary above it is the caller's. */
void mt_print_groups(const struct mt_report *report,
                     const struct mt_groups *groups, bool growth);

struct mt_json;
/* The members "by" and "groups". */
void mt_json_put_groups(struct mt_json *json, const struct mt_groups *groups,
                        bool growth);

#endif
