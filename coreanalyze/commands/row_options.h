/* SPDX-License-Identifier: BSD-2-Clause
 *
 * row_options.h - options of commands with rows of stacks: which ones, and
 * what to sum them up by.
 */
#ifndef MT_ROW_OPTIONS_H
#define MT_ROW_OPTIONS_H

#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/profile/groups.h"
#include "coreanalyze/reports/print_diff.h"

struct mt_json;
struct mt_row_arguments {
    const char *focus, *ignore;
    enum mt_group_key by;
};

mt_parse mt_parse_by; /* enum mt_group_key */

/* `rows` is a member of type struct mt_row_arguments. */
#define MT_OPTIONS_ROWS(rows)                                                  \
    {"--focus", 0, "REGEX",                                                    \
     "only stacks with a function, module or file that matches",               \
     MT_FIELD(mt_parse_text, const char *, rows.focus)},                       \
    {                                                                          \
        "--ignore", 0, "REGEX", "no stacks with one that matches",             \
            MT_FIELD(mt_parse_text, const char *, rows.ignore)                 \
    }
#define MT_OPTION_BY(rows)                                                     \
    {                                                                          \
        "--by", 0, "KEY",                                                      \
            "sums by function, module, file, line, thread or heap instead "    \
            "of stacks: of all stacks with it, and (Self) of those that it "   \
            "names",                                                           \
            MT_FIELD(mt_parse_by, enum mt_group_key, rows.by)                  \
    }

/* --top and --min of rows come after --focus and --ignore, and are of groups
 * where these are wanted. */
struct mt_rows {
    const struct mt_row_arguments *arguments;
    struct mt_filter *filter; /* or NULL */
    uint64_t top, min_bytes;
    bool all_kinds;        /* rows of a search are of all blocks */
    struct mt_show *taken; /* as of a profile's options, or NULL */
};
/* Before the show is run: keeps --top and --min for later.  False with `error`
 * filled if the arguments make no sense. */
bool mt_rows_begin(struct mt_rows *rows,
                   const struct mt_row_arguments *arguments,
                   const struct mt_arguments *common,
                   struct mt_show_options *show, struct mt_error *error);
/* After it. */
void mt_rows_filter(struct mt_rows *rows, const struct mt_report *report,
                    struct mt_show *show);
void mt_rows_end(struct mt_rows *rows);

/* What a profile of a filtered show is to have: lifetimes where they compare,
 * and blocks without a stack only where nothing is filtered. */
struct mt_profile_options mt_rows_profiled(const struct mt_rows *rows,
                                           const struct mt_report *report,
                                           unsigned parts);
/* Makes it. */
bool mt_rows_profile(const struct mt_rows *rows, const struct mt_report *report,
                     unsigned parts, struct mt_profile *profile,
                     struct mt_error *error);
/* JSON version 2 with groups, if these are wanted; `more` and `context` as of
 * mt_print_json2(). */
bool mt_rows_json2(const struct mt_rows *rows, const struct mt_report *report,
                   const char *kind,
                   void (*more)(void *context, struct mt_json *json),
                   void *context, struct mt_error *error);
/* The groups of a comparison: JSON version 2 if it is wanted, otherwise the
 * whole report. */
bool mt_rows_diff(struct mt_rows rows[2], const struct mt_diff_report *report,
                  bool json, struct mt_error *error);
/* The table of groups, without a summary. */
bool mt_rows_print_groups(const struct mt_rows *rows,
                          const struct mt_report *report,
                          struct mt_error *error);

#endif
