/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_info.c - memtrace info: process, heaps, coverage and health of the
 * trace; and memtrace heaps: the heaps alone.
 */
#include "coreanalyze/command.h"
#include "coreanalyze/print.h"

enum { OPT_JSON };

static const struct mt_option options[] = {
    [OPT_JSON] = {"--json", 0, NULL, "JSON instead of text"},
    {0},
};

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    const struct mt_command *command = mt_command_find(argv[0]);
    struct mt_args args = {.argc = argc, .argv = argv, .options = options};
    struct mt_show_options all = {.since_s = -1};
    struct mt_show show = {0};
    struct mt_target target;
    const char *name = NULL;
    bool json = false, ok;
    int option;

    while ((option = mt_args_next(&args, error)) != MT_ARG_END) {
        if (option == MT_ARG_HELP) {
            mt_command_help(command, session->target == NULL, session->out);
            return MT_EXIT_OK;
        }
        if (option == MT_ARG_ERROR ||
            (option == MT_ARG_OPERAND &&
             !mt_take_target(session, &args, &name, error)))
            return MT_EXIT_ERROR;
        json |= option == OPT_JSON;
    }
    ok = mt_target_open(session, argv[0], name, &target, error) &&
         mt_target_model(session, &target, error) &&
         mt_show_run(target.model, &all, &show, error);
    if (ok) {
        struct mt_report report = {target.model, &show, NULL, session->out,
                                   NULL};
        if (json)
            mt_print_json(&report);
        else if (command == &mt_command_heaps)
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
    .run = run,
};

const struct mt_command mt_command_heaps = {
    .name = "heaps",
    .operands = "TARGET",
    .summary = "Show the heaps: base, size, flags, pages and totals.",
    .options = options,
    .takes_target = true,
    .run = run,
};
