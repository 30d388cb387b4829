/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy.h - what leaks and check make of leaks: which ones count, after
 * suppressions and a baseline, and reports of them for other tools.
 */
#ifndef MT_POLICY_H
#define MT_POLICY_H

#include "coreanalyze/ci/baseline.h"
#include "coreanalyze/ci/ci_formats.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/commands/options.h"
#include "coreanalyze/reports/print_leaks.h"
#include "coreanalyze/ci/suppress.h"

/* The options, for a table of them; `gate` is a member of the command's
 * arguments. */
mt_parse mt_parse_suppressions;
#define MT_POLICY_OPTIONS(policy)                                              \
    {"--suppressions", 0, "FILE",                                              \
     "leaks to leave out, as LeakSanitizer or Valgrind has them; may be "      \
     "given several times",                                                    \
     MT_FIELD(mt_parse_suppressions, struct mt_policy, policy)},               \
        {"--gen-suppressions", 0, NULL,                                        \
         "print suppressions for what is found, in Valgrind's form",           \
         MT_FIELD(mt_parse_flag, bool, policy.generate)},                      \
        {"--baseline", 0, "FILE",                                              \
         "leaks that are known: only new ones, or more of a known one, count", \
         MT_FIELD(mt_parse_text, const char *, policy.baseline_path)},         \
        {"--update-baseline", 0, NULL,                                         \
         "write what is found to the file of --baseline",                      \
         MT_FIELD(mt_parse_flag, bool, policy.update)},                        \
        {"--junit", 0, "FILE", "write JUnit's XML too",                        \
         MT_FIELD(mt_parse_text, const char *, policy.junit)},                 \
        {"--valgrind-xml", 0, "FILE",                                          \
         "write Valgrind's XML, protocol 4, too; %p in the name: a file for "  \
         "each process",                                                       \
         MT_FIELD(mt_parse_text, const char *, policy.valgrind)},              \
        {"--log-file", 0, "FILE",                                              \
         "write a log as Memcheck's too, which CTest reads",                   \
         MT_FIELD(mt_parse_text, const char *, policy.log)},                   \
        {"--sarif", 0, "FILE", "write SARIF 2.1.0 too",                        \
         MT_FIELD(mt_parse_text, const char *, policy.sarif)},                 \
    {                                                                          \
        "--github", 0, NULL,                                                   \
            "print annotations for GitHub on standard output",                 \
            MT_FIELD(mt_parse_flag, bool, policy.github)                       \
    }

struct mt_policy {
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
    struct mt_findings findings;
    uint64_t known, fresh, grown; /* rows, by what the baseline says */
};

/* Reads the files, and sees whether the reports can be written. */
bool mt_policy_begin(struct mt_policy *policy, struct mt_error *error);

/* Adds the suppressions that a target has itself, if any. */
bool mt_policy_own(struct mt_policy *policy, const struct mt_model *model,
                   struct mt_error *error);

/* Fills in the losses of `process` from the rows of `leaks`, decides on each,
 * and takes those that do not count out of the rows. `report` names frames. */
bool mt_policy_judge(struct mt_policy *policy,
                     struct mt_findings_process *process,
                     const struct mt_report *report, struct mt_leaks *leaks,
                     struct mt_error *error);

/* What suppressions and baseline did, and new suppressions. */
void mt_policy_print(struct mt_policy *policy, FILE *out);
void mt_policy_json(struct mt_policy *policy, struct mt_json *json);

/* Writes the reports and the baseline; `out` gets the annotations.  The caller
 * fills in tool, program and status of `ci`. */
bool mt_policy_finish(struct mt_policy *policy, struct mt_ci *ci, FILE *out,
                      struct mt_error *error);
void mt_policy_free(struct mt_policy *policy);

#endif
