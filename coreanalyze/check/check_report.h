/* SPDX-License-Identifier: BSD-2-Clause
 *
 * check_report.h - what memtrace check finds and prints.
 */
#ifndef MT_CHECK_REPORT_H
#define MT_CHECK_REPORT_H

#include "coreanalyze/check/follow.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/check/policy.h"
#include "coreanalyze/reports/style.h"

#include <stdio.h>

struct mt_check {
    struct mt_leaks_options leaks;
    struct mt_policy policy;
    uint64_t top; /* rows to print of a process, 0: all */
    bool json;
    bool verbose;
    char why_untraced[200]; /* the program is not, or "" */
    struct mt_style style;  /* of the text */
    unsigned columns;       /* of the terminal that `out` is, or 0 */
    bool unfollowed;        /* ptrace was refused, or not wanted */
    struct mt_resolver_options names;
    struct mt_module_files *files; /* of all processes, or NULL */
    FILE *out;
    struct mt_json writer;
    uint64_t processes[MT_N_RESULTS]; /* by result */
    uint64_t signalled, crashed; /* of those, ended by any signal, a fault */
};

void mt_check_begin(struct mt_check *check);
/* Looks at the heap of a process, and prints what it finds. */
void mt_check_exited(void *context, const struct mt_exited *ended);
void mt_check_lost(void *context, pid_t pid, const char *why);
/* Judges a source, which it frees; or NULL, with the reason in `error`.
 * `exited` is NULL for cores. */
void mt_check_look(struct mt_check *check,
                   const struct mt_findings_process *about,
                   struct mt_source *source, const struct mt_exited *exited,
                   struct mt_error *error);

/* --- check_files.c: where ptrace is refused --- */
/* A folder for the cores that processes write at their ends: `setting` is what
 * MEMTRACE has to have for that; the caller frees both.  NULL with `error`
 * filled. */
char *mt_check_folder(char **setting, struct mt_error *error);
/* Looks at what the processes left there, and removes it. */
void mt_check_files(struct mt_check *check, const char *folder,
                    const struct mt_check_end *end);
/* Prints the result of all, and returns it. */
enum mt_result mt_check_finish(struct mt_check *check);

#endif
