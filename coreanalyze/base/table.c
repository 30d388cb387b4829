/* SPDX-License-Identifier: BSD-2-Clause
 *
 * table.c - the growth of a hash table.
 */
#include "coreanalyze/base/table.h"

#include <stdlib.h>

#define LEAST_CAPACITY 64u

static struct mt_table_slot *table_free_slot(const struct mt_table *table,
                                             uint64_t hash)
{
    size_t at = mt_table_start(table, hash);

    while (table->slots[at].item)
        at = (at + 1) & (table->capacity - 1);
    return &table->slots[at];
}

static bool table_grow(struct mt_table *table)
{
    struct mt_table larger = {.n = table->n,
                              .capacity = table->capacity ? table->capacity * 2
                                                          : LEAST_CAPACITY};

    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].item)
            *table_free_slot(&larger, table->slots[i].hash) = table->slots[i];
    free(table->slots);
    *table = larger;
    return true;
}

bool mt_table_add(struct mt_table *table, uint64_t hash, size_t item)
{
    if (table->n * 2 >= table->capacity && !table_grow(table))
        return false;
    *table_free_slot(table, hash) = (struct mt_table_slot){hash, item + 1};
    table->n++;
    return true;
}

void mt_table_free(struct mt_table *table)
{
    free(table->slots);
    *table = (struct mt_table){0};
}
