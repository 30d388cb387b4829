/* SPDX-License-Identifier: BSD-2-Clause
 *
 * diff.h - what grew between two sums of live memory, by stack.
 *
 * Stacks of two targets are the same if their heaps have the same name and
 * their frames are at the same offsets of the same modules; modules are the
 * same if their build-ids are, or where one has none, their paths.  So two
 * runs compare, wherever their modules lie.
 */
#ifndef MT_DIFF_H
#define MT_DIFF_H

#include "coreanalyze/analyses/show.h"

enum mt_diff_side { MT_DIFF_OLD, MT_DIFF_NEW };

/* How the stacks of both sides are matched. */
struct mt_diff_key {
    uint64_t hash[2];
};
void mt_diff_add(struct mt_diff_key *key, const void *data, size_t bytes);
/* Adds what the frames of a stack are known by. */
void mt_diff_stack(struct mt_diff_key *key, struct mt_model *model,
                   uint32_t stack);

struct mt_diff_options {
    uint64_t top;       /* rows at most, 0: all */
    uint64_t min_bytes; /* of growth or shrinkage */
    bool by_count;      /* sort by blocks, not by bytes */
    bool unchanged;     /* rows of what did not change, too */
    /* Adds what the frames of a row are known by to the key; NULL: modules
     * and offsets. */
    void (*identify)(void *context, enum mt_diff_side side,
                     const struct mt_show_row *row, struct mt_diff_key *key);
    void *identify_context;
};

struct mt_diff_row {
    struct mt_diff_key key;
    const struct mt_show_row *row[2]; /* one of the stack's; NULL: none */
    struct mt_show_sum sum[2];
};

struct mt_diff {
    const struct mt_diff_options *options;
    struct mt_model *model[2];
    const struct mt_show *show[2];
    struct mt_diff_row *rows; /* that changed; the most growth first */
    size_t n_rows;
    size_t n_all_rows;         /* before --top and --min */
    struct mt_show_sum sum[2]; /* of all stacks, changed or not */
};

/* Bytes or blocks that are more than they were; negative: fewer. */
static inline int64_t mt_diff_bytes(const struct mt_diff_row *row)
{
    return (int64_t)(row->sum[MT_DIFF_NEW].bytes - row->sum[MT_DIFF_OLD].bytes);
}
static inline int64_t mt_diff_count(const struct mt_diff_row *row)
{
    return (int64_t)(row->sum[MT_DIFF_NEW].count - row->sum[MT_DIFF_OLD].count);
}

/* Compares two runs of show, which may be of one model; all must outlive the
 * result.  False when out of memory. */
bool mt_diff_run(struct mt_model *const model[2],
                 const struct mt_show *const show[2],
                 const struct mt_diff_options *options, struct mt_diff *diff,
                 struct mt_error *error);
void mt_diff_free(struct mt_diff *diff);

/* Calls `visit` for every module that both targets have at the same path with
 * different build-ids: their stacks do not compare. */
void mt_diff_rebuilt(struct mt_model *const model[2],
                     void (*visit)(void *context, const char *path),
                     void *context);

#endif
