/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark_workers.h - threads that work off one heap of items: each has a bounded
 * stack of its own, and those that have run out get some from the others.
 */
#ifndef MT_MARK_WORKERS_H
#define MT_MARK_WORKERS_H

#include "coreanalyze/base/workers.h"
#include "coreanalyze/reach/mark.h"

#include <pthread.h>

/* An item is a block to be scanned: span << 32 | index, or for a block that
 * is alone in its span and large, span << 32 | number of its piece; or the slot
 * of a block with a list of pointers. */
#define MT_ITEM_LIST (UINT64_C(1) << 63)
#define MT_PIECE_BYTES (UINT64_C(1) << 20)
#define MT_TEAM_BATCH 32u

struct mt_workers {
    struct mt_mark *mark;
    pthread_mutex_t lock;
    pthread_cond_t more;
    uint64_t *pool; /* items that wait for a thread */
    size_t n_pool, pool_capacity;
    struct mt_worker *workers;
    void (*work)(struct mt_worker *, void *context);
    void *context;
    unsigned n_threads, n_idle; /* that have begun, that wait for items */
    bool done, overflow;
    struct mt_parts parts; /* of the work that is split by ranges */
    uint64_t progress_total;
};

struct mt_worker {
    struct mt_workers *all;
    struct mt_map *map;
    struct mt_scan scan;
    uint64_t *stack;
    size_t n, capacity;
    /* Taken off the stack, being scanned; the lists of those with lists. */
    uint64_t batch[MT_TEAM_BATCH];
    const uint32_t *lists[MT_TEAM_BATCH];
    uint64_t listed_bytes; /* of blocks that were scanned by their lists */
    bool leader;           /* reports progress */
    bool definite;         /* the block being scanned is DEFINITE */
    uint64_t reported;
};

/* Runs `work` in every thread, the calling one among them; then all take part
 * until no item is left.  `alone`: in the calling thread only.  Adds up the
 * counts of `mark`. */
bool mt_workers_run(struct mt_mark *mark, struct mt_workers *all, bool alone,
                    void (*work)(struct mt_worker *, void *context),
                    void *context, struct mt_error *error);

/* The next part of [0, n) that no thread has taken; false: none is left. */
bool mt_workers_next(struct mt_worker *worker, uint64_t n, uint64_t *part);

/* Scans all that is on the worker's stack, and what that leads to. */
void mt_worker_drain(struct mt_worker *worker);
/* Runs the workers with another way of marking. */
void mt_worker_drain_by(struct mt_worker *worker, mt_hit_fn *visit);

/* Reports how far the work is, now and then. */
void mt_worker_progress(struct mt_worker *worker);

/* A block to be scanned; its span is 0 if a list led to it. */
static inline void mt_worker_push(struct mt_worker *worker,
                                  const struct mt_block_ref *place)
{
    const struct mt_pointer_lists *lists = worker->all->mark->lists;
    unsigned count = lists ? lists->counts[place->slot] : MT_LIST_UNKNOWN;
    struct mt_block_ref found = *place;

    if (count == 0)
        return;
    if (worker->n == worker->capacity) {
        __atomic_fetch_or(&worker->map->flags[place->slot], MT_BLOCK_PENDING,
                          __ATOMIC_RELAXED);
        __atomic_store_n(&worker->all->overflow, true, __ATOMIC_RELAXED);
        return;
    }
    if (count != MT_LIST_UNKNOWN) {
        worker->stack[worker->n++] = MT_ITEM_LIST | place->slot;
        return;
    }
    if (found.span == 0)
        mt_slot_place(&lists->index, &found);
    worker->stack[worker->n++] = (uint64_t)found.span << 32 | found.index;
}

/* Marks what the hit leads to; `context` is a struct mt_worker. */
static inline void mt_worker_reach(void *context, const struct mt_hit *hit)
{
    struct mt_worker *worker = context;
    uint8_t *flags = &worker->map->flags[hit->place.slot];
    uint8_t wanted = MT_BLOCK_REACHED;

    if (worker->definite && hit->start)
        wanted |= MT_BLOCK_DEFINITE;
    if ((__atomic_load_n(flags, __ATOMIC_RELAXED) & wanted) == wanted ||
        (__atomic_fetch_or(flags, wanted, __ATOMIC_RELAXED) & wanted) == wanted)
        return;
    mt_worker_push(worker, &hit->place);
}

#endif
