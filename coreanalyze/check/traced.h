/* SPDX-License-Identifier: BSD-2-Clause
 *
 * traced.h - the threads that are followed, by number and by process.
 */
#ifndef MT_TRACED_H
#define MT_TRACED_H

#include "coreanalyze/source/exited_process.h"

struct mt_traced {
    pid_t tid, pid;
    bool known;                   /* its parent's event has come */
    bool waiting;                 /* for that */
    bool held;                    /* at its end */
    bool shares;                  /* the memory of its parent */
    int status;                   /* of its end */
    struct mt_exit_signal signal; /* the last one it got */
    struct mt_thread thread;
};

/* What is known by the number of a thread, or of a process. */
struct mt_traced_id {
    uint32_t place;         /* of the thread in `all`, from 1 on */
    uint32_t running, held; /* threads of the process */
};

struct mt_traced_table {
    struct mt_traced *all;
    size_t n, capacity;
    struct mt_traced_id *ids; /* memory comes as it is used */
};

/* False when out of memory. */
bool mt_traced_init(struct mt_traced_table *table);
void mt_traced_done(struct mt_traced_table *table);

/* A thread is found and counted in the same time, however many there are. */
struct mt_traced *mt_traced_find(struct mt_traced_table *table, pid_t tid);
/* NULL when out of memory. */
struct mt_traced *mt_traced_add(struct mt_traced_table *table, pid_t tid,
                                pid_t pid);
/* The last thread takes its place. */
void mt_traced_forget(struct mt_traced_table *table, struct mt_traced *t);
void mt_traced_hold(struct mt_traced_table *table, struct mt_traced *t,
                    bool held);

#endif
