/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_show.c - memtrace show: live memory by the stack that allocated it.
 */
#include "coreanalyze/commands/row_options.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/reports/print_timeline.h"
#include "coreanalyze/analyses/memory_map.h"

struct arguments {
    struct mt_arguments common;
    struct mt_show_options show;
    struct mt_row_arguments rows;
    bool stop, timeline;
};

static const struct mt_option options[] = {
    {"--heap", 0, "NAME", "only this heap",
     MT_FIELD(mt_parse_text, const char *, show.heap)},
    {"--top", 'n', "N",
     "the first N stacks (default: 20, or all with --full, --json or "
     "--folded); 0: all",
     MT_FIELD(mt_parse_count, uint64_t, show.top)},
    {"--min", 0, "BYTES", "show only stacks with at least BYTES live",
     MT_FIELD(mt_parse_bytes, uint64_t, show.min_bytes)},
    {"--depth", 0, "N", "merge stacks whose N innermost frames are the same",
     MT_FIELD(mt_parse_depth, unsigned, show.depth)},
    {"--sort", 0, "KEY",
     "bytes (the default), count, age (oldest block first), allocs "
     "(allocations since the start) or lifetime (their bytes); the last two "
     "list stacks whose blocks are freed, too",
     MT_FIELD(mt_parse_sort, enum mt_show_sort, show.sort)},
    MT_OPTIONS_ROWS(rows),
    MT_OPTION_BY(rows),
    MT_OPTION_SINCE(show),
    MT_OPTION_OLDER(show),
    {"--ages", 0, NULL,
     "of each stack the oldest and the newest block, how many are from each "
     "eighth of the time, and whether it grows steadily",
     MT_FIELD(mt_parse_flag, bool, show.ages)},
    {"--classes", 0, NULL,
     "of each size class its live and free blocks, its spans and their memory",
     MT_FIELD(mt_parse_flag, bool, show.classes)},
    {"--peak", 0, NULL,
     "what was live when the heaps held the most, instead of what is live",
     MT_FIELD(mt_parse_flag, bool, show.peak)},
    {"--timeline", 0, NULL,
     "instead of stacks, live bytes, memory and allocations over the life of "
     "the process",
     MT_FIELD(mt_parse_flag, bool, timeline)},
    MT_OPTIONS_STYLE,
    MT_OPTION_JSON_VERSION,
    MT_OPTION_FOLDED,
    {"--stop", 0, NULL, "stop a live process while its memory is read",
     MT_FIELD(mt_parse_flag, bool, stop)},
    MT_OPTION_STOP_TIMEOUT,
    MT_OPTION_DEBUG_DIR,
    MT_OPTION_SYSROOT,
    MT_OPTION_COREDUMP,
    {0},
};

/* The text has the sums of all memory; a target that does not show its pages
 * has none. */
static bool cmd_show_map(const struct arguments *a, struct mt_target *target,
                         struct mt_show *show, struct mt_memory_map *map,
                         struct mt_error *error)
{
    struct mt_error why = {0};

    if (a->timeline || a->common.json || a->common.folded ||
        a->common.style.full || a->show.heap ||
        !mt_memory_map_can(target->source))
        return true;
    if (mt_memory_map_run(target->source, target->model, map, &why))
        show->memory = map;
    if (why.no_memory)
        *error = why;
    return !why.no_memory;
}

/* Stopped or not, names are looked up when the target runs again. */
static bool cmd_show_collect(struct mt_session *session,
                             const struct arguments *a,
                             struct mt_target *target, struct mt_show *show,
                             struct mt_memory_map *map, struct mt_error *error)
{
    const struct mt_source_ops *ops = target->source->ops;
    bool stop = a->stop && ops->stop, ok;

    if (a->stop && !stop && target->owned &&
        target->source->process.kind == MT_SOURCE_LIVE)
        return mt_fail(error, "show: this target cannot be stopped");
    if (stop && !ops->stop(target->source, error))
        return false;
    ok = mt_target_model(session, target, error) &&
         (!a->show.peak || target->model->peak.known ||
          mt_fail(error, "show: the trace has no peak: it is taken of traced "
                         "heaps, when they hold 4 MiB, or 100 ms after the "
                         "start")) &&
         mt_show_run(target->model, &a->show, show, error);
    ok = ok && cmd_show_map(a, target, show, map, error) &&
         mt_target_lives(target, error);
    if (stop)
        ops->resume(target->source);
    return ok;
}

