/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_groups.c - rows of blocks.  A row can grow as long as the walk is
 * below its owner; of the others only the largest are kept.
 */
#include "coreanalyze/analyses/retained_groups.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>

#define GROUPS (UINT32_C(1) << 18) /* at first; more only if all may grow */
#define NO_GROUP UINT32_MAX

struct group_key {
    uint32_t owner, stack;
};

static bool group_match(const void *items, size_t item, const void *key)
{
    const struct mt_retained_block *group =
        (const struct mt_retained_block *)items + item;
    const struct group_key *wanted = key;

    return group->owner == wanted->owner && group->stack == wanted->stack;
}

static int group_order(const void *a, const void *b)
{
    const struct mt_retained_block *x = a, *y = b;

    if (x->retained.bytes != y->retained.bytes)
        return x->retained.bytes > y->retained.bytes ? -1 : 1;
    return x->block.address < y->block.address
               ? -1
               : x->block.address > y->block.address;
}

void mt_retained_groups_sort(struct mt_retained_groups *groups)
{
    if (groups->n > 0)
        qsort(groups->items, groups->n, sizeof *groups->items, group_order);
}

static uint64_t group_hash(uint32_t owner, uint32_t stack)
{
    return (uint64_t)owner << 32 | stack;
}

/* Drops groups that nobody will see: those that are whole, and not among the
 * largest. */
static bool groups_prune(struct mt_retained_groups *groups,
                         const uint32_t *sizes, uint32_t *newest,
                         uint32_t place)
{
    size_t kept = 0, whole = 0;

    mt_retained_groups_sort(groups);
    mt_table_free(&groups->by_owner);
    groups->by_owner = (struct mt_table){0};
    for (size_t i = 0; i < groups->n; i++) {
        struct mt_retained_block group = groups->items[i];
        bool grows = group.owner + sizes[group.owner] > place;
        uint32_t last = newest[group.stack];
        if (!grows && whole++ >= groups->top)
            continue;
        groups->items[kept] = group;
        if (!mt_table_add(&groups->by_owner,
                          group_hash(group.owner, group.stack), kept))
            return false;
        /* The innermost owner is the newest one's. */
        if (grows && last != NO_GROUP &&
            (last >= kept || groups->items[last].stack != group.stack ||
             groups->items[last].owner <= group.owner))
            newest[group.stack] = (uint32_t)kept;
        kept++;
    }
    groups->dropped += groups->n - kept;
    groups->n = kept;
    groups->most = kept > GROUPS / 2 ? kept * 2 : GROUPS;
    return true;
}

struct mt_retained_block *
mt_retained_groups_of(struct mt_retained_groups *groups, const uint32_t *sizes,
                      uint32_t *newest, uint32_t place, uint32_t owner,
                      uint32_t stack)
{
    struct group_key key = {owner, stack};
    uint64_t hash = group_hash(owner, stack);
    size_t i;

    if (groups->most == 0)
        groups->most = GROUPS;
    if (groups->n >= groups->most &&
        !groups_prune(groups, sizes, newest, place))
        return NULL;
    i = mt_table_find(&groups->by_owner, hash, group_match, groups->items,
                      &key);
    if (i == MT_TABLE_NONE) {
        i = groups->n;
        if (!mt_grow(&groups->items, &groups->capacity, i + 1,
                     sizeof *groups->items) ||
            !mt_table_add(&groups->by_owner, hash, i))
            return NULL;
        groups->items[groups->n++] =
            (struct mt_retained_block){.owner = owner, .stack = stack};
    }
    return &groups->items[i];
}

void mt_retained_groups_free(struct mt_retained_groups *groups)
{
    free(groups->items);
    mt_table_free(&groups->by_owner);
}
