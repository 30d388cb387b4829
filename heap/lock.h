/* SPDX-License-Identifier: BSD-2-Clause
 *
 * lock.h - a futex lock.  Not recursive; usable before main, and after fork
 * (mt_lock_reset in the child).  The order of locks is at the head of heap.c.
 *
 * A thread that waits for a lock of its own would wait for ever.  It has come
 * from a handler of a signal that interrupted the heap, or left such a handler
 * by longjmp().  The process then ends by SIGABRT, with a line on stderr.
 */
#ifndef MT_LOCK_H
#define MT_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct mt_lock {
    uint32_t word; /* 0: free; the thread that holds it; | 1: waited for */
};
void mt_lock_acquire(struct mt_lock *);
bool mt_lock_try(struct mt_lock *);
void mt_lock_release(struct mt_lock *);
/* In the child of a fork. Writes nothing to one that is free. */
void mt_lock_reset(struct mt_lock *);

#endif