static bool cmd_show_put(const struct arguments *a, const struct mt_rows *rows,
                         const struct mt_report *report, struct mt_show *show,
                         struct mt_error *error)
{
    if (a->timeline) {
        if (a->common.json)
            mt_print_timeline_json(report);
        else
            mt_print_timeline(report);
        return true;
    }
    if (a->common.json == 2)
        return mt_rows_json2(rows, report, "show", NULL, NULL, error);
    if (a->common.json) {
        mt_print_json(report);
        return true;
    }
    if (a->common.folded)
        return mt_print_folded_last(report, show, error);
    if (a->rows.by == MT_BY_STACK) {
        mt_print_show(report);
        return true;
    }
    mt_print_show_summary(report);
    if (!mt_rows_print_groups(rows, report, error))
        return false;
    mt_print_notes(report, "  note: ");
    return true;
}

static bool cmd_show_print(struct mt_session *session,
                           const struct arguments *a, struct mt_rows *rows,
                           struct mt_target *target, struct mt_show *show,
                           struct mt_error *error)
{
    struct mt_style style;
    struct mt_resolver *resolver;
    struct mt_report report = {target->model, show, NULL,
                               session->out,  NULL, &style};
    bool ok;

    if (!mt_session_style(session, &a->common.style, &style, error))
        return false;
    resolver = report.resolver =
        mt_arguments_resolver(session, &a->common.places, target->model, error);
    if (resolver == NULL)
        return false;
    mt_rows_filter(rows, &report, show);
    ok = cmd_show_put(a, rows, &report, show, error);
    return mt_resolver_finish(resolver, ok ? error : NULL) && ok;
}

static int cmd_show_run(struct mt_session *session, int argc,
                        const char *const *argv, struct mt_error *error)
{
    struct arguments a = {.show.top = UINT64_MAX};
    struct mt_target target;
    struct mt_show show = {0};
    struct mt_memory_map map = {0};
    struct mt_rows rows;
    int status;
    bool ok;

    if (!mt_arguments_read(session, &mt_command_show, argc, argv, &a, &status,
                           error))
        return status;
    if (a.timeline && (a.common.json == 2 || a.common.folded || a.show.heap ||
                       a.rows.by != MT_BY_STACK)) {
        mt_fail(error, "show: --timeline is of the whole process, as text or "
                       "as --json");
        return MT_EXIT_ERROR;
    }
    if (a.show.peak &&
        (a.common.json == 2 || a.show.heap || a.show.ages || a.show.classes ||
         a.show.since.kind != MT_WHEN_NOT || a.show.older.kind != MT_WHEN_NOT ||
         a.show.sort == MT_SORT_AGE)) {
        mt_fail(error, "show: the peak is known by stack alone: not by heap, "
                       "age or class; --json=2 has it beside what is live");
        return MT_EXIT_ERROR;
    }
    /* A person reads the largest; scripts get all. */
    if (a.show.top == UINT64_MAX)
        a.show.top = a.common.style.full || a.common.json || a.common.folded
                         ? 0
                         : MT_STYLE_ROWS;
    a.show.unsorted = a.common.folded && a.show.top == 0;
    a.show.freed =
        (a.show.sort == MT_SORT_ALLOCS || a.show.sort == MT_SORT_LIFETIME) &&
        !a.common.json && !a.common.folded && a.rows.by == MT_BY_STACK &&
        a.show.since.kind == MT_WHEN_NOT && a.show.older.kind == MT_WHEN_NOT;
    if (!mt_rows_begin(&rows, &a.rows, &a.common, &a.show, error)) {
        mt_rows_end(&rows);
        return MT_EXIT_ERROR;
    }
    a.show.late = a.show.unsorted && !a.show.peak && !a.show.min_bytes &&
                  !a.show.depth && !rows.filter;
    ok = mt_target_open(session, "show", a.common.target, &target, error) &&
         cmd_show_collect(session, &a, &target, &show, &map, error) &&
         cmd_show_print(session, &a, &rows, &target, &show, error);
    mt_rows_end(&rows);
    mt_show_free(&show);
    mt_memory_map_free(&map);
    mt_target_close(&target);
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}

const struct mt_command mt_command_show = {
    .name = "show",
    .operands = "TARGET",
    .summary = "Show live memory by the call stack that allocated it.",
    .details =
        "The summary comes first, then the stacks with the most live bytes.\n"
        "Bytes are those that were asked for.  Sample is the address of one\n"
        "live block of the stack.  A stack starts at the first function of\n"
        "the program itself; what that called in a library is in brackets.\n"
        "Below it are the callers that differ from other stacks'.  A +\n"
        "marks a stack that grows steadily.  Notes at the end say what the\n"
        "report does not see.  --full prints every frame by its full name,\n"
        "and the header, pages and totals of every heap.  A live process is\n"
        "neither stopped nor slowed; blocks that it allocates or frees while\n"
        "it is read may be seen or not.\n",
    .options = options,
    .takes_target = true,
    .run = cmd_show_run,
};
