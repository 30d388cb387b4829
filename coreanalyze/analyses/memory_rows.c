/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_rows.c - the rows of a map of memory: those of one origin are one, and
 * their sums.
 */
#include "coreanalyze/analyses/memory_rows.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

const char *const mt_memory_kind_names[MT_N_MEMORY_KINDS] = {
    "asked", "free",  "trace",  "anonymous", "break",   "stacks",
    "data",  "files", "shared", "devices",   "unknown",
};
const char *const mt_memory_kind_texts[MT_N_MEMORY_KINDS] = {
    "heap: asked for", "heap: free, rounding", "trace",       "anonymous",
    "program break",   "thread stacks",        ".data, .bss", "files",
    "shared memory",   "devices, kernel",      "unknown",
};

bool mt_memory_row_add(struct mt_memory_map *map,
                       const struct mt_memory_row *row)
{
    if (!mt_grow(&map->rows, &map->capacity, map->n_rows + 1,
                 sizeof *map->rows))
        return false;
    map->rows[map->n_rows++] = *row;
    return true;
}

static int compare_names(const char *x, const char *y)
{
    if (!x || !y)
        return (x != NULL) - (y != NULL);
    return strcmp(x, y);
}

/* Memory without a name is distinguished by its address. */
static bool row_is_alone(const struct mt_memory_row *row)
{
    return !row->name && row->stack == 0 && row->kind != MT_MEMORY_TRACE;
}

static int row_by_origin(const void *a, const void *b)
{
    const struct mt_memory_row *x = a, *y = b;
    int order = compare_names(x->name, y->name);

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->stack != y->stack)
        return x->stack < y->stack ? -1 : 1;
    if (order == 0 && x->tid != y->tid)
        return x->tid < y->tid ? -1 : 1;
    if (order == 0)
        return x->address < y->address ? -1 : x->address > y->address;
    return order;
}

static int row_by_size(const void *a, const void *b)
{
    const struct mt_memory_row *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->sum.resident != y->sum.resident)
        return x->sum.resident > y->sum.resident ? -1 : 1;
    if (x->sum.size != y->sum.size)
        return x->sum.size > y->sum.size ? -1 : 1;
    return row_by_origin(a, b);
}

static bool rows_same(const struct mt_memory_row *x,
                      const struct mt_memory_row *y)
{
    return x->kind == y->kind && x->stack == y->stack && x->tid == y->tid &&
           compare_names(x->name, y->name) == 0 && !row_is_alone(x);
}

static void sum_add(struct mt_memory_sum *sum, const struct mt_memory_sum *more)
{
    sum->resident += more->resident;
    sum->swapped += more->swapped;
    sum->size += more->size;
}

void mt_memory_rows_merge(struct mt_memory_map *map)
{
    size_t kept = 0;

    if (map->n_rows == 0)
        return;
    qsort(map->rows, map->n_rows, sizeof *map->rows, row_by_origin);
    for (size_t i = 1; i < map->n_rows; i++) {
        struct mt_memory_row *row = &map->rows[kept];
        if (!rows_same(row, &map->rows[i])) {
            map->rows[++kept] = map->rows[i];
            continue;
        }
        row->count += map->rows[i].count;
        sum_add(&row->sum, &map->rows[i].sum);
    }
    map->n_rows = kept + 1;
}

void mt_memory_rows_finish(struct mt_memory_map *map)
{
    if (map->n_rows > 0)
        qsort(map->rows, map->n_rows, sizeof *map->rows, row_by_size);
    for (size_t i = 0; i < map->n_rows; i++) {
        sum_add(&map->sums[map->rows[i].kind], &map->rows[i].sum);
        sum_add(&map->all, &map->rows[i].sum);
    }
}

void mt_memory_map_free(struct mt_memory_map *map)
{
    free(map->rows);
    memset(map, 0, sizeof *map);
}
