/* SPDX-License-Identifier: BSD-2-Clause
 *
 * check_report.c - the heap of a process at its end: clean, leaks, or not
 * checked; never one for the other.
 */
#include "coreanalyze/check/check_report.h"
#include "coreanalyze/reach/mark_keep.h"
#include "coreanalyze/reports/print_leaks.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
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

/* Where it cannot be frozen it is read in place: it stands still. */
static struct mt_source *open_captured(const struct mt_check *check,
                                       const struct mt_exited *ended,
                                       struct mt_error *error)
{
    struct mt_snapshot_options options = {0, NULL};
    struct mt_source *source = mt_exited_open(ended, error);

    if (source) {
        mt_capture_memory(source, &options, &check->leaks.mark.scan, false,
                          error);
        source->captured.stopped = true;
    }
    return source;
}

static void set_result(const struct mt_check *check,
                       const struct mt_model *model,
                       const struct mt_leaks *leaks,
                       struct mt_findings_process *p)
{
    p->result = MT_CHECK_CLEAN;
    if (leaks->stopped) {
        p->result = MT_CHECK_NOT_CHECKED;
        p->why = "stopped early";
    } else if (p->failing_count > 0 &&
               p->failing_bytes > check->policy.max_bytes) {
        p->result = MT_CHECK_LEAKS;
    } else if (!mt_leaks_complete(model, leaks)) {
        p->result = MT_CHECK_NOT_CHECKED;
        p->why = "not all of it could be seen: see the notes";
    }
}

static void check_put_head(struct mt_check *check,
                           const struct mt_findings_process *p)
{
    FILE *out = check->out;
    struct mt_json *json = &check->writer;

    check->processes[p->result]++;
    if (check->json) {
        mt_json_open(json, NULL, '{');
        mt_json_u64(json, "pid", p->pid);
        mt_json_string(json, "command", p->command);
        mt_json_string(json, "result", mt_check_result_names[p->result]);
        mt_json_string(json, "why", p->why);
        mt_json_string(json, "heap", p->head);
        mt_json_u64(json, "failing_bytes", p->failing_bytes);
        mt_json_u64(json, "failing_blocks", p->failing_count);
        return;
    }
    fprintf(out, "memtrace check: process %u", p->pid);
    if (p->command) {
        fputs(" (", out);
        mt_put_text(out, p->command);
        putc(')', out);
    }
    fprintf(out, ": %s", mt_check_result_names[p->result]);
    if (p->why) {
        fputs(": ", out);
        mt_put_text(out, p->why);
    }
    if (p->head)
        fprintf(out, "\n  %s", p->head);
    putc('\n', out);
}

static void put_report(struct mt_check *check, const struct mt_report *report,
                       struct mt_leaks *leaks,
                       const struct mt_findings_process *p)
{
    if (check->top && leaks->show.n_rows > check->top)
        leaks->show.n_rows = check->top;
    if (check->json)
        mt_json_put_leaks(&check->writer, report, leaks);
    else if (leaks->show.n_rows > 0 || p->result != MT_CHECK_CLEAN)
        mt_print_leaks(report, leaks);
}

static void finish_process(struct mt_check *check)
{
    if (check->json)
        mt_json_close(&check->writer, '}');
    fflush(check->out);
}

/* Searches the heap of the process and reports it. */
static bool look_at(struct mt_check *check, struct mt_source *source,
                    struct mt_findings_process *p, struct mt_error *error)
{
    struct mt_snapshot_options options = {0, NULL};
    struct mt_model *model = mt_snapshot_take(source, &options, error);
    struct mt_resolver *resolver = NULL;
    struct mt_leaks leaks = {0};
    bool ok = model && mt_leaks_run(model, &check->leaks, &leaks, error);

    if (ok) {
        resolver = mt_resolver_new(model, &check->names);
        ok = resolver || mt_no_memory(error, "the names");
    }
    if (ok) {
        struct mt_report report = {model,      &leaks.show,        resolver,
                                   check->out, mt_leak_kind_names, NULL};
        ok = mt_policy_own(&check->policy, model, error) &&
             mt_policy_judge(&check->policy, p, &report, &leaks, error);
        if (ok) {
            set_result(check, model, &leaks, p);
            check_put_head(check, p);
            put_report(check, &report, &leaks, p);
        }
    }
    if (resolver && !mt_resolver_finish(resolver, ok ? error : NULL))
        ok = false;
    mt_leaks_free(&leaks);
    mt_model_free(model);
    return ok;
}

static void not_checked(struct mt_check *check, struct mt_findings_process *p,
                        const char *why)
{
    p->result = MT_CHECK_NOT_CHECKED;
    p->why = mt_findings_text(&check->policy.findings, why);
    check_put_head(check, p);
}

void mt_check_look(struct mt_check *check,
                   const struct mt_findings_process *about,
                   struct mt_source *source, struct mt_error *error)
{
    struct mt_findings *findings = &check->policy.findings;
    struct mt_findings_process none, *p = mt_findings_add(findings);
    struct mt_snapshot_options options = {0, NULL};
    bool room = p != NULL;

    if (!room)
        p = &none;
    *p = *about;
    p->head = mt_findings_text(findings, about->head);
    p->command = mt_findings_text(findings, about->command);
    if (source && source->process.kind == MT_SOURCE_CORE)
        mt_capture_memory(source, &options, &check->leaks.mark.scan, false,
                          error);
    if (source) {
        p->command = mt_findings_text(findings, source->process.command);
        p->exe = mt_findings_text(findings, source->process.exe);
    }
    if (!room)
        not_checked(check, p, "out of memory");
    else if (source == NULL || !look_at(check, source, p, error))
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
    struct mt_source *source = open_captured(context, ended, &error);

    describe_end(ended->status, head);
    mt_check_look(context, &about, source, &error);
}

void mt_check_lost(void *context, pid_t pid, const char *why)
{
    const struct mt_findings_process about = {.pid = (uint32_t)pid};
    struct mt_error error = {0};

    mt_fail(&error, "%s", why);
    mt_check_look(context, &about, NULL, &error);
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

enum mt_check_result mt_check_finish(struct mt_check *check)
{
    const uint64_t *n = check->processes;
    enum mt_check_result result =
        n[MT_CHECK_LEAKS] > 0 ? MT_CHECK_LEAKS
        : n[MT_CHECK_NOT_CHECKED] > 0 ||
                n[MT_CHECK_CLEAN] + n[MT_CHECK_LEAKS] == 0
            ? MT_CHECK_NOT_CHECKED
            : MT_CHECK_CLEAN;

    if (check->json) {
        mt_json_close(&check->writer, ']');
        mt_json_string(&check->writer, "result", mt_check_result_names[result]);
        mt_json_bool(&check->writer, "followed", !check->unfollowed);
        mt_policy_json(&check->policy, &check->writer);
        mt_json_close(&check->writer, '}');
    } else {
        mt_policy_print(&check->policy, check->out);
        if (check->unfollowed)
            fputs("  ptrace is not allowed here: processes were looked at by "
                  "their exit hooks\n  and in core files; of children that "
                  "are not on the traced heap nothing is known\n",
                  check->out);
        fprintf(check->out,
                "memtrace check: %s: %" PRIu64 " clean, %" PRIu64
                " with leaks, %" PRIu64 " not checked\n",
                mt_check_result_names[result], n[MT_CHECK_CLEAN],
                n[MT_CHECK_LEAKS], n[MT_CHECK_NOT_CHECKED]);
    }
    return result;
}
