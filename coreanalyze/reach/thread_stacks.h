/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_stacks.h - where the stacks of a target's threads begin and end.
 *
 * Nothing is guessed: a stack is known if the C library's own record of the
 * thread (glibc's struct pthread) says where it is.  Records are found from
 * the threads' fs registers and from the lists that link all of them, those
 * of stacks that wait for the next thread included.
 */
#ifndef MT_THREAD_STACKS_H
#define MT_THREAD_STACKS_H

#include "coreanalyze/source/source.h"

struct mt_thread_stack {
    uint64_t start, end; /* guard included */
    uint64_t tcb;        /* address of the control block, near the end */
    /* Where what an ended thread returned waits for pthread_join; 0 where
     * nobody will ask for it. */
    uint64_t result;
    bool ended;      /* no thread uses it any more */
    bool joined;     /* that was asked for, by what the record says */
    bool rest_known; /* `result` and `joined` are */
};

struct mt_thread_stacks {
    struct mt_thread_stack *items; /* by control block */
    size_t n, capacity;
    /* The stack that the program was started on; main_tcb is 0 where the
     * record of the main thread was not found. */
    uint64_t main_start, main_end, main_tcb;
    bool main_ended;
};

/* False when out of memory.  The target stands still, or may be wrong. */
bool mt_thread_stacks_find(struct mt_source *source,
                           struct mt_thread_stacks *stacks);
void mt_thread_stacks_free(struct mt_thread_stacks *stacks);

/* The stack whose control block is at `tcb`, or NULL. */
const struct mt_thread_stack *
mt_thread_stacks_of(const struct mt_thread_stacks *stacks, uint64_t tcb);

/* Bytes of a record that a search must be able to read. */
#define MT_TCB_BYTES 0xa00u

#endif
