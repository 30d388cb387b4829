/* SPDX-License-Identifier: BSD-2-Clause
 *
 * check_report.c - the heap of a process at its end: clean, leaks, or not
 * checked; never one for the other.
 */
#include "coreanalyze/check/check_report.h"
#include "coreanalyze/check/crash.h"
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/names/exit_calls.h"
#include "coreanalyze/reach/mark_keep.h"
#include "coreanalyze/reports/print_leaks.h"
#include "coreanalyze/source/module_files.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/base/fold.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

/* --- one process --- */

static void describe_end(int status, char head[64])
{
    if (WIFSIGNALED(status))
        snprintf(head, 64, "the heap at the crash: signal %d",
                 WTERMSIG(status));
    else
        snprintf(head, 64, "the heap at exit with status %d",
                 WEXITSTATUS(status));
}

/* A process that passed is one of a number in the last line. */
static bool is_printed(const struct mt_check *check,
                       const struct mt_findings_process *p)
{
    return check->json || check->verbose || p->crash.signal ||
           p->result != MT_RESULT_PASSED;
}

static void check_put_json(struct mt_json *json,
                           const struct mt_findings_process *p)
{
    mt_json_open(json, NULL, '{');
    mt_json_u64(json, "pid", p->pid);
    mt_json_string(json, "command", p->command);
    mt_json_string(json, "result", mt_result_names[p->result]);
    mt_json_string(json, "why", p->why);
    mt_json_string(json, "heap", p->head);
    mt_crash_json(&p->crash, json);
    mt_json_u64(json, "failing_bytes", p->failing_bytes);
    mt_json_u64(json, "failing_blocks", p->failing_count);
}

static void check_put_result(FILE *out, const struct mt_findings_process *p)
{
    fputs(mt_result_names[p->result], out);
    if (p->why) {
        fputs(" (", out);
        mt_put_text(out, p->why);
        putc(')', out);
    }
}

static void check_put_text(FILE *out, const struct mt_findings_process *p,
                           const struct mt_style *style)
{
    char title[300];

    fprintf(out, "memtrace check: process %u", p->pid);
    if (p->command) {
        fputs(" (", out);
        mt_put_text(out, p->command);
        putc(')', out);
    }
    fputs(": ", out);
    if (p->crash.signal) {
        mt_crash_title(&p->crash, title, sizeof title);
        fprintf(out, "%s\n", title);
        mt_crash_print(p, style, out);
        fputs("  leaks at its end: ", out);
    }
    check_put_result(out, p);
    if (p->head && !p->crash.signal)
        fprintf(out, "\n  %s", p->head);
    putc('\n', out);
}

static void check_put_head(struct mt_check *check,
                           const struct mt_findings_process *p)
{
    struct mt_fold fold;

    check->processes[p->result]++;
    check->crashed += p->crash.core;
    check->signalled += p->crash.signal != 0;
    if (check->json)
        check_put_json(&check->writer, p);
    if (check->json || !is_printed(check, p))
        return;
    check_put_text(mt_fold_begin(&fold, check->out, check->columns), p,
                   &check->style);
    mt_fold_end(&fold, check->out);
}

static void check_put_leaks(struct mt_check *check,
                            const struct mt_report *report,
                            const struct mt_leaks *leaks)
{
    struct mt_report folded = *report;
    struct mt_fold fold;

    folded.out = mt_fold_begin(&fold, report->out, check->columns);
    mt_print_leaks_of(&folded, leaks);
    mt_fold_end(&fold, report->out);
}

static void put_report(struct mt_check *check, const struct mt_report *report,
                       struct mt_leaks *leaks,
                       const struct mt_findings_process *p,
                       const struct mt_verdict *verdict)
{
    if (check->top && leaks->show.n_rows > check->top)
        leaks->show.n_rows = check->top;
    if (check->json)
        mt_json_put_leaks(&check->writer, report, leaks, verdict);
    else if (check->verbose || p->result != MT_RESULT_PASSED)
        check_put_leaks(check, report, leaks);
}

static void finish_process(struct mt_check *check)
{
    if (check->json)
        mt_json_close(&check->writer, '}');
    fflush(check->out);
}

