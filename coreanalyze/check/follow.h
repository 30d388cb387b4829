/* SPDX-License-Identifier: BSD-2-Clause
 *
 * follow.h - follows a program and its children to their ends. The heap of each
 * is searched before the kernel takes its memory away.
 */
#ifndef MT_FOLLOW_H
#define MT_FOLLOW_H

#include "coreanalyze/source/exited_process.h"

struct mt_check_events {
    void (*ended)(void *context, const struct mt_exited *);
    /* A process that could not be followed to its end, and why. */
    void (*lost)(void *context, pid_t pid, const char *why);
    void *context;
    bool no_ptrace;      /* do as if ptrace were refused */
    unsigned wait_s;     /* for what outlives the program */
    const char *command; /* that errors begin with */
    /* For MEMTRACE of the program, before what it has: KEY=VALUE, or NULL. */
    const char *settings;
    /* A setting to add after that if the program cannot be followed: KEY=VALUE,
     * or NULL. No event comes then. */
    const char *unfollowed;
};

/* How it ended. */
struct mt_check_end {
    uint32_t pid;  /* of the program; known as soon as it is started */
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

#endif
