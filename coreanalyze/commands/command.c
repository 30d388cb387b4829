/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command.c - the table of commands, and what they share.
 */
#include "coreanalyze/commands/command.h"
#include "coreanalyze/snapshot/snapshot.h"

#include <string.h>

const struct mt_command *const mt_commands[] = {
    &mt_command_run,  &mt_command_show,     &mt_command_leaks,
    &mt_command_diff, &mt_command_retained, &mt_command_check,
    &mt_command_refs, &mt_command_whatis,   &mt_command_save,
    &mt_command_info, &mt_command_heaps,    &mt_command_on,
    &mt_command_off,  &mt_command_gdb,      NULL,
};

const struct mt_command *mt_command_find(const char *name)
{
    for (size_t i = 0; mt_commands[i]; i++)
        if (strcmp(mt_commands[i]->name, name) == 0)
            return mt_commands[i];
    return NULL;
}

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
    if (shell && command->takes_target)
        fputs("\nTARGET is a process id, or a core file (also compressed by "
              "zstd, xz or lz4).\n",
              out);
    fputs("\nOptions:\n", out);
    mt_options_print(command->options, out);
}

int mt_session_run(struct mt_session *session, int argc,
                   const char *const *argv, struct mt_error *error)
{
    const struct mt_command *command = mt_command_find(argv[0]);

    memset(error, 0, sizeof *error);
    if (command == NULL) {
        mt_fail(error, "no command %s (see memtrace --help)", argv[0]);
        return MT_EXIT_ERROR;
    }
    return command->run(session, argc, argv, error);
}

bool mt_target_open(struct mt_session *session, const char *command,
                    const char *name, struct mt_target *target,
                    struct mt_error *error)
{
    memset(target, 0, sizeof *target);
    if (session->target) {
        target->source = session->target;
        return true;
    }
    if (name == NULL)
        return mt_fail(error, "%s: no TARGET: a process id or a core", command);
    target->source = mt_source_open(name, error);
    target->owned = true;
    if (target->source)
        target->source->progress = session->progress;
    return target->source != NULL;
}

bool mt_target_model(struct mt_session *session, struct mt_target *target,
                     struct mt_error *error)
{
    struct mt_snapshot_options options = {session->root_symbol,
                                          session->progress};

    target->model = mt_snapshot_take(target->source, &options, error);
    return target->model != NULL;
}

void mt_target_close(struct mt_target *target)
{
    mt_model_free(target->model);
    if (target->owned)
        mt_source_free(target->source);
    memset(target, 0, sizeof *target);
}
