/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recent_frees.c - which blocks with a span each were freed last.
 *
 * Their span records, and so their tags, serve others at once.  Entries are
 * written and read without a lock: a torn one names a wrong stack in the report
 * of an error, no more.
 */
#include "heap/alloc.h"

#define RECENT_FREES 1024u
static struct recent_free {
    uint64_t base, tag;
} recent_frees[RECENT_FREES];
static uint32_t next_recent_free;

void mt_remember_free(uint64_t base, uint64_t tag)
{
    uint32_t i = __atomic_fetch_add(&next_recent_free, 1, __ATOMIC_RELAXED) %
                 RECENT_FREES;
    mt_store_relaxed(&recent_frees[i].base, base);
    mt_store_relaxed(&recent_frees[i].tag, tag);
}

uint64_t mt_recent_free_tag(uint64_t p)
{
    uint32_t newest = mt_load_relaxed(&next_recent_free);
    for (uint32_t i = 1; i <= RECENT_FREES; i++) {
        const struct recent_free *recent_free =
            &recent_frees[(newest - i) % RECENT_FREES];
        if (mt_load_relaxed(&recent_free->base) == p)
            return mt_load_relaxed(&recent_free->tag);
    }
    return 0;
}
