/* SPDX-License-Identifier: BSD-2-Clause
 *
 * workers.h - one piece of work on several threads at once, and the parts that
 * they take of it.
 */
#ifndef MT_BASE_WORKERS_H
#define MT_BASE_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#define MT_MAX_WORKERS 64u

/* The processors that are online, at most `most`. */
unsigned mt_processors(unsigned most);

/* Those that have something to do for BYTES of memory: a thread costs as much
 * as reading some hundred KiB. */
unsigned mt_processors_for(uint64_t bytes, unsigned most);

/* Calls work(context, 0) here and work(context, 1) to work(context, n - 1) in
 * threads of their own, and returns when all have returned.  `n` is at most
 * MT_MAX_WORKERS.  Where threads cannot be made there are fewer calls: each
 * takes what is left to take. */
void mt_run_workers(unsigned n, void (*work)(void *context, unsigned index),
                    void *context);

/* Parts of a piece of work, which threads take one by one until there are no
 * more, or one of them stops all. */
struct mt_parts {
    uint64_t next;
    bool stopped;
};

static inline bool mt_parts_stopped(const struct mt_parts *parts)
{
    return __atomic_load_n(&parts->stopped, __ATOMIC_RELAXED);
}

static inline void mt_parts_stop(struct mt_parts *parts)
{
    __atomic_store_n(&parts->stopped, true, __ATOMIC_RELAXED);
}

/* The next one of n parts that no thread has taken; false: there is none. */
static inline bool mt_parts_take(struct mt_parts *parts, uint64_t n,
                                 uint64_t *part)
{
    if (mt_parts_stopped(parts))
        return false;
    *part = __atomic_fetch_add(&parts->next, 1, __ATOMIC_RELAXED);
    return *part < n;
}

#endif
