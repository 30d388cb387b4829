/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command.c - what commands share: their help, and the target they open.
 */
#include "coreanalyze/commands/command.h"
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/source/coredump_store.h"

#include <stdlib.h>
#include <string.h>

/* In GDB the target is the inferior: the operand is left out. */
void mt_command_help(const struct mt_command *command, bool shell, FILE *out)
{
    const char *operands = command->operands;

    if (!shell && command->debugger_operands)
        operands = command->debugger_operands;
    else if (!shell && command->takes_target)
        operands = strchr(operands, ' ') ? strchr(operands, ' ') + 1 : "";
    fprintf(out, "Usage: memtrace %s [OPTIONS]%s%s\n\n%s\n", command->name,
            *operands ? " " : "", operands, command->summary);
    if (command->details)
        fprintf(out, "\n%s", command->details);
    if (shell && command->takes_target && strstr(operands, "TARGET"))
        fputs("\nTARGET is a process: its id, the name of its program, its "
              "systemd unit\n(web.service), or the folder of its cgroup.  Or "
              "it is a core file (also\ncompressed by zstd, xz or lz4), - for "
              "one on standard input, or\ncoredump:PID for one that "
              "systemd-coredump keeps.\n",
              out);
    fputs("\nOptions:\n", out);
    mt_options_print(command->options, out);
}

static struct mt_source *target_source(const struct mt_session *session,
                                       const char *name, struct mt_error *error)
{
    static const char prefix[] = MT_COREDUMP_PREFIX;
    struct mt_source *source;
    char *path;

    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return mt_source_open(name, error);
    path = mt_coredump_find(session->sysroot, name + sizeof prefix - 1, error);
    source = path ? mt_source_open_core(path, error) : NULL;
    free(path);
    return source;
}

bool mt_target_open(struct mt_session *session, const char *command,
                    const char *name, struct mt_target *target,
                    struct mt_error *error)
{
    memset(target, 0, sizeof *target);
    target->session = session;
    if (session->target) {
        target->source = session->target;
        target->source->limits = session->limits;
        return true;
    }
    if (name == NULL)
        return mt_missing(command, "TARGET, a process or a core file", error);
    target->source = target_source(session, name, error);
    target->owned = true;
    if (target->source) {
        target->source->progress = session->progress;
        target->source->limits = session->limits;
        if (session->sysroot)
            target->source->process.root = session->sysroot;
    }
    return target->source != NULL;
}

bool mt_target_model(struct mt_session *session, struct mt_target *target,
                     struct mt_error *error)
{
    struct mt_snapshot_options options = {session->root_symbol,
                                          session->progress, 0};

    target->model = mt_snapshot_take(target->source, &options, error);
    if (!target->model)
        return mt_target_untraced(session, target, error);
    return mt_target_lives(target, error);
}

bool mt_target_untraced(const struct mt_session *session,
                        const struct mt_target *target, struct mt_error *error)
{
    const struct mt_process *process = &target->source->process;

    if (!session->target && !process->path)
        mt_untraced_explain((pid_t)process->pid, error);
    return false;
}

/* The captured memory stays. */
bool mt_target_lives(const struct mt_target *target, struct mt_error *error)
{
    const struct mt_source *source = target->source;

    if (!source->coverage.ended || source->captured.copied)
        return true;
    return mt_fail(error, "process %u ended while it was read",
                   (unsigned)source->process.pid);
}

void mt_target_close(struct mt_target *target)
{
    struct mt_source *source = target->source;

    if (source && source->coverage.ended && !source->captured.copied)
        target->session->ended = source->process.pid;
    if (source && !target->owned && source->ops->resume)
        source->ops->resume(source);
    mt_model_free(target->model);
    if (target->owned)
        mt_source_free(target->source);
    memset(target, 0, sizeof *target);
}

int mt_exit_of(enum mt_result result)
{
    static const int statuses[MT_N_RESULTS] = {MT_EXIT_OK, MT_EXIT_LEAKS,
                                               MT_EXIT_UNCHECKED};

    return statuses[result];
}
