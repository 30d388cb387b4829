/* SPDX-License-Identifier: BSD-2-Clause
 *
 * run_save.c - run --save: follows a program and writes a mini-core when it
 * exits.
 */
#include "coreanalyze/commands/run_save.h"
#include "coreanalyze/check/follow.h"
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/base/output.h"
#include "coreanalyze/save/save.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define WAIT_S 5

struct saver {
    const char *pattern;
    bool all;             /* children too */
    bool saved;           /* the program was */
    struct mt_error *why; /* it was not */
    const struct mt_check_end *end;
};

static bool run_save_write(const struct saver *saver,
                           const struct mt_exited *end,
                           struct mt_source *source, struct mt_error *error)
{
    struct mt_snapshot_options options = {0};
    struct mt_model *model = mt_snapshot_take(source, &options, error);
    char *name = NULL;
    uint64_t bytes;
    /* A trace that the kernel took in part would look like a small one. */
    bool ok = model && !mt_exited_reaped(end, error);

    if (ok) {
        name = mt_output_name(saver->pattern, source->process.pid,
                              source->process.name);
        ok = name ? mt_save_write(model, name, &bytes, error)
                  : mt_no_memory(error, "the name of the file");
    }
    free(name);
    mt_model_free(model);
    return ok;
}

static void run_save_say(pid_t pid, const char *why)
{
    fprintf(stderr, "memtrace: run: process %d is not saved: ", (int)pid);
    mt_put_text(stderr, why);
    putc('\n', stderr);
}

static void run_save_ended(void *context, const struct mt_exited *end)
{
    struct saver *saver = context;
    struct mt_error error = {0};
    struct mt_source *source;
    bool ok;

    if (!saver->all && !end->program)
        return;
    source = mt_exited_open(end, &error);
    ok = source && run_save_write(saver, end, source, &error);
    mt_source_free(source);
    if (!ok && !mt_exited_reaped(end, &error))
        mt_untraced_explain_child(end->reader, &error);
    if (end->program) {
        saver->saved = ok;
        if (!ok)
            *saver->why = error;
    } else if (!ok) {
        run_save_say(end->pid, error.text);
    }
}

static void run_save_lost(void *context, pid_t pid, const char *why)
{
    const struct saver *saver = context;

    if ((uint32_t)pid == saver->end->pid)
        mt_fail(saver->why, "%s", why);
    else if (saver->all)
        run_save_say(pid, why);
}

int mt_run_save(char *const *argv, const char *preload, const char *pattern,
                struct mt_error *error)
{
    struct mt_error why = {0};
    struct mt_check_end end;
    struct saver saver = {.pattern = pattern,
                          .all = strstr(pattern, "%p") != NULL,
                          .why = &why,
                          .end = &end};
    struct mt_check_events events = {.ended = run_save_ended,
                                     .lost = run_save_lost,
                                     .context = &saver,
                                     .wait_s = WAIT_S,
                                     .command = "run"};
    char *unfollowed = NULL;
    int status;

    if (asprintf(&unfollowed, "save=%s", pattern) < 0)
        unfollowed = NULL;
    /* A colon would end the value. */
    events.unfollowed = strchr(pattern, ':') ? NULL : unfollowed;
    if (!mt_check_run(argv, preload, &events, &end, error)) {
        free(unfollowed);
        return error->status;
    }
    if (!end.followed)
        fprintf(stderr, "memtrace: run: ptrace is not allowed here: %s\n",
                events.unfollowed ? "a process that a signal ends is not saved"
                                  : "nothing is saved");
    free(unfollowed);
    status = WIFSIGNALED(end.status) ? 128 + WTERMSIG(end.status)
                                     : WEXITSTATUS(end.status);
    if (!end.followed || saver.saved)
        return status;
    mt_fail(error, "run: not saved: %s",
            why.text[0] ? why.text : "memtrace missed the program's exit");
    return status ? status : 1;
}
