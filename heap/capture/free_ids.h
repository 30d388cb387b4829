/* SPDX-License-Identifier: BSD-2-Clause
 *
 * free_ids.h - lists of ids that nobody uses, of nodes and of stacks.  All of
 * it is AS-safe and takes no lock.
 */
#ifndef MT_FREE_IDS_H
#define MT_FREE_IDS_H

#include "heap/attributes.h"

#include <stdint.h>

/* A list of free ids, linked by a field of theirs. */
struct mt_free_ids {
    uint64_t head; /* number of changes: 32, id: 32 */
    uint64_t n;
};
/* Puts `n` linked ids in front. */
void mt_free_ids_put(struct mt_free_ids *, uint32_t n, uint32_t first,
                     uint32_t *last_link);

/* Ids on their way to a list, some at a time; those that are on their way when
 * the caller is left in the middle are lost. */
#define MT_FREE_CHAIN 32
struct mt_free_chain {
    uint32_t n, first;
    uint32_t *last_link;
};
void mt_free_ids_end(struct mt_free_ids *, struct mt_free_chain *);
static inline void mt_free_ids_add(struct mt_free_ids *list,
                                   struct mt_free_chain *chain, uint32_t id,
                                   uint32_t *link)
{
    mt_store_relaxed(link, chain->first);
    if (chain->n++ == 0)
        chain->last_link = link;
    chain->first = id;
    if (chain->n == MT_FREE_CHAIN)
        mt_free_ids_end(list, chain);
}

#endif
