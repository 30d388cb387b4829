/* SPDX-License-Identifier: BSD-2-Clause
 *
 * groups.h - a profile by function, module, file, line, thread or heap.
 *
 * A stack belongs to every group that one of its frames is in, once: that is
 * the group's total.  Its self part is of the stacks whose title, the frame
 * that names them in reports, is in the group.
 */
#ifndef MT_GROUPS_H
#define MT_GROUPS_H

#include "coreanalyze/profile/profile.h"

enum mt_group_key {
    MT_BY_STACK, /* no groups */
    MT_BY_FUNCTION,
    MT_BY_MODULE,
    MT_BY_FILE,
    MT_BY_LINE,
    MT_BY_THREAD,
    MT_BY_HEAP,
    MT_N_GROUP_KEYS,
};
/* Their names, in that order, ended by NULL. */
extern const char *const mt_group_key_names[];

struct mt_group {
    const char *name;
    uint32_t module; /* of a function; or MT_PROFILE_NONE */
    uint64_t stacks; /* that it has a part in */
    bool own;        /* has code of the program, or names a stack */
    struct mt_measures self, total;
    struct mt_measures old_self, old_total; /* of a diff */
};

struct mt_groups {
    enum mt_group_key key;
    struct mt_group *groups; /* by `total`, or by growth; the most first */
    size_t n, n_all;         /* n_all: before mt_groups_cut() */
    size_t n_library;        /* that mt_groups_own() left out */
    struct mt_strings *names;
};

/* Which figure groups are sorted by. */
struct mt_group_order {
    enum mt_measure measure;
    bool growth; /* less the old one */
};

/* `old` may be NULL; otherwise its groups are joined by their names.  False
 * with `error` filled; mt_groups_free() is due in either case. */
bool mt_groups_make(const struct mt_profile *profile,
                    const struct mt_profile *old, enum mt_group_key key,
                    const struct mt_group_order *order,
                    struct mt_groups *groups, struct mt_error *error);
/* Leaves out the groups that have code of libraries alone and name no
 * stack.  To be called before mt_groups_cut(). */
void mt_groups_own(struct mt_groups *groups);
/* Keeps the first `top` (0: all) with at least `min_bytes` live, or of
 * change. */
void mt_groups_cut(struct mt_groups *groups, bool growth, uint64_t min_bytes,
                   uint64_t top);
void mt_groups_free(struct mt_groups *groups);

#endif
