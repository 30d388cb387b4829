/* SPDX-License-Identifier: BSD-2-Clause
 *
 * profile_side.c - opens the targets of export and report.
 */
#include "coreanalyze/commands/profile_side.h"
#include "coreanalyze/reach/mark_keep.h"

bool mt_sides_begin(struct mt_session *session, const char *command,
                    const char *first, const char *second,
                    struct mt_profile_side sides[2], const char *names[2],
                    struct mt_error *error)
{
    sides[0].session = sides[1].session = *session;
    /* The debugger knows nothing of the other target. */
    sides[0].session.target = NULL;
    sides[0].session.root_symbol = 0;
    sides[0].session.name_hook = NULL;
    names[0] = session->target ? first : second ? first : NULL;
    names[1] = session->target ? NULL : second ? second : first;
    if (session->target && second)
        return mt_unexpected(command, second, error);
    return names[1] || session->target ||
           mt_missing(command, "TARGET, a process or a core file", error);
}

/* The whole memory, for a search. */
static bool side_search(struct mt_profile_side *side, bool stop,
                        struct mt_error *error)
{
    const struct mt_leaks_options *options = side->leaks_options;
    struct mt_snapshot_options snapshot = {side->session.root_symbol,
                                           side->session.progress, 0};

    return mt_capture_memory(side->target.source, &snapshot,
                             &options->mark.scan, stop, error) &&
           mt_target_model(&side->session, &side->target, error) &&
           mt_leaks_run(side->target.model, options, &side->leaks, error);
}

static bool side_sum_up(struct mt_profile_side *side, bool stop,
                        struct mt_error *error)
{
    const struct mt_source_ops *ops = side->target.source->ops;
    bool ok;

    stop = stop && ops->stop;
    if (stop && !ops->stop(side->target.source, error))
        return false;
    ok = mt_target_model(&side->session, &side->target, error) &&
         mt_show_run(side->target.model, &side->options, &side->show, error) &&
         mt_target_lives(&side->target, error);
    if (stop)
        ops->resume(side->target.source);
    return ok;
}

bool mt_side_read(struct mt_profile_side *side, const char *command,
                  const char *name, const struct mt_show_options *show,
                  const struct mt_row_arguments *rows,
                  const struct mt_arguments *common, bool stop,
                  struct mt_error *error)
{
    side->options = *show;
    if (!mt_rows_begin(&side->rows, rows, common, &side->options, error) ||
        !mt_target_open(&side->session, command, name, &side->target, error))
        return false;
    side->options.threads = true;
    side->options.late = side->options.unsorted =
        side->once && !side->options.depth && !side->rows.filter;
    side->rows.all_kinds = true;
    side->rows.taken = side->options.late ? &side->show : NULL;
    if (side->leaks_options && side->target.source->process.mini)
        side->leaks_options = NULL;
    return side->leaks_options ? side_search(side, stop, error)
                               : side_sum_up(side, stop, error);
}

bool mt_side_report(struct mt_profile_side *side,
                    const struct mt_arguments *common, struct mt_error *error)
{
    struct mt_resolver *resolver = mt_arguments_resolver(
        &side->session, &common->places, side->target.model, error);
    struct mt_show *show =
        side->leaks_options ? &side->leaks.show : &side->show;

    if (!resolver)
        return false;
    side->report = (struct mt_report){
        .model = side->target.model,
        .show = show,
        .resolver = resolver,
        .kinds = side->leaks_options ? mt_leak_kind_names : NULL};
    mt_rows_filter(&side->rows, &side->report, show);
    return true;
}

bool mt_side_profile(struct mt_profile_side *side,
                     const struct mt_arguments *common, unsigned parts,
                     struct mt_error *error)
{
    return mt_side_report(side, common, error) &&
           mt_rows_profile(&side->rows, &side->report, parts, &side->profile,
                           error);
}

bool mt_side_close(struct mt_profile_side *side, bool ok,
                   struct mt_error *error)
{
    mt_profile_free(&side->profile);
    if (side->report.resolver &&
        !mt_resolver_finish(side->report.resolver, ok ? error : NULL))
        ok = false;
    mt_rows_end(&side->rows);
    mt_show_free(&side->show);
    mt_leaks_free(&side->leaks);
    mt_target_close(&side->target);
    return ok;
}
