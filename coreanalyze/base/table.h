/* SPDX-License-Identifier: BSD-2-Clause
 *
 * table.h - a hash table from keys to the items of an array that the caller
 * keeps.
 *
 * A slot holds the key's hash and the item's index.  Slots are probed one by
 * one, and at most half of them are used.
 */
#ifndef MT_TABLE_H
#define MT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MT_TABLE_NONE SIZE_MAX

struct mt_table {
    struct mt_table_slot {
        uint64_t hash;
        size_t item; /* index + 1; 0: the slot is free */
    } * slots;
    size_t n, capacity; /* of slots: a power of two, or 0 */
};

/* Has the item, whose hash is that of the key, this key? */
typedef bool mt_table_match(const void *items, size_t item, const void *key);

/* Spreads the bits of a word, so that a word can be its own hash. */
static inline size_t mt_table_start(const struct mt_table *table, uint64_t hash)
{
    return (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 24) &
           (table->capacity - 1);
}

/* The index of the item with a key, or MT_TABLE_NONE. */
static inline __attribute__((always_inline)) size_t
mt_table_find(const struct mt_table *table, uint64_t hash,
              mt_table_match *match, const void *items, const void *key)
{
    size_t at = mt_table_start(table, hash);

    if (table->capacity == 0)
        return MT_TABLE_NONE;
    while (table->slots[at].item) {
        const struct mt_table_slot *slot = &table->slots[at];
        if (slot->hash == hash && match(items, slot->item - 1, key))
            return slot->item - 1;
        at = (at + 1) & (table->capacity - 1);
    }
    return MT_TABLE_NONE;
}

/* Adds an item whose key is not in the table.  False when out of memory. */
bool mt_table_add(struct mt_table *table, uint64_t hash, size_t item);
void mt_table_free(struct mt_table *table); /* what it holds */

#endif
