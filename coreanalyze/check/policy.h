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
#include "coreanalyze/reports/print_leaks.h"
#include "coreanalyze/ci/suppress.h"

struct mt_policy {
    const char **files; /* of suppressions */
    size_t n_files, files_capacity;
    const char *baseline_path, *junit, *valgrind, *log, *sarif;
    bool generate, update, github;
    const char *generated; /* file of generated suppressions, or NULL */
    char defaults[4096];   /* folder of default suppressions, or "" */
    bool no_defaults, defaults_listed;
    char **default_files; /* names in that folder, in order */
    size_t n_default_files;
    bool wanted;            /* an option was given; begin sets it */
    unsigned fail_on;       /* bits of kinds that fail */
    uint64_t max_per_stack; /* bytes of a row that do not count */
    uint64_t max_bytes;     /* of a process that do not fail it */
    struct mt_suppressions suppressions;
    char **own; /* texts of targets that were added to them */
    size_t n_own, own_capacity;
    struct mt_baseline baseline;
    struct mt_findings findings;
    uint64_t known, fresh, grown; /* rows, by what the baseline says */
};

/* The facts that decide the result of a process. */
struct mt_facts {
    const char *not_searched; /* why, or NULL: it was */
    const char *unseen;       /* why not all blocks were, or NULL */
    bool incomplete;          /* some memory could not be searched */
    uint64_t failing_bytes, failing_blocks; /* lost, and count */
    uint64_t lost_bytes;                    /* definitely or indirectly lost */
    uint64_t possible_bytes, suppressed_bytes, known_bytes;
};

/* Leaks win over what was not seen: lost blocks are a fact, their absence is
 * not.  Nothing else decides a result. */
struct mt_verdict mt_policy_decide(const struct mt_policy *policy,
                                   const struct mt_facts *facts);
/* The facts of a finished search; `process` is NULL if mt_policy_judge was not
 * asked: then definite leaks count. */
struct mt_facts mt_policy_facts(const struct mt_findings_process *process,
                                const struct mt_model *model,
                                const struct mt_leaks *leaks);
/* The result of a run, from how many processes have each result. */
enum mt_result mt_policy_decide_all(const uint64_t processes[MT_N_RESULTS]);

/* Adds a copy of a frame to a list of them. */
void mt_policy_frame(struct mt_findings *findings, const struct mt_frame *frame,
                     struct mt_leak_frame **frames, size_t *n,
                     size_t *capacity);

/* Reads the files, and sees whether the reports can be written. */
bool mt_policy_begin(struct mt_policy *policy, struct mt_error *error);

/* Adds those that are installed for the libraries of a target. */
bool mt_policy_defaults(struct mt_policy *policy, const struct mt_model *model,
                        struct mt_error *error);

/* Frees the list of their files. */
void mt_policy_forget_defaults(struct mt_policy *policy);

/* Adds the suppressions that a target has itself, if any. */
bool mt_policy_own(struct mt_policy *policy, const struct mt_model *model,
                   struct mt_error *error);

/* Fills in the leaks of `process` from the rows of `leaks`, decides on each,
 * and takes those that do not count out of the rows.  `report` names frames. */
bool mt_policy_judge(struct mt_policy *policy,
                     struct mt_findings_process *process,
                     const struct mt_report *report, struct mt_leaks *leaks,
                     struct mt_error *error);

/* Prints the effect of suppressions and baseline, and new suppressions. */
void mt_policy_print(struct mt_policy *policy, FILE *out);
void mt_policy_json(struct mt_policy *policy, struct mt_json *json);

/* Writes the reports and the baseline; `out` gets the annotations.  The caller
 * fills in tool, program and status of `ci`. */
bool mt_policy_finish(struct mt_policy *policy, struct mt_ci *ci, FILE *out,
                      struct mt_error *error);
void mt_policy_free(struct mt_policy *policy);

#endif