/* Searches the heap of the process and reports it. */
static bool look_at(struct mt_check *check, struct mt_resolver *resolver,
                    struct mt_model *model, const struct mt_exited *exited,
                    struct mt_findings_process *p, struct mt_error *error)
{
    struct mt_findings *findings = &check->policy.findings;
    struct mt_leaks leaks = {0};
    struct mt_verdict verdict;
    struct mt_facts facts;
    bool ok = mt_leaks_run(model, &check->leaks, &leaks, error);

    /* Otherwise the search may have missed what was taken. */
    ok = ok && !(exited && mt_exited_reaped(exited, error));
    if (ok) {
        struct mt_report report = {
            model,      &leaks.show,        resolver,
            check->out, mt_leak_kind_names, &check->style};
        ok = mt_policy_own(&check->policy, model, error) &&
             mt_policy_judge(&check->policy, p, &report, &leaks, error);
        if (ok) {
            facts = mt_policy_facts(p, model, &leaks);
            verdict = mt_policy_decide(&check->policy, &facts);
            p->result = verdict.result;
            p->why =
                mt_findings_text(findings, verdict.why[0] ? verdict.why : NULL);
            check_put_head(check, p);
            put_report(check, &report, &leaks, p, &verdict);
        }
    }
    mt_leaks_free(&leaks);
    return ok;
}

static void not_checked(struct mt_check *check, struct mt_findings_process *p,
                        const char *why)
{
    struct mt_facts facts = {.not_searched = why};
    struct mt_verdict verdict = mt_policy_decide(&check->policy, &facts);

    p->result = verdict.result;
    p->why = mt_findings_text(&check->policy.findings, verdict.why);
    check_put_head(check, p);
}

/* Keeps what the search needs of memory.  If that does not fit, a target that
 * is stopped is read in place. */
static void check_capture(struct mt_check *check, struct mt_source *source)
{
    struct mt_snapshot_options options = {0};
    struct mt_error error = {0};

    mt_capture_memory(source, &options, &check->leaks.mark.scan, false, &error);
    if (source->process.kind == MT_SOURCE_LIVE)
        source->captured.stopped = true;
}

static bool has_root(struct mt_source *source)
{
    for (size_t i = 0; i < source->n_modules; i++)
        if (mt_module_symbol(source, &source->modules[i], "memtrace_root",
                             NULL))
            return true;
    return false;
}

/* Searches a process that still has its memory.  The crash comes first: what is
 * kept for the search for leaks is not enough to unwind. */
static void look_at_source(struct mt_check *check, struct mt_source *source,
                           const struct mt_exited *exited,
                           struct mt_findings_process *p)
{
    struct mt_findings *findings = &check->policy.findings;
    struct mt_snapshot_options options = {0};
    struct mt_resolver *resolver = mt_resolver_of_source(source, &check->names);
    struct mt_error error = {0};
    struct mt_model *model = NULL;
    char why[200];

    if (check->files) {
        mt_module_files_next_target(check->files);
        source->files = check->files;
    }
    p->command = mt_findings_text(findings, source->process.command);
    p->exe = mt_findings_text(findings, source->process.exe);
    if (resolver == NULL) {
        not_checked(check, p, "out of memory");
        return;
    }
    mt_crash_find(findings, resolver, source, exited, &p->crash);
    if (exited && !has_root(source) && mt_untraced_sanitizer(exited->reader)) {
        mt_fail(&error, "it runs with a sanitizer");
    } else {
        /* What keeps them as they were is not needed: the crash is known. */
        free(mt_leave_exit_calls(resolver, source));
        check_capture(check, source);
        model = mt_snapshot_take(source, &options, &error);
    }
    if (model) {
        mt_resolver_use(resolver, model);
        mt_crash_explain(findings, resolver, model, &p->crash);
        if (!look_at(check, resolver, model, exited, p, &error)) {
            if (exited)
                mt_exited_reaped(exited, &error);
            not_checked(check, p, error.text);
        }
    } else if (exited && mt_exited_reaped(exited, &error)) {
        not_checked(check, p, error.text);
    } else if (exited &&
               mt_untraced_child_why(exited->reader, why, sizeof why)) {
        not_checked(check, p, why);
    } else {
        not_checked(check, p, error.text);
    }
    /* Names are missing: mt_policy_finish says so. */
    if (!mt_resolver_finish(resolver, NULL))
        findings->out_of_memory = true;
    mt_model_free(model);
}

