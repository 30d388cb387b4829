/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_trace.c - memtrace on and off: one word written into a live process,
 * without stopping it.
 */
#include "coreanalyze/command.h"
#include "coreanalyze/snapshot.h"
#include "coreanalyze/text.h"

#include <string.h>

enum { OPT_HEAP };

static const struct mt_option options[] = {
    [OPT_HEAP] = {"--heap", 0, "NAME", "only this heap (default: all)"},
    {0},
};

static bool switch_heap(struct mt_session *session, struct mt_model *model,
                        uint32_t heap, bool on, struct mt_error *error)
{
    bool was;

    if (!mt_snapshot_set_trace(model, heap, on, &was, error))
        return false;
    fprintf(session->out, "tracing %s", on ? "on" : "off");
    fputs(": heap '", session->out);
    mt_put_text(session->out, model->heaps[heap].name);
    fprintf(session->out, "' (was %s)\n", was ? "on" : "off");
    return true;
}

static bool switch_heaps(struct mt_session *session, struct mt_model *model,
                         const char *name, bool on, struct mt_error *error)
{
    const struct mt_heap *only = NULL;
    size_t n = 0;

    if (name && (only = mt_model_heap(model, name)) == NULL)
        return mt_fail(error, "the trace has no heap '%s'", name);
    for (uint32_t i = 0; i < model->n_heaps; i++) {
        if (!model->heaps[i].in_use || (only && only->id != i))
            continue;
        if (!switch_heap(session, model, i, on, error))
            return false;
        n++;
    }
    return n > 0 || mt_fail(error, "the trace has no heap");
}

static int run(struct mt_session *session, int argc, const char *const *argv,
               struct mt_error *error)
{
    const struct mt_command *command = mt_command_find(argv[0]);
    struct mt_args args = {.argc = argc, .argv = argv, .options = options};
    const char *name = NULL, *heap = NULL;
    struct mt_target target;
    int option;
    bool ok;

    while ((option = mt_args_next(&args, error)) != MT_ARG_END) {
        if (option == MT_ARG_HELP) {
            mt_command_help(command, session->target == NULL, session->out);
            return MT_EXIT_OK;
        }
        if (option == MT_ARG_ERROR ||
            (option == MT_ARG_OPERAND &&
             !mt_take_target(session, &args, &name, error)))
            return MT_EXIT_ERROR;
        if (option == OPT_HEAP)
            heap = args.value;
    }
    ok = mt_target_open(session, argv[0], name, &target, error) &&
         mt_target_model(session, &target, error) &&
         switch_heaps(session, target.model, heap, command == &mt_command_on,
                      error);
    mt_target_close(&target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_on = {
    .name = "on",
    .operands = "PID",
    .summary = "Switch tracing on in a live process.",
    .details = "Blocks that were allocated before stay untraced, and reports\n"
               "count them as such.  The process is not stopped.\n",
    .options = options,
    .takes_target = true,
    .run = run,
};

const struct mt_command mt_command_off = {
    .name = "off",
    .operands = "PID",
    .summary = "Switch tracing off in a live process.",
    .details = "Blocks that were traced before stay so until they are freed.\n"
               "The process is not stopped.\n",
    .options = options,
    .takes_target = true,
    .run = run,
};
