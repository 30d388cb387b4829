/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top.h - memtrace top: the processes that are looked at, refresh by refresh,
 * in a terminal or as text.
 */
#ifndef MT_TOP_H
#define MT_TOP_H

#include "coreanalyze/reports/style.h"
#include "coreanalyze/top/top_process.h"

#include <stdio.h>

struct mt_top_options {
    const pid_t *pids;
    size_t n_pids;
    bool children;      /* follow the children of these processes */
    const char *heap;   /* the only one, or NULL */
    uint64_t delay_ns;  /* between two refreshes */
    uint64_t refreshes; /* 0: until something ends it */
    enum mt_top_sort sort;
    const char *filter; /* regular expression, or NULL */
    uint64_t rows;      /* of a process, as text; 0: all */
    struct mt_style style;
    bool utf8;
    struct mt_resolver_options names;
    FILE *out;
    /* Runs another command of the tool, whose text goes to `out`. */
    bool (*run)(void *context, const char *const *argv, FILE *out,
                struct mt_error *error);
    void *context;
};

struct mt_top {
    const struct mt_top_options *options;
    struct mt_top_process **processes; /* those named first */
    size_t n, capacity;
    uint64_t refreshes;
    uint64_t started_ns; /* the last refresh, by CLOCK_MONOTONIC */
    uint64_t cpu_ns;     /* that it took */
};

/* Opens the processes that were named, and looks at them once.  False with
 * `error` filled if none of them can be read. */
bool mt_top_begin(struct mt_top *top, const struct mt_top_options *options,
                  struct mt_error *error);
/* Looks at all of them, and for new children.  False only if memory is short.
 */
bool mt_top_refresh(struct mt_top *top, struct mt_error *error);
void mt_top_end(struct mt_top *top);
/* Have all of them ended? */
bool mt_top_all_ended(const struct mt_top *top);
/* Nanoseconds until the next refresh is due: the delay, or longer where reading
 * would take more than a fifth of a processor. */
uint64_t mt_top_wait_ns(const struct mt_top *top);

/* --- top_batch.c --- */
/* Prints each refresh as text, as `top -b` does, to the options' `out`. */
bool mt_top_batch(const struct mt_top_options *options, struct mt_error *error);

/* --- top_screen.c: in the command alone, which has a terminal --- */
bool mt_top_screen(const struct mt_top_options *options,
                   struct mt_error *error);

#endif
