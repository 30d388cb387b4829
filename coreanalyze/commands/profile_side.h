/* SPDX-License-Identifier: BSD-2-Clause
 *
 * profile_side.h - a target and its profile, for export and report: one of
 * one, or of two that are compared.
 */
#ifndef MT_PROFILE_SIDE_H
#define MT_PROFILE_SIDE_H

#include "coreanalyze/analyses/leaks.h"
#include "coreanalyze/commands/row_options.h"

struct mt_profile_side {
    struct mt_session session;
    struct mt_target target;
    bool once; /* its rows are looked at once, in any order */
    struct mt_show_options options;
    struct mt_rows rows;
    struct mt_show show;
    /* What the search found, if there was one: its show is in use then. */
    const struct mt_leaks_options *leaks_options; /* NULL: no search */
    struct mt_leaks leaks;
    struct mt_report report;
    struct mt_profile profile;
};

/* The operands are TARGET, or OLD NEW; in GDB nothing, or OLD.  names[0] is the
 * old one, or NULL. */
bool mt_sides_begin(struct mt_session *session, const char *command,
                    const char *first, const char *second,
                    struct mt_profile_side sides[2], const char *names[2],
                    struct mt_error *error);
/* Opens the target and sums up its blocks; `stop`: it stands still.  If it is
 * to be searched, it is read before, unless it is a mini-core. */
bool mt_side_read(struct mt_profile_side *side, const char *command,
                  const char *name, const struct mt_show_options *show,
                  const struct mt_row_arguments *rows,
                  const struct mt_arguments *common, bool stop,
                  struct mt_error *error);
/* The report, with names and filtered rows; no profile. */
bool mt_side_report(struct mt_profile_side *side,
                    const struct mt_arguments *common, struct mt_error *error);
/* The same, and makes the profile; `parts` as of mt_rows_profiled(). */
bool mt_side_profile(struct mt_profile_side *side,
                     const struct mt_arguments *common, unsigned parts,
                     struct mt_error *error);
/* False with `error` filled if `ok` is false, or names are missing. */
bool mt_side_close(struct mt_profile_side *side, bool ok,
                   struct mt_error *error);

#endif
