/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_info.c - memtrace info: process, heaps, coverage and health of the
 * trace; and memtrace heaps: the heaps alone.
 */
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/reports/print.h"

#include <string.h>

struct arguments {
    struct mt_arguments common;
};

static const struct mt_option options[] = {
    MT_OPTION_JSON,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

static int cmd_info_run(struct mt_session *session, int argc,
                        const char *const *argv, struct mt_error *error)
{
    bool heaps = strcmp(argv[0], mt_command_heaps.name) == 0;
    const struct mt_command *command =
        heaps ? &mt_command_heaps : &mt_command_info;
    struct mt_show_options all = {0};
    struct mt_show show = {0};
    struct mt_target target;
    struct arguments a = {0};
    int status;
    bool ok;

    if (!mt_arguments_read(session, command, argc, argv, &a, &status, error))
        return status;
    ok = mt_target_open(session, argv[0], a.common.target, &target, error) &&
         mt_target_model(session, &target, error) &&
         mt_show_run(target.model, &all, &show, error);
    if (ok) {
        struct mt_report report = {target.model, &show, NULL,
                                   session->out, NULL,  NULL};
        if (a.common.json)
            mt_print_json(&report);
        else if (heaps)
            mt_print_heaps(&report);
        else
            mt_print_info(&report);
    }
    mt_show_free(&show);
    mt_target_close(&target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_info = {
    .name = "info",
    .operands = "TARGET",
    .summary = "Show the process, its heaps, and how complete the trace is.",
    .details =
        "Says how the trace was found, what it covers, how full its tables\n"
        "are, the last error of the program's use of the heap, and everything\n"
        "that reports about this target do not see.\n",
    .options = options,
    .takes_target = true,
    .run = cmd_info_run,
};

const struct mt_command mt_command_heaps = {
    .name = "heaps",
    .operands = "TARGET",
    .summary = "Show the heaps: base, size, flags, pages and totals.",
    .options = options,
    .takes_target = true,
    .run = cmd_info_run,
};