void mt_check_look(struct mt_check *check,
                   const struct mt_findings_process *about,
                   struct mt_source *source, const struct mt_exited *exited,
                   struct mt_error *error)
{
    struct mt_findings *findings = &check->policy.findings;
    struct mt_findings_process none, *p = mt_findings_add(findings);
    bool room = p != NULL;
    char why[200];

    if (!room)
        p = &none;
    *p = *about;
    p->head = mt_findings_text(findings, about->head);
    p->command = mt_findings_text(findings, about->command);
    if (!room)
        not_checked(check, p, "out of memory");
    else if (source)
        look_at_source(check, source, exited, p);
    else if (exited && mt_exited_reaped(exited, error))
        not_checked(check, p, error->text);
    else if (exited && mt_untraced_child_why(exited->reader, why, sizeof why))
        not_checked(check, p, why);
    else
        not_checked(check, p, error->text);
    finish_process(check);
    mt_source_free(source);
}

void mt_check_exited(void *context, const struct mt_exited *ended)
{
    char head[64];
    const struct mt_findings_process about = {.pid = (uint32_t)ended->pid,
                                              .head = head,
                                              .ended = true,
                                              .status = ended->status};
    struct mt_error error = {0};
    struct mt_source *source = mt_exited_open(ended, &error);

    describe_end(ended->status, head);
    mt_check_look(context, &about, source, ended, &error);
}

void mt_check_lost(void *context, pid_t pid, const char *why)
{
    struct mt_findings_process about = {.pid = (uint32_t)pid};
    struct mt_error error = {0};
    char link[64], path[4096];

    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    about.command = n > 0 ? path : NULL;
    mt_fail(&error, "%s", why);
    mt_check_look(context, &about, NULL, NULL, &error);
}

/* --- all of them --- */

void mt_check_begin(struct mt_check *check)
{
    check->writer = (struct mt_json){.out = check->out};
    if (!check->json)
        return;
    mt_json_open(&check->writer, NULL, '{');
    mt_json_u64(&check->writer, "version", 1);
    mt_json_open(&check->writer, "processes", '[');
}

static void check_put_end(const struct mt_check *check, enum mt_result result,
                          FILE *out)
{
    const uint64_t *n = check->processes;
    const struct mt_findings *findings = &check->policy.findings;

    fprintf(out, "memtrace check: %s",
            check->crashed     ? "crashed"
            : check->signalled ? "ended by a signal"
                               : mt_result_names[result]);
    if (result == MT_RESULT_PASSED && !check->signalled) {
        uint64_t passed = n[MT_RESULT_PASSED];
        mt_put_count(out, ": %s process{|es}", passed);
        if (passed == 1 && findings->n_processes == 1 &&
            findings->processes[0].why) {
            fputs(", ", out);
            mt_put_text(out, findings->processes[0].why);
        }
        putc('\n', out);
        return;
    }
    fprintf(out,
            ": %" PRIu64 " passed, %" PRIu64 " with leaks, %" PRIu64
            " not checked",
            n[MT_RESULT_PASSED], n[MT_RESULT_LEAKS], n[MT_RESULT_NOT_CHECKED]);
    if (check->signalled)
        fprintf(out, "; %" PRIu64 " ended by a signal", check->signalled);
    putc('\n', out);
}

enum mt_result mt_check_finish(struct mt_check *check)
{
    enum mt_result result = mt_policy_decide_all(check->processes);
    struct mt_fold fold;
    FILE *out;

    if (check->json) {
        mt_json_close(&check->writer, ']');
        mt_json_string(&check->writer, "result", mt_result_names[result]);
        mt_json_u64(&check->writer, "crashed", check->crashed);
        mt_json_u64(&check->writer, "ended_by_signal", check->signalled);
        mt_json_bool(&check->writer, "followed", !check->unfollowed);
        mt_policy_json(&check->policy, &check->writer);
        mt_json_close(&check->writer, '}');
        return result;
    }
    out = mt_fold_begin(&fold, check->out, check->columns);
    if (check->verbose || result != MT_RESULT_PASSED || check->policy.update)
        mt_policy_print(&check->policy, out);
    if (check->unfollowed)
        fputs("  without ptrace: processes were looked at by their exit hooks "
              "and in core\n  files; of children that are not on the traced "
              "heap nothing is known\n",
              out);
    check_put_end(check, result, out);
    mt_fold_end(&fold, check->out);
    return result;
}
