/* SPDX-License-Identifier: BSD-2-Clause
 *
 * check_report.h - what memtrace check finds and prints.
 */
#ifndef MT_CHECK_REPORT_H
#define MT_CHECK_REPORT_H

#include "coreanalyze/check.h"
#include "coreanalyze/json.h"
#include "coreanalyze/leaks.h"

#include <stdio.h>

enum mt_check_result { MT_CHECK_CLEAN, MT_CHECK_LEAKS, MT_CHECK_NOT_CHECKED };
extern const char *const mt_check_result_names[];

struct mt_check {
    struct mt_leaks_options leaks;
    unsigned fail_on;       /* bits of kinds */
    uint64_t max_bytes;     /* of a process, that do not fail it */
    uint64_t max_per_stack; /* of a row, that do not count */
    uint64_t top;           /* rows to print of a process, 0: all */
    bool json;
    const char *const *debug_dirs; /* ended by NULL */
    const char *sysroot;           /* or NULL */
    FILE *out;
    struct mt_json writer;
    uint64_t processes[3]; /* by result */
};

void mt_check_begin(struct mt_check *check);
/* Looks at the heap of a process, and prints what it finds. */
void mt_check_ended(void *context, const struct mt_ended *ended);
void mt_check_lost(void *context, pid_t pid, const char *why);
/* Prints the result of all, and returns it. */
enum mt_check_result mt_check_finish(struct mt_check *check);

#endif
