/* SPDX-License-Identifier: BSD-2-Clause
 *
 * check_report.c - the heap of a process at its end: clean, leaks, or not
 * checked; never one for the other.
 */
#include "coreanalyze/check_report.h"
#include "coreanalyze/print_leaks.h"
#include "coreanalyze/snapshot.h"
#include "coreanalyze/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

const char *const mt_check_result_names[] = {"clean", "leaks", "not checked"};

/* --- one process --- */

struct finding {
    enum mt_check_result result;
    char head[64]; /* how it ended */
    const char *why;
    uint64_t bytes, count; /* that fail it */
};

static void describe_end(int status, char head[64])
{
    if (WIFSIGNALED(status))
        snprintf(head, 64, "the heap at the crash: signal %d",
                 WTERMSIG(status));
    else
        snprintf(head, 64, "the heap at exit with status %d",
                 WEXITSTATUS(status));
}

/* The registers of those that were held; a thread that ended before has none
 * and needs none. */
static bool set_threads(struct mt_source *source, const struct mt_ended *ended)
{
    struct mt_thread *threads = calloc(ended->n_threads, sizeof *threads);

    if (threads == NULL)
        return false;
    memcpy(threads, ended->threads, ended->n_threads * sizeof *threads);
    for (size_t i = 0; i < ended->n_threads; i++)
        for (size_t j = 0; j < source->n_threads; j++)
            if (source->threads[j].tid == threads[i].tid)
                memcpy(threads[i].name, source->threads[j].name,
                       sizeof threads[i].name);
    free(source->threads);
    source->threads = threads;
    source->n_threads = ended->n_threads;
    return true;
}

static struct mt_source *open_ended(const struct mt_ended *ended,
                                    struct mt_error *error)
{
    struct mt_source *source = mt_source_open_pid(ended->reader, error);

    if (source == NULL)
        return NULL;
    source->process.pid = (uint32_t)ended->pid;
    source->process.signal =
        WIFSIGNALED(ended->status) ? WTERMSIG(ended->status) : 0;
    /* Its first thread is gone, and with it the id in its own namespace. */
    if (ended->reader != ended->pid)
        source->process.namespace_pid = 0;
    if (set_threads(source, ended)) {
        if (source->ops->freeze(source, false, error)) {
            source->frozen.stopped = true;
            return source;
        }
    } else {
        mt_fail(error, "out of memory for the threads");
    }
    mt_source_free(source);
    return NULL;
}

static void judge(const struct mt_check *check, const struct mt_model *model,
                  const struct mt_leaks *leaks, struct finding *finding)
{
    for (size_t i = 0; i < leaks->show.n_rows; i++) {
        const struct mt_show_row *row = &leaks->show.rows[i];
        uint64_t bytes = row->bytes + row->indirect_bytes;
        if (!(check->fail_on & 1u << row->kind) ||
            (check->max_per_stack && bytes <= check->max_per_stack))
            continue;
        finding->bytes += bytes;
        finding->count += row->count + row->indirect_count;
    }
    finding->result = MT_CHECK_CLEAN;
    if (leaks->stopped) {
        finding->result = MT_CHECK_NOT_CHECKED;
        finding->why = "stopped early";
    } else if (finding->count > 0 && finding->bytes > check->max_bytes) {
        finding->result = MT_CHECK_LEAKS;
    } else if (!mt_leaks_complete(model, leaks)) {
        finding->result = MT_CHECK_NOT_CHECKED;
        finding->why = "not all of it could be seen: see the notes";
    }
}

static void put_head(struct mt_check *check, pid_t pid, const char *command,
                     const struct finding *finding)
{
    FILE *out = check->out;
    struct mt_json *json = &check->writer;

    check->processes[finding->result]++;
    if (check->json) {
        mt_json_open(json, NULL, '{');
        mt_json_u64(json, "pid", (uint64_t)pid);
        mt_json_string(json, "command", command);
        mt_json_string(json, "result", mt_check_result_names[finding->result]);
        mt_json_string(json, "why", finding->why);
        mt_json_string(json, "heap", finding->head[0] ? finding->head : NULL);
        mt_json_u64(json, "failing_bytes", finding->bytes);
        mt_json_u64(json, "failing_blocks", finding->count);
        return;
    }
    fprintf(out, "memtrace check: process %d", (int)pid);
    if (command) {
        fputs(" (", out);
        mt_put_text(out, command);
        putc(')', out);
    }
    fprintf(out, ": %s", mt_check_result_names[finding->result]);
    if (finding->why)
        fprintf(out, ": %s", finding->why);
    if (finding->head[0])
        fprintf(out, "\n  %s", finding->head);
    putc('\n', out);
}

static void put_report(struct mt_check *check, struct mt_model *model,
                       struct mt_leaks *leaks, const struct finding *finding)
{
    const struct mt_resolver_options names = {check->debug_dirs, check->sysroot,
                                              NULL, NULL};
    struct mt_resolver *resolver = mt_resolver_new(model, &names);
    struct mt_report report = {model, &leaks->show, resolver, check->out,
                               mt_leak_kind_names};

    if (check->top && leaks->show.n_rows > check->top)
        leaks->show.n_rows = check->top;
    if (resolver && check->json)
        mt_json_put_leaks(&check->writer, &report, leaks);
    else if (resolver &&
             (leaks->show.n_rows > 0 || finding->result != MT_CHECK_CLEAN))
        mt_print_leaks(&report, leaks);
    mt_resolver_free(resolver);
}

static void finish_process(struct mt_check *check)
{
    if (check->json)
        mt_json_close(&check->writer, '}');
    fflush(check->out);
}

void mt_check_ended(void *context, const struct mt_ended *ended)
{
    struct mt_check *check = context;
    struct finding finding = {.result = MT_CHECK_NOT_CHECKED};
    struct mt_error error = {0};
    struct mt_source *source = open_ended(ended, &error);
    struct mt_snapshot_options options = {0, NULL};
    struct mt_model *model =
        source ? mt_snapshot_take(source, &options, &error) : NULL;
    struct mt_leaks leaks = {0};
    bool ok = model && mt_leaks_run(model, &check->leaks, &leaks, &error);

    describe_end(ended->status, finding.head);
    if (ok)
        judge(check, model, &leaks, &finding);
    else
        finding.why = error.text;
    put_head(check, ended->pid, source ? source->process.command : NULL,
             &finding);
    if (ok)
        put_report(check, model, &leaks, &finding);
    finish_process(check);
    mt_leaks_free(&leaks);
    mt_model_free(model);
    mt_source_free(source);
}

void mt_check_lost(void *context, pid_t pid, const char *why)
{
    struct mt_check *check = context;
    struct finding finding = {.result = MT_CHECK_NOT_CHECKED, .why = why};

    put_head(check, pid, NULL, &finding);
    finish_process(check);
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
        mt_json_close(&check->writer, '}');
    } else {
        fprintf(check->out,
                "memtrace check: %s: %" PRIu64 " clean, %" PRIu64
                " with leaks, %" PRIu64 " not checked\n",
                mt_check_result_names[result], n[MT_CHECK_CLEAN],
                n[MT_CHECK_LEAKS], n[MT_CHECK_NOT_CHECKED]);
    }
    return result;
}
