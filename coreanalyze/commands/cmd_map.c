/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_map.c - memtrace map: where all of the memory of a process is.
 */
#include "coreanalyze/commands/search_options.h"
#include "coreanalyze/reports/print_map.h"

#include <string.h>

struct arguments {
    struct mt_arguments common;
    const char *old;
    uint64_t top;
    bool no_stop;
};

static const struct mt_option options[] = {
    {"--old", 0, "TARGET",
     "show what changed since this core or process, the most change first",
     MT_FIELD(mt_parse_text, const char *, old)},
    {"--top", 'n', "N",
     "the first N origins (default: 20, or all with --json); 0: all",
     MT_FIELD(mt_parse_count, uint64_t, top)},
    MT_OPTION_NO_STOP,
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON,
    MT_OPTION_FOLDED,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

/* A map, and the target that its names belong to. */
struct mapped {
    struct mt_target target;
    struct mt_memory_map map;
    struct mt_error no_model; /* empty: there is a traced heap */
};

/* A process without a traced heap has a map, too. */
static bool cmd_map_take(struct mt_session *session, const struct arguments *a,
                         const char *name, struct mapped *mapped,
                         struct mt_error *error)
{
    struct mt_target *target = &mapped->target;
    const struct mt_source_ops *ops;
    bool stop, ok;

    if (!mt_target_open(session, "map", name, target, error))
        return false;
    ops = target->source->ops;
    stop = !a->no_stop && ops->stop;
    if (stop && !ops->stop(target->source, error))
        return false;
    ok = mt_target_model(session, target, &mapped->no_model);
    if (!ok && target->model) {
        *error = mapped->no_model;
        return false;
    }
    ok =
        mt_memory_map_run(target->source, target->model, &mapped->map, error) &&
        mt_target_lives(target, error);
    if (stop)
        ops->resume(target->source);
    return ok;
}

/* Names for one side; a map without a traced heap has none. */
static bool cmd_map_names(struct mt_session *session, const struct arguments *a,
                          struct mt_report *report, struct mt_error *error)
{
    if (report->model)
        report->resolver = mt_arguments_resolver(session, &a->common.places,
                                                 report->model, error);
    return !report->model || report->resolver;
}

static bool cmd_map_write(const struct arguments *a,
                          const struct mt_map_report *map,
                          struct mt_error *error)
{
    if (a->common.folded)
        return mt_print_map_folded(map, error);
    if (a->common.json)
        mt_print_map_json(map);
    else
        mt_print_map(map);
    return true;
}

/* False with `error` filled, also if memory ran out for names. */
static bool cmd_map_finish(struct mt_report *report, bool ok,
                           struct mt_error *error)
{
    struct mt_error other;

    if (!report->resolver)
        return ok;
    return mt_resolver_finish(report->resolver, ok ? error : &other) && ok;
}

static bool cmd_map_print(struct mt_session *session, const struct arguments *a,
                          struct mapped *now, struct mapped *old,
                          struct mt_error *error)
{
    struct mt_model *const models[] = {old->target.model, now->target.model};
    const struct mt_memory_map *const maps[] = {a->old ? &old->map : NULL,
                                                &now->map};
    struct mt_style style;
    struct mt_report reports[2] = {
        {models[0], NULL, NULL, session->out, NULL, &style},
        {models[1], NULL, NULL, session->out, NULL, &style}};
    struct mt_memory_diff diff = {.n = 0};
    struct mt_map_report map = {
        .map = &now->map,
        .old = maps[0],
        .diff = &diff,
        .source = now->target.source,
        .report = &reports[1],
        .old_report = &reports[0],
        .no_model = models[1] ? NULL : now->no_model.text,
        .top = a->top,
    };
    bool ok =
        mt_session_style(session, &a->common.style, &style, error) &&
        mt_memory_diff_run(models, maps, &diff, error) &&
        cmd_map_names(session, a, &reports[1], error) &&
        (!a->old || cmd_map_names(&(struct mt_session){.out = session->out}, a,
                                  &reports[0], error)) &&
        cmd_map_write(a, &map, error);

    ok = cmd_map_finish(&reports[0], ok, error);
    ok = cmd_map_finish(&reports[1], ok, error);
    mt_memory_diff_free(&diff);
    return ok;
}

static int cmd_map_run(struct mt_session *session, int argc,
                       const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.top = UINT64_MAX};
    struct mapped now, old;
    int status;
    bool ok;

    memset(&now, 0, sizeof now);
    memset(&old, 0, sizeof old);
    if (!mt_arguments_read(session, &mt_command_map, argc, argv, &a, &status,
                           error))
        return status;
    if (a.top == UINT64_MAX)
        a.top = a.common.style.full || a.common.json ? 0 : MT_STYLE_ROWS;
    ok = cmd_map_take(session, &a, a.common.target, &now, error);
    if (ok && a.old) {
        struct mt_session other = *session;
        other.target = NULL;
        ok = cmd_map_take(&other, &a, a.old, &old, error);
    }
    if (ok && a.old && now.map.of_trace != old.map.of_trace)
        ok = mt_fail(error, "map: one of the two is a trace alone, where what "
                            "was resident is not known: save a whole core to "
                            "compare with");
    ok = ok && cmd_map_print(session, &a, &now, &old, error);
    mt_memory_map_free(&now.map);
    mt_memory_map_free(&old.map);
    mt_target_close(&now.target);
    if (old.target.session)
        mt_target_close(&old.target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_map = {
    .name = "map",
    .operands = "TARGET",
    .summary = "Show where all of the memory of a process is.",
    .details =
        "Every resident page is counted once, in one kind: bytes of blocks\n"
        "that were asked for, the rest of the heaps, the trace, anonymous\n"
        "memory by its stack or name, the program break, stacks of threads,\n"
        ".data and .bss, files, shared memory, devices, and unknown.  Of a\n"
        "live process the kinds add up to the kernel's figure, Rss in\n"
        "/proc/PID/smaps; of a core, to the bytes in the file.  Of a\n"
        "mini-core or a black box, the map has what the trace knows, as it "
        "was\n"
        "mapped.  The process needs no traced heap; it is stopped while it is\n"
        "read.\n",
    .options = options,
    .takes_target = true,
    .run = cmd_map_run,
};
