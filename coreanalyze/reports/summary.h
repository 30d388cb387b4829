/* SPDX-License-Identifier: BSD-2-Clause
 *
 * summary.h - the first lines of a report for a person.
 */
#ifndef MT_SUMMARY_H
#define MT_SUMMARY_H

#include "coreanalyze/reports/print.h"

/* "Process 42 server", without the end of the line. */
void mt_summary_process(const struct mt_report *report);
/* A line with the core that was read, and the signal that ended the process;
 * nothing for a live process. */
void mt_summary_core(const struct mt_report *report);
/* A line with the memory of the heaps and of the process. */
void mt_summary_memory(const struct mt_report *report);
/* "300 bytes in 3 blocks", or "22K in 111 blocks". */
void mt_summary_amount(const struct mt_report *report,
                       const struct mt_show_sum *sum);

#endif
