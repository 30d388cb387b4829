/* SPDX-License-Identifier: BSD-2-Clause
 *
 * traced.c - the table of threads that are followed: an array, and what is
 * known by each number that a thread or a process may have.
 */
#include "coreanalyze/check/traced.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#define MOST_IDS ((pid_t)4 << 20) /* the kernel's limit */
#define IDS_BYTES ((size_t)MOST_IDS * sizeof(struct mt_traced_id))

bool mt_traced_init(struct mt_traced_table *table)
{
    void *ids = mmap(NULL, IDS_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    *table = (struct mt_traced_table){.ids = ids};
    return ids != MAP_FAILED;
}

void mt_traced_done(struct mt_traced_table *table)
{
    munmap(table->ids, IDS_BYTES);
    free(table->all);
}

struct mt_traced *mt_traced_find(struct mt_traced_table *table, pid_t tid)
{
    uint32_t place = tid > 0 && tid < MOST_IDS ? table->ids[tid].place : 0;

    return place ? &table->all[place - 1] : NULL;
}

/* Counts a thread among those of its process. */
static void traced_count(struct mt_traced_table *table,
                         const struct mt_traced *t, int n)
{
    struct mt_traced_id *id = &table->ids[t->pid];

    if (t->held)
        id->held += (uint32_t)n;
    else
        id->running += (uint32_t)n;
}

void mt_traced_hold(struct mt_traced_table *table, struct mt_traced *t,
                    bool held)
{
    traced_count(table, t, -1);
    t->held = held;
    traced_count(table, t, 1);
}

struct mt_traced *mt_traced_add(struct mt_traced_table *table, pid_t tid,
                                pid_t pid)
{
    struct mt_traced *t;

    if (tid <= 0 || tid >= MOST_IDS || pid <= 0 || pid >= MOST_IDS ||
        !mt_grow(&table->all, &table->capacity, table->n + 1,
                 sizeof *table->all))
        return NULL;
    t = &table->all[table->n++];
    *t = (struct mt_traced){.tid = tid, .pid = pid};
    table->ids[tid].place = (uint32_t)table->n;
    traced_count(table, t, 1);
    return t;
}

void mt_traced_forget(struct mt_traced_table *table, struct mt_traced *t)
{
    traced_count(table, t, -1);
    table->ids[t->tid].place = 0;
    if (t != &table->all[--table->n]) {
        *t = table->all[table->n];
        table->ids[t->tid].place = (uint32_t)(t - table->all) + 1;
    }
}
