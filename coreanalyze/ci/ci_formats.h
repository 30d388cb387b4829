/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ci_formats.h - findings in the formats of other tools.
 *
 * Each function writes a whole document; the stream keeps write errors.
 */
#ifndef MT_CI_FORMATS_H
#define MT_CI_FORMATS_H

#include "coreanalyze/ci/findings.h"
#include "coreanalyze/ci/suppress.h"

#include <stdio.h>

struct mt_ci {
    struct mt_findings *findings;
    const struct mt_suppressions *suppressions;
    const char *tool;        /* "memtrace check" */
    const char *const *argv; /* of the program, ended by NULL; or NULL */
    uint32_t pid;            /* of the program, 0 if not known */
    bool ended;              /* `status` is the program's, of waitpid(2) */
    int status;
    bool has_baseline;
};

void mt_ci_junit(const struct mt_ci *ci, FILE *out);
/* Valgrind's XML, protocol 4, of one process, or of all (NULL). */
void mt_ci_valgrind(const struct mt_ci *ci,
                    const struct mt_findings_process *only, FILE *out);
/* The lines of Memcheck's log that CTest looks for. */
void mt_ci_log(const struct mt_ci *ci, FILE *out);
/* SARIF 2.1.0. */
void mt_ci_sarif(const struct mt_ci *ci, FILE *out);
/* Commands of GitHub's workflows, ten at most. */
void mt_ci_github(const struct mt_ci *ci, FILE *out);

/* "exit with status 3", "signal 11". */
void mt_ci_end_text(int status, char *text, size_t bytes);
/* The crash of a process with its stack, several lines; NULL when out of
 * memory.  The caller frees it. */
char *mt_ci_crash_text(const struct mt_findings_process *process);
/* "lose (ends.c:24)". */
void mt_ci_frame_text(const struct mt_leak_frame *frame, FILE *out);
/* Lines of the frames of a leak that are for a person, at most MAX, each after
 * INDENT: "at lose (ends.c:24) [strdup]", "by main (ends.c:30)". */
void mt_ci_leak_stack(const struct mt_leak *leak, const char *indent,
                      size_t max, FILE *out);

#endif
