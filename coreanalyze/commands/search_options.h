/* SPDX-License-Identifier: BSD-2-Clause
 *
 * search_options.h - options that commands which look for pointers share.
 */
#ifndef MT_SEARCH_OPTIONS_H
#define MT_SEARCH_OPTIONS_H

#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/analyses/leaks.h"

/* unsigned, bits of enum mt_leak_kind: "definite,possible", "all" or "none" */
mt_parse mt_parse_kinds;
/* unsigned: names of Memcheck's heuristics, "all" or "none" */
mt_parse mt_parse_heuristics;
/* struct mt_scan_options, bits of pointers that may be tags: "low=3",
 * "high=16", "low=3,high=16" */
mt_parse mt_take_tag_bits;

#define MT_OPTION_HEURISTICS(member)                                           \
    {                                                                          \
        "--heuristics", 0, "NAMES",                                            \
            "inner pointers that count like those to a start: stdstring, "     \
            "length64, newarray, multipleinheritance, cpython, hashbrown, "    \
            "gobject, fontconfig, ralloc, sqlite, mariadb, zend, llvm, "       \
            "exception, links, tagged, all (the default), interior (every "    \
            "one) or none",                                                    \
            MT_FIELD(mt_parse_heuristics, unsigned, member)                    \
    }
#define MT_OPTION_TAG_BITS(member)                                             \
    {                                                                          \
        "--tag-bits", 0, "low=N,high=N",                                       \
            "bits of pointers that may hold tags",                             \
            MT_FIELD(mt_take_tag_bits, struct mt_scan_options, member)         \
    }
#define MT_OPTION_NO_STOP                                                      \
    {                                                                          \
        "--no-stop", 0, NULL,                                                  \
            "do not stop a live process while its memory is read",             \
            MT_FIELD(mt_parse_flag, bool, no_stop)                             \
    }
#define MT_OPTION_READ_SWAPPED                                                 \
    {                                                                          \
        "--read-swapped", 0, NULL,                                             \
            "search memory of a live process that is in swap, too: it is "     \
            "brought back",                                                    \
            MT_FIELD(mt_parse_flag, bool, common.limits.read_swapped)          \
    }

/* Opens the target and, if it is live, reads it while it stands still (`stop`)
 * or runs; then takes the model.  The search options must not change later. */
bool mt_target_captured(struct mt_session *session, const char *command,
                        const char *name, bool stop,
                        const struct mt_scan_options *scan,
                        struct mt_target *target, struct mt_error *error);
/* The options of a search: heuristics, threads and progress of the session. */
void mt_mark_defaults(struct mt_session *session,
                      struct mt_mark_options *options);

#endif
