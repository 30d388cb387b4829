/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recent_frees.c - who had the large blocks that were freed last.
 *
 * A large block has a span of its own, whose record, and so its tag, serves
 * another one at once; a report of a second free finds the tag here.  The
 * table lies in the trace region: it holds addresses that new blocks may have
 * again, and no reader must take them for the program's pointers.
 *
 * It is written and read without a lock: a torn entry names a wrong stack in
 * the report of an error, no more.
 */
#include "heap/seldom.h"
#include "heap/recent_frees.h"
#include "heap/alloc.h"

#define RECENT_FREES 1024u

struct recent_free {
    uint64_t base, tag;
};

static struct recent_free *recent_frees; /* NULL before the first one */
static uint32_t next_recent_free;

static struct recent_free *recent_frees_table(void)
{
    struct recent_free *table = mt_load_acquire(&recent_frees), *none = NULL;
    if (MT_LIKELY(table != NULL))
        return table;
    table = mt_section_alloc(MT_SECTION_PRIVATE, RECENT_FREES * sizeof *table);
    if (table == NULL ||
        __atomic_compare_exchange_n(&recent_frees, &none, table, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return table;
    return none; /* another thread was first; the memory of ours is unused */
}

void mt_remember_free(uint64_t base, uint64_t tag)
{
    struct recent_free *table = recent_frees_table();
    if (table == NULL)
        return;
    uint32_t i = __atomic_fetch_add(&next_recent_free, 1, __ATOMIC_RELAXED) %
                 RECENT_FREES;
    mt_store_relaxed(&table[i].base, base);
    mt_store_relaxed(&table[i].tag, tag);
}

void mt_recent_frees_each(void (*visit)(uint64_t tag))
{
    const struct recent_free *table = mt_load_acquire(&recent_frees);
    for (uint32_t i = 0; table && i < RECENT_FREES; i++)
        visit(mt_load_acquire(&table[i].tag));
}

uint64_t mt_recent_free_tag(uint64_t p)
{
    const struct recent_free *table = mt_load_acquire(&recent_frees);
    uint32_t newest = mt_load_relaxed(&next_recent_free);
    for (uint32_t i = 1; table && i <= RECENT_FREES; i++) {
        const struct recent_free *one = &table[(newest - i) % RECENT_FREES];
        if (mt_load_relaxed(&one->base) == p)
            return mt_load_relaxed(&one->tag);
    }
    return 0;
}
