/* SPDX-License-Identifier: BSD-2-Clause
 *
 * free_ids.c - lists of ids that nobody uses.
 *
 * The number of changes beside the first id keeps a compare-and-swap from
 * taking a list for another one that begins alike.
 */
#include "heap/capture/free_ids.h"
#include "heap/attributes.h"

#include <stdbool.h>

void mt_free_ids_put(struct mt_free_ids *list, uint32_t n, uint32_t first,
                     uint32_t *last_link)
{
    uint64_t head = mt_load_relaxed(&list->head), next;
    do {
        mt_store_relaxed(last_link, (uint32_t)head);
        next = (head & ~(uint64_t)UINT32_MAX) + (UINT64_C(1) << 32) + first;
    } while (!__atomic_compare_exchange_n(&list->head, &head, next, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    __atomic_fetch_add(&list->n, n, __ATOMIC_RELAXED);
}

void mt_free_ids_end(struct mt_free_ids *list, struct mt_free_chain *chain)
{
    if (chain->n)
        mt_free_ids_put(list, chain->n, chain->first, chain->last_link);
    *chain = (struct mt_free_chain){0};
}
