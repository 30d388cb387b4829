/* SPDX-License-Identifier: BSD-2-Clause
 *
 * row_options.c - --focus, --ignore and --by: takes rows out of a show, and
 * sums up the others.
 */
#include "coreanalyze/commands/row_options.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/reports/print_groups.h"
#include "coreanalyze/reports/print_rows.h"

#include <string.h>

bool mt_parse_by(void *member, const struct mt_args *args,
                 struct mt_error *error)
{
    enum mt_group_key *key = member;

    for (unsigned i = 0; mt_group_key_names[i]; i++)
        if (strcmp(args->value, mt_group_key_names[i]) == 0) {
            *key = i;
            return true;
        }
    return mt_fail(error,
                   "%s: --by takes stack, function, module, file, line, "
                   "thread or heap, not '%s'",
                   args->argv[0], args->value);
}

bool mt_rows_begin(struct mt_rows *rows,
                   const struct mt_row_arguments *arguments,
                   const struct mt_arguments *common,
                   struct mt_show_options *show, struct mt_error *error)
{
    *rows = (struct mt_rows){
        .arguments = arguments, .top = show->top, .min_bytes = show->min_bytes};
    if (!mt_filter_new(arguments->focus, arguments->ignore, &rows->filter,
                       error))
        return false;
    if (arguments->by != MT_BY_STACK && (common->folded || common->json == 1))
        return mt_fail(error, "--by does not go with %s",
                       common->folded ? "--folded"
                                      : "JSON version 1: use --json=2");
    show->threads = common->json == 2 || arguments->by == MT_BY_THREAD;
    if (rows->filter || arguments->by != MT_BY_STACK)
        show->top = show->min_bytes = 0;
    return true;
}

void mt_rows_filter(struct mt_rows *rows, const struct mt_report *report,
                    struct mt_show *show)
{
    bool grouped = rows->arguments->by != MT_BY_STACK;

    if (!rows->filter)
        return;
    mt_filter_forget(rows->filter);
    mt_filter_show(rows->filter, report->model, report->resolver, show,
                   grouped ? 0 : rows->min_bytes, grouped ? 0 : rows->top);
}

void mt_rows_end(struct mt_rows *rows)
{
    mt_filter_free(rows->filter);
    rows->filter = NULL;
}

#define ROWS_PARTS (MT_PROFILE_PATHS | MT_PROFILE_SAMPLES)

struct mt_profile_options mt_rows_profiled(const struct mt_rows *rows,
                                           const struct mt_report *report,
                                           unsigned parts)
{
    bool cut =
        rows->arguments->by == MT_BY_STACK && (rows->top || rows->min_bytes);
    const struct mt_profile_options options = {
        .parts = rows->filter || report->show->options->classify
                     ? parts & ~(unsigned)MT_PROFILE_UNTRACED
                     : parts,
        .lifetime = !cut && !mt_profile_is_partial(report->show) &&
                    (rows->all_kinds || !report->show->options->classify),
        .filter = rows->filter,
        .taken = rows->taken,
    };

    return options;
}

bool mt_rows_profile(const struct mt_rows *rows, const struct mt_report *report,
                     unsigned parts, struct mt_profile *profile,
                     struct mt_error *error)
{
    const struct mt_profile_options options =
        mt_rows_profiled(rows, report, parts);

    return mt_profile_build(report->model, report->show, report->resolver,
                            &options, profile, error);
}

/* Groups of a profile, after --top and --min.  A person sees those of the
 * program's own code. */
static bool rows_groups(const struct mt_rows *rows,
                        const struct mt_profile *profile,
                        const struct mt_profile *old, bool brief,
                        struct mt_groups *groups, struct mt_error *error)
{
    const struct mt_group_order order = {
        profile->show->options->sort == MT_SORT_COUNT    ? MT_LIVE_BLOCKS
        : profile->show->options->sort == MT_SORT_ALLOCS ? MT_ALLOCS
                                                         : MT_LIVE_BYTES,
        old != NULL};

    if (!mt_groups_make(profile, old, rows->arguments->by, &order, groups,
                        error))
        return false;
    if (brief)
        mt_groups_own(groups);
    mt_groups_cut(groups, old != NULL, rows->min_bytes, rows->top);
    return true;
}

struct rows_more {
    const struct mt_groups *groups; /* or NULL */
    bool growth;
    void (*more)(void *context, struct mt_json *json);
    void *context;
};

static void rows_put_more(void *context, struct mt_json *json)
{
    const struct rows_more *m = context;

    if (m->groups)
        mt_json_put_groups(json, m->groups, m->growth);
    if (m->more)
        m->more(m->context, json);
}

bool mt_rows_json2(const struct mt_rows *rows, const struct mt_report *report,
                   const char *kind,
                   void (*more)(void *context, struct mt_json *json),
                   void *context, struct mt_error *error)
{
    bool grouped = rows->arguments->by != MT_BY_STACK;
    struct mt_profile profile;
    struct mt_groups groups = {0};
    struct rows_more m = {grouped ? &groups : NULL, false, more, context};
    bool ok =
        mt_rows_profile(rows, report, ROWS_PARTS, &profile, error) &&
        (!grouped || rows_groups(rows, &profile, NULL, false, &groups, error));

    if (ok)
        mt_print_json2(report, &profile, kind, rows_put_more, &m);
    mt_groups_free(&groups);
    mt_profile_free(&profile);
    return ok;
}

bool mt_rows_print_groups(const struct mt_rows *rows,
                          const struct mt_report *report,
                          struct mt_error *error)
{
    struct mt_profile profile;
    struct mt_groups groups = {0};
    bool ok = mt_rows_profile(rows, report, ROWS_PARTS, &profile, error) &&
              rows_groups(rows, &profile, NULL, !mt_report_is_full(report),
                          &groups, error);

    if (ok)
        mt_print_groups(report, &groups, false);
    mt_groups_free(&groups);
    mt_profile_free(&profile);
    return ok;
}

bool mt_rows_diff(struct mt_rows rows[2], const struct mt_diff_report *report,
                  bool json, struct mt_error *error)
{
    bool grouped = rows[1].arguments->by != MT_BY_STACK;
    struct mt_profile profiles[2] = {{0}, {0}};
    struct mt_groups groups = {0};
    struct rows_more m = {grouped ? &groups : NULL, true, NULL, NULL};
    bool ok =
        mt_rows_profile(&rows[0], &report->side[0], ROWS_PARTS, &profiles[0],
                        error) &&
        mt_rows_profile(&rows[1], &report->side[1], ROWS_PARTS, &profiles[1],
                        error) &&
        (!grouped || rows_groups(&rows[1], &profiles[1], &profiles[0],
                                 !json && !mt_report_is_full(&report->side[1]),
                                 &groups, error));

    if (ok && json) {
        const struct mt_profile *const sides[] = {&profiles[0], &profiles[1]};
        mt_print_diff_json2(report, sides, rows_put_more, &m);
    } else if (ok) {
        mt_print_diff_summary(report);
        mt_print_groups(&report->side[1], &groups, true);
        mt_print_diff_notes(report);
    }
    mt_groups_free(&groups);
    mt_profile_free(&profiles[0]);
    mt_profile_free(&profiles[1]);
    return ok;
}
