/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate.h - what leaks and check make of leaks: which ones count, after
 * suppressions and a baseline, and reports of them for other tools.
 */
#ifndef MT_GATE_H
#define MT_GATE_H

#include "coreanalyze/ci/baseline.h"
#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/commands/options.h"
#include "coreanalyze/reports/print_leaks.h"
#include "coreanalyze/ci/suppress.h"

/* The options, for a table of them; `gate` is a member of the command's
 * arguments. */
mt_take mt_take_suppressions;
#define MT_GATE_OPTIONS(gate)                                                  \
    {"--suppressions", 0, "FILE",                                              \
     "leaks to leave out, as LeakSanitizer or Valgrind has them; may be "      \
     "given several times",                                                    \
     MT_INTO(mt_take_suppressions, struct mt_gate, gate)},                     \
        {"--gen-suppressions", 0, NULL,                                        \
         "print suppressions for what is found, in Valgrind's form",           \
         MT_INTO(mt_take_flag, bool, gate.generate)},                          \
        {"--baseline", 0, "FILE",                                              \
         "leaks that are known: only new ones, or more of a known one, count", \
         MT_INTO(mt_take_text, const char *, gate.baseline_path)},             \
        {"--update-baseline", 0, NULL,                                         \
         "write what is found to the file of --baseline",                      \
         MT_INTO(mt_take_flag, bool, gate.update)},                            \
        {"--junit", 0, "FILE", "write JUnit's XML too",                        \
         MT_INTO(mt_take_text, const char *, gate.junit)},                     \
        {"--valgrind-xml", 0, "FILE",                                          \
         "write Valgrind's XML, protocol 4, too; %p in the name: a file for "  \
         "each process",                                                       \
         MT_INTO(mt_take_text, const char *, gate.valgrind)},                  \
        {"--log-file", 0, "FILE",                                              \
         "write a log as Memcheck's too, which CTest reads",                   \
         MT_INTO(mt_take_text, const char *, gate.log)},                       \
        {"--sarif", 0, "FILE", "write SARIF 2.1.0 too",                        \
         MT_INTO(mt_take_text, const char *, gate.sarif)},                     \
    {                                                                          \
        "--github", 0, NULL,                                                   \
            "print annotations for GitHub on standard output",                 \
            MT_INTO(mt_take_flag, bool, gate.github)                           \
    }

struct mt_gate {
    const char **files; /* of suppressions */
    size_t n_files, files_capacity;
    const char *baseline_path, *junit, *valgrind, *log, *sarif;
    bool generate, update, github;
    bool wanted; /* an option was given; begin sets it */
    const struct mt_resolver_options *names; /* where symbols come from */
    unsigned fail_on;                        /* bits of kinds that fail */
    uint64_t max_per_stack; /* bytes of a row that do not count */
    uint64_t max_bytes;     /* of a process that do not fail it */
    struct mt_suppressions suppressions;
    char **own; /* texts of targets that were added to them */
    size_t n_own, own_capacity;
    struct mt_baseline baseline;
    struct mt_outcome outcome;
    uint64_t known, new, grown; /* rows, by what the baseline says */
};

/* Reads the files, and sees whether the reports can be written. */
bool mt_gate_begin(struct mt_gate *gate, struct mt_error *error);

/* Adds the suppressions that a target has itself, if any. */
bool mt_gate_own(struct mt_gate *gate, const struct mt_model *model,
                 struct mt_error *error);

/* Fills in the losses of `process` from the rows of `leaks`, decides on each,
 * and takes those that do not count out of the rows. `report` names frames. */
bool mt_gate_judge(struct mt_gate *gate, struct mt_outcome_process *process,
                   const struct mt_report *report, struct mt_leaks *leaks,
                   struct mt_error *error);

/* What suppressions and baseline did, and new suppressions. */
void mt_gate_print(struct mt_gate *gate, FILE *out);
void mt_gate_json(struct mt_gate *gate, struct mt_json *json);

/* Writes the reports and the baseline; `out` gets the annotations.  The caller
 * fills in tool, program and status of `ci`. */
bool mt_gate_finish(struct mt_gate *gate, struct mt_ci *ci, FILE *out,
                    struct mt_error *error);
void mt_gate_free(struct mt_gate *gate);

#endif
