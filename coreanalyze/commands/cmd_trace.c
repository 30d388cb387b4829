/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_trace.c - memtrace on and off: one word written into a live process,
 * without stopping it.
 */
#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/base/text.h"

#include <string.h>

struct arguments {
    struct mt_arguments common;
    const char *heap;
};

static const struct mt_option options[] = {
    {"--heap", 0, "NAME", "only this heap (default: all)",
     MT_FIELD(mt_parse_text, const char *, heap)},
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
        return mt_fail(error,
                       "the trace has no heap '%s': `memtrace heaps` lists "
                       "those that it has",
                       name);
    for (uint32_t i = 0; i < model->n_heaps; i++) {
        if (!model->heaps[i].in_use || (only && only->id != i))
            continue;
        if (!switch_heap(session, model, i, on, error))
            return false;
        n++;
    }
    return n > 0 || mt_fail(error, "the trace has no heap");
}

static int cmd_trace_run(struct mt_session *session, int argc,
                         const char *const *argv, struct mt_error *error)
{
    bool on = strcmp(argv[0], mt_command_on.name) == 0;
    const struct mt_command *command = on ? &mt_command_on : &mt_command_off;
    struct arguments a = {0};
    struct mt_target target;
    int status;
    bool ok;

    if (!mt_arguments_read(session, command, argc, argv, &a, &status, error))
        return status;
    ok = mt_target_open(session, argv[0], a.common.target, &target, error) &&
         mt_target_model(session, &target, error) &&
         switch_heaps(session, target.model, a.heap, on, error);
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
    .run = cmd_trace_run,
};

const struct mt_command mt_command_off = {
    .name = "off",
    .operands = "PID",
    .summary = "Switch tracing off in a live process.",
    .details = "Blocks that were traced before stay so until they are freed.\n"
               "The process is not stopped.\n",
    .options = options,
    .takes_target = true,
    .run = cmd_trace_run,
};
