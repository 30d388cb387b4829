/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy_reports.c - what a policy reads and writes: files of suppressions, the
 * baseline, and reports for other tools.
 */
#include "coreanalyze/check/policy.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/output.h"
#include "coreanalyze/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* --- beginning --- */

/* A report that cannot be written is an error before a long run, not after. */
static bool can_write(const char *path, struct mt_error *error)
{
    struct mt_output output;

    if (path == NULL)
        return true;
    if (!mt_output_open(&output, path, 0666, error))
        return false;
    mt_output_close(&output, false, error);
    return true;
}

static bool read_baseline(struct mt_policy *policy, struct mt_error *error)
{
    if (policy->baseline_path == NULL)
        return !policy->update ||
               mt_fail(error, "--update-baseline needs --baseline FILE");
    if (mt_baseline_read(&policy->baseline, policy->baseline_path, error))
        return true;
    mt_baseline_free(&policy->baseline);
    if (policy->update && errno == ENOENT) {
        memset(error, 0, sizeof *error);
        return true;
    }
    return false;
}

bool mt_policy_begin(struct mt_policy *policy, struct mt_error *error)
{
    policy->wanted = policy->n_files > 0 || policy->generate ||
                     policy->github || policy->baseline_path || policy->junit ||
                     policy->valgrind || policy->log || policy->sarif;
    if (!mt_findings_init(&policy->findings, error))
        return false;
    for (size_t i = 0; i < policy->n_files; i++)
        if (!mt_suppressions_read(&policy->suppressions, policy->files[i],
                                  error))
            return false;
    errno = 0;
    return read_baseline(policy, error) &&
           (!policy->update || can_write(policy->baseline_path, error)) &&
           can_write(policy->junit, error) &&
           can_write(policy->valgrind, error) &&
           can_write(policy->log, error) && can_write(policy->sarif, error) &&
           can_write(policy->generated, error);
}

bool mt_policy_own(struct mt_policy *policy, const struct mt_model *model,
                   struct mt_error *error)
{
    const char *text = model->suppressions;
    char *copy;

    if (!mt_policy_defaults(policy, model, error))
        return false;
    if (text == NULL)
        return true;
    policy->wanted = true;
    for (size_t i = 0; i < policy->n_own; i++)
        if (strcmp(policy->own[i], text) == 0)
            return true;
    copy = strdup(text);
    if (copy == NULL || !mt_grow(&policy->own, &policy->own_capacity,
                                 policy->n_own + 1, sizeof *policy->own)) {
        free(copy);
        return mt_no_memory(error, "suppressions");
    }
    policy->own[policy->n_own++] = copy;
    return mt_suppressions_parse(&policy->suppressions,
                                 "__lsan_default_suppressions", copy, error);
}

void mt_policy_free(struct mt_policy *policy)
{
    for (size_t i = 0; i < policy->n_own; i++)
        free(policy->own[i]);
    free(policy->own);
    mt_policy_forget_defaults(policy);
    mt_suppressions_free(&policy->suppressions);
    mt_baseline_free(&policy->baseline);
    mt_findings_free(&policy->findings);
    free(policy->files);
    memset(policy, 0, sizeof *policy);
}

/* --- generated suppressions --- */

/* One entry for all leaks that it would match. */
static void put_generated(struct mt_suppressions *set,
                          const struct mt_leak *leak, FILE *out,
                          struct mt_json *json)
{
    struct mt_error error = {0};
    char *text = NULL;
    size_t bytes = 0;
    FILE *memory;

    if (leak->state > MT_LEAK_GROWN || leak->n_frames == 0 ||
        mt_suppress(set, leak))
        return;
    memory = open_memstream(&text, &bytes);
    if (memory == NULL)
        return;
    mt_print_suppression_of(leak, memory);
    if (fclose(memory) == 0 &&
        mt_suppressions_parse(set, "generated", text, &error)) {
        if (json)
            mt_json_string(json, NULL, text);
        else
            fputs(text, out);
    }
    free(text);
}

static void put_all_generated(const struct mt_policy *policy, FILE *out,
                              struct mt_json *json)
{
    struct mt_suppressions set = {0};

    for (size_t i = 0; i < policy->findings.n_processes; i++) {
        const struct mt_findings_process *p = &policy->findings.processes[i];
        for (size_t j = 0; j < p->n_leaks; j++)
            put_generated(&set, &p->leaks[j], out, json);
    }
    mt_suppressions_free(&set);
}

/* --- text and JSON --- */

static uint64_t policy_unseen(const struct mt_policy *policy)
{
    uint64_t n = 0;

    for (size_t i = 0; i < policy->baseline.n; i++)
        n += !policy->baseline.known[i].seen;
    return n;
}

