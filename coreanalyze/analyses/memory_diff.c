/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_diff.c - joins the rows of two maps of memory by origin.
 */
#include "coreanalyze/analyses/memory_diff.h"

#include <stdlib.h>
#include <string.h>

static struct mt_diff_key memory_diff_key(struct mt_model *model,
                                          const struct mt_memory_row *row)
{
    struct mt_diff_key key = {{1, 2}};
    uint32_t head[2] = {(uint32_t)row->kind, row->tid};

    mt_diff_add(&key, head, sizeof head);
    if (row->stack)
        mt_diff_stack(&key, model, row->stack);
    else if (row->name)
        mt_diff_add(&key, row->name, strlen(row->name));
    else
        mt_diff_add(&key, &row->address, sizeof row->address);
    return key;
}

static int memory_diff_by_key(const void *a, const void *b)
{
    const struct mt_memory_pair *x = a, *y = b;

    return memcmp(&x->key, &y->key, sizeof x->key);
}

static uint64_t memory_diff_size(const struct mt_memory_pair *pair,
                                 bool compared)
{
    int64_t change = mt_memory_change(pair);

    if (!compared)
        return pair->sum[MT_DIFF_NEW].resident;
    return change < 0 ? -(uint64_t)change : (uint64_t)change;
}

static int memory_diff_order(const void *a, const void *b, void *context)
{
    const struct mt_memory_pair *x = a, *y = b;
    bool compared = *(const bool *)context;
    uint64_t p = memory_diff_size(x, compared);
    uint64_t q = memory_diff_size(y, compared);

    if (p == q) {
        p = x->sum[MT_DIFF_NEW].resident;
        q = y->sum[MT_DIFF_NEW].resident;
    }
    if (p != q)
        return p > q ? -1 : 1;
    return memory_diff_by_key(a, b);
}

static void memory_diff_merge(struct mt_memory_pair *to,
                              const struct mt_memory_pair *from)
{
    for (unsigned side = 0; side < 2; side++) {
        if (!to->row[side])
            to->row[side] = from->row[side];
        to->sum[side].resident += from->sum[side].resident;
        to->sum[side].swapped += from->sum[side].swapped;
        to->sum[side].size += from->sum[side].size;
        to->count[side] += from->count[side];
    }
}

bool mt_memory_diff_run(struct mt_model *const model[2],
                        const struct mt_memory_map *const map[2],
                        struct mt_memory_diff *diff, struct mt_error *error)
{
    bool compared = map[MT_DIFF_OLD];
    size_t n = 0, kept = 0;

    for (unsigned side = 0; side < 2; side++)
        n += map[side] ? map[side]->n_rows : 0;
    diff->pairs = calloc(n + 1, sizeof *diff->pairs);
    if (!diff->pairs)
        return mt_no_memory(error, "the rows of the map");
    n = 0;
    for (unsigned side = 0; side < 2; side++) {
        for (size_t i = 0; map[side] && i < map[side]->n_rows; i++) {
            struct mt_memory_pair *pair = &diff->pairs[n++];
            const struct mt_memory_row *row = &map[side]->rows[i];
            pair->key = memory_diff_key(model[side], row);
            pair->row[side] = row;
            pair->sum[side] = row->sum;
            pair->count[side] = row->count;
        }
    }
    qsort(diff->pairs, n, sizeof *diff->pairs, memory_diff_by_key);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 &&
            memory_diff_by_key(&diff->pairs[kept - 1], &diff->pairs[i]) == 0)
            memory_diff_merge(&diff->pairs[kept - 1], &diff->pairs[i]);
        else
            diff->pairs[kept++] = diff->pairs[i];
    }
    diff->n = kept;
    qsort_r(diff->pairs, kept, sizeof *diff->pairs, memory_diff_order,
            &compared);
    return true;
}

void mt_memory_diff_free(struct mt_memory_diff *diff)
{
    free(diff->pairs);
}
