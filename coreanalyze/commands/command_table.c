/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command_table.c - the table of commands, and how one is run by its name.
 */
#include "coreanalyze/commands/command.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/commands/habits.h"

#include <string.h>

const struct mt_command *const mt_commands[] = {
    &mt_command_run,
    &mt_command_show,
    &mt_command_leaks,
    &mt_command_diff,
    &mt_command_blocks,
    &mt_command_retained,
    &mt_command_check,
    &mt_command_refs,
    &mt_command_whatis,
    &mt_command_map,
    &mt_command_save,
    &mt_command_export,
    &mt_command_report,
    &mt_command_info,
    &mt_command_heaps,
    &mt_command_on,
    &mt_command_off,
    &mt_command_watch,
    &mt_command_top,
    &mt_command_core_handler,
    &mt_command_box,
    &mt_command_gdb,
    NULL,
};

const struct mt_command *mt_command_find(const char *name)
{
    for (size_t i = 0; mt_commands[i]; i++)
        if (strcmp(mt_commands[i]->name, name) == 0)
            return mt_commands[i];
    return NULL;
}

static const struct mt_command *command_near(const char *word)
{
    for (size_t i = 0; mt_commands[i]; i++)
        if (mt_is_near(word, mt_commands[i]->name))
            return mt_commands[i];
    return NULL;
}

static int command_unknown(const char *word, struct mt_error *error)
{
    const struct mt_command *near = command_near(word);
    char text[200];

    if (near)
        mt_fail(error,
                "unknown command '%s': did you mean %s? (see memtrace --help)",
                word, near->name);
    else if (mt_habit_command(word, text, sizeof text))
        mt_fail(error, "unknown command '%s': %s (see memtrace --help)", word,
                text);
    else
        mt_fail(error, "unknown command '%s' (see memtrace --help)", word);
    return MT_EXIT_ERROR;
}

int mt_session_run(struct mt_session *session, int argc,
                   const char *const *argv, struct mt_error *error)
{
    const struct mt_command *command = mt_command_find(argv[0]);
    int status;

    memset(error, 0, sizeof *error);
    if (command == NULL)
        return command_unknown(argv[0], error);
    session->ended = 0;
    status = command->run(session, argc, argv, error);
    session->out = mt_fold_end(&session->fold, session->out);
    if (session->ended == 0 || status == MT_EXIT_ERROR)
        return status;
    mt_fail(error,
            "process %u ended while it was read: the report is not whole",
            (unsigned)session->ended);
    return MT_EXIT_ERROR;
}
