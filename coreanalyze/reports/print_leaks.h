/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_leaks.h - the forms that leaks come out in.
 */
#ifndef MT_PRINT_LEAKS_H
#define MT_PRINT_LEAKS_H

#include "coreanalyze/analyses/leaks.h"
#include "coreanalyze/analyses/verdict.h"
#include "coreanalyze/reports/print.h"

/* Each wants report->show to be &leaks->show, and report->kinds the names. */
void mt_print_leaks(const struct mt_report *report,
                    const struct mt_leaks *leaks,
                    const struct mt_verdict *verdict);
/* The same without the process and the verdict, which check prints itself. */
void mt_print_leaks_of(const struct mt_report *report,
                       const struct mt_leaks *leaks);

/* Memory that the search for pointers did not see, one line each. */
size_t mt_print_leak_notes(const struct mt_report *report,
                           const struct mt_leaks *leaks, const char *prefix);

/* The members "kinds" and "checked". */
void mt_json_put_leak_sums(struct mt_json *, const struct mt_leaks *);
void mt_json_put_checked(struct mt_json *, const struct mt_report *,
                         const struct mt_leaks *, const struct mt_verdict *);
/* All members of JSON, version 1, for other reports. */
void mt_json_put_leaks(struct mt_json *, const struct mt_report *,
                       const struct mt_leaks *, const struct mt_verdict *);

#endif
