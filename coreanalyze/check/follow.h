/* SPDX-License-Identifier: BSD-2-Clause
 *
 * check.h - a program and its children, followed to their ends; the heap of
 * each is looked at while its memory is still there.
 */
#ifndef MT_CHECK_H
#define MT_CHECK_H

#include "coreanalyze/source/source.h"

/* A process at its end: all its threads stand still in the kernel. */
struct mt_exited {
    pid_t pid;
    bool program;              /* it is the one that was started */
    pid_t reader;              /* thread that its memory is read by */
    int status;                /* as waitpid(2) will tell it */
    struct mt_thread *threads; /* with the registers that they ended with */
    size_t n_threads;
};

struct mt_check_events {
    void (*ended)(void *context, const struct mt_exited *);
    /* A process that could not be followed to its end, and why. */
    void (*lost)(void *context, pid_t pid, const char *why);
    void *context;
    unsigned wait_s;     /* for what outlives the program */
    const char *command; /* that errors begin with */
    /* For MEMTRACE of the program if it cannot be followed: KEY=VALUE, or
     * NULL.  No event comes then. */
    const char *unfollowed;
};

/* How it ended. */
struct mt_check_end {
    uint32_t pid;  /* of the program */
    int status;    /* of waitpid(2) */
    bool followed; /* else ptrace was refused */
};

/* A limit on the size of files is an error from then on, as a full disk is:
 * SIGXFSZ stays ignored, but for the program.
 *
 * Starts argv[0] with `preload` on the traced heap, and returns when it and all
 * its children have ended.  False with `error` filled if it could not be
 * started; error->status is then what a shell returns. */
bool mt_check_run(char *const *argv, const char *preload,
                  const struct mt_check_events *events,
                  struct mt_check_end *end, struct mt_error *error);

/* The memory of such a process, with its threads as they ended; NULL with
 * `error` filled. */
struct mt_source *mt_exited_open(const struct mt_exited *ended,
                                 struct mt_error *error);

#endif
