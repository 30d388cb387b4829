/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_diff.h - two maps of memory joined by origin.  Mappings of a stack are
 * the same if mt_diff_stack() says so of their stacks; others, if their names
 * are, or where they have none, their addresses.
 */
#ifndef MT_MEMORY_DIFF_H
#define MT_MEMORY_DIFF_H

#include "coreanalyze/analyses/diff.h"
#include "coreanalyze/analyses/memory_map.h"

struct mt_memory_pair {
    struct mt_diff_key key;
    const struct mt_memory_row *row[2]; /* one of the origin's; NULL: none */
    struct mt_memory_sum sum[2];
    uint64_t count[2];
};

struct mt_memory_diff {
    struct mt_memory_pair *pairs; /* the most change first */
    size_t n;
};

/* Joins two maps, each with its model or NULL.  Without an old map, `map[0]` is
 * NULL, and the pairs are by resident memory.  False when out of memory. */
bool mt_memory_diff_run(struct mt_model *const model[2],
                        const struct mt_memory_map *const map[2],
                        struct mt_memory_diff *diff, struct mt_error *error);
void mt_memory_diff_free(struct mt_memory_diff *diff);

/* Resident bytes that are more than they were; negative: fewer. */
static inline int64_t mt_memory_change(const struct mt_memory_pair *pair)
{
    return (int64_t)(pair->sum[MT_DIFF_NEW].resident -
                     pair->sum[MT_DIFF_OLD].resident);
}

#endif
