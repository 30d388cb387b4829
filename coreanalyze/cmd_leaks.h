/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_leaks.h - options that commands which look for pointers share.
 */
#ifndef MT_CMD_LEAKS_H
#define MT_CMD_LEAKS_H

#include "coreanalyze/command.h"
#include "coreanalyze/leaks.h"

/* "definite,possible", "all" or "none"; fills bits of enum mt_leak_kind. */
bool mt_take_kinds(const struct mt_args *args, unsigned *kinds,
                   struct mt_error *error);
/* Names of Memcheck's heuristics, "all" or "none". */
bool mt_take_heuristics(const struct mt_args *args, unsigned *heuristics,
                        struct mt_error *error);
/* "low=3", "high=16", "low=3,high=16": bits of pointers that may be tags. */
bool mt_take_tag_bits(const struct mt_args *args, struct mt_scan_options *scan,
                      struct mt_error *error);

/* Opens the target and, if it is live, copies it while it stands still
 * (`stop`) or runs; then takes the model. */
bool mt_target_frozen(struct mt_session *session, const char *command,
                      const char *name, bool stop, struct mt_target *target,
                      struct mt_error *error);
/* The options of a search: heuristics, threads and progress of the session. */
void mt_mark_defaults(struct mt_session *session,
                      struct mt_mark_options *options);

#endif