void mt_policy_print(struct mt_policy *policy, FILE *out)
{
    mt_print_suppressions(&policy->suppressions, out);
    if (policy->baseline_path) {
        mt_put_count(out, "  baseline: %s known leak{|s}", policy->known);
        fprintf(out,
                ", %" PRIu64 " with more blocks, %" PRIu64 " new, %" PRIu64
                " no longer seen%s\n",
                policy->grown, policy->fresh, policy_unseen(policy),
                policy->update ? "; updated" : "");
    }
    if (policy->generate && !policy->generated)
        put_all_generated(policy, out, NULL);
}

void mt_policy_json(struct mt_policy *policy, struct mt_json *json)
{
    if (policy->suppressions.n > 0)
        mt_json_put_suppressions(json, &policy->suppressions);
    if (policy->baseline_path) {
        mt_json_open(json, "baseline", '{');
        mt_json_string(json, "file", policy->baseline_path);
        mt_json_u64(json, "known", policy->known);
        mt_json_u64(json, "grown", policy->grown);
        mt_json_u64(json, "new", policy->fresh);
        mt_json_u64(json, "not_seen", policy_unseen(policy));
        mt_json_bool(json, "updated", policy->update);
        mt_json_close(json, '}');
    }
    if (policy->generate) {
        mt_json_open(json, "generated_suppressions", '[');
        put_all_generated(policy, NULL, json);
        mt_json_close(json, ']');
    }
}

/* --- files --- */

static bool write_one(const struct mt_ci *ci, const char *path,
                      void (*write)(const struct mt_ci *, FILE *),
                      struct mt_error *error)
{
    struct mt_output output;

    if (path == NULL)
        return true;
    if (!mt_output_open(&output, path, 0666, error))
        return false;
    write(ci, output.file);
    return mt_output_close(&output, true, error);
}

static void write_valgrind(const struct mt_ci *ci, FILE *out)
{
    mt_ci_valgrind(ci, NULL, out);
}

static bool write_valgrind_files(const struct mt_ci *ci, const char *path,
                                 struct mt_error *error)
{
    bool ok = true;

    if (path == NULL || strstr(path, "%p") == NULL)
        return write_one(ci, path, write_valgrind, error);
    for (size_t i = 0; ok && i < ci->findings->n_processes; i++) {
        const struct mt_findings_process *p = &ci->findings->processes[i];
        char *name = mt_output_name(path, p->pid, NULL);
        struct mt_output output;
        ok = name ? mt_output_open(&output, name, 0666, error)
                  : mt_no_memory(error, "the name of the report");
        if (ok) {
            mt_ci_valgrind(ci, p, output.file);
            ok = mt_output_close(&output, true, error);
        }
        free(name);
    }
    return ok;
}

static bool write_generated(const struct mt_policy *policy,
                            struct mt_error *error)
{
    struct mt_output output;

    if (policy->generated == NULL)
        return true;
    if (!mt_output_open(&output, policy->generated, 0666, error))
        return false;
    put_all_generated(policy, output.file, NULL);
    return mt_output_close(&output, true, error);
}

static bool write_baseline(struct mt_policy *policy, struct mt_error *error)
{
    struct mt_output output;
    bool keep = false, ok;

    for (size_t i = 0; i < policy->findings.n_processes; i++)
        keep |= policy->findings.processes[i].result == MT_RESULT_NOT_CHECKED;
    if (!mt_output_open(&output, policy->baseline_path, 0666, error))
        return false;
    ok = mt_baseline_write(&policy->baseline, keep, &policy->findings,
                           output.file, error);
    return mt_output_close(&output, ok, error);
}

bool mt_policy_finish(struct mt_policy *policy, struct mt_ci *ci, FILE *out,
                      struct mt_error *error)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    bool ok;

    ci->findings = &policy->findings;
    ci->suppressions = &policy->suppressions;
    ci->has_baseline = policy->baseline_path != NULL;
    /* A limit on the size of files is an error like a full disk. */
    sigaction(SIGXFSZ, &ignore, &before);
    ok = write_one(ci, policy->junit, mt_ci_junit, error) &&
         write_valgrind_files(ci, policy->valgrind, error) &&
         write_one(ci, policy->log, mt_ci_log, error) &&
         write_one(ci, policy->sarif, mt_ci_sarif, error) &&
         write_generated(policy, error) &&
         (!policy->update || write_baseline(policy, error));
    if (policy->github)
        mt_ci_github(ci, out);
    sigaction(SIGXFSZ, &before, NULL);
    return ok && (!policy->findings.out_of_memory ||
                  mt_no_memory(error, "the reports"));
}
