/* SPDX-License-Identifier: BSD-2-Clause
 *
 * watch.h - saves processes from outside before their memory runs out.
 */
#ifndef MT_WATCH_H
#define MT_WATCH_H

#include "coreanalyze/base/error.h"
#include "coreanalyze/source/source.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct mt_watch_options {
    /* One of these; a process that is named may start later, and again. */
    pid_t pid;
    const char *name, *cgroup;
    double at_share;     /* of the limit, 0 to 1; 0: not by share */
    uint64_t at_bytes;   /* resident in the process; 0: not by bytes */
    uint64_t every_ns;   /* 0: not by time */
    double grow;         /* share that it has grown since the last file; 0 */
    uint64_t keep;       /* files of a process, 0: all */
    const char *pattern; /* of the names of files */
    struct mt_source_limits limits;
    FILE *out; /* a line for each file */
};

/* Returns when the process of `pid` has ended; otherwise never.  False with
 * `error` filled if there is nothing to watch. */
bool mt_watch(const struct mt_watch_options *, struct mt_error *);

#endif
