/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_process.h - a process that is looked at again and again: its reader stays
 * open, and the names of its functions are read once.
 */
#ifndef MT_TOP_PROCESS_H
#define MT_TOP_PROCESS_H

#include "coreanalyze/names/resolve.h"
#include "coreanalyze/source/memory_use.h"
#include "coreanalyze/top/top_history.h"

struct mt_top_process {
    pid_t pid, parent; /* parent: of a child that was followed, or 0 */
    char name[16];
    uint64_t start_time;          /* tells it from a later process of its pid */
    struct mt_source *source;     /* or NULL: not opened yet, or not readable */
    struct mt_model *model;       /* of the last refresh, or NULL */
    struct mt_resolver *resolver; /* or NULL */
    struct mt_show_options wanted; /* of the show */
    struct mt_show show;           /* of the model */
    bool show_by_thread;           /* its rows are by thread */
    struct mt_top_history history;
    struct mt_top_figures untraced; /* without a stack */
    uint64_t n_stacks;              /* that have live blocks */
    struct mt_memory_use use;       /* of its cgroup */
    struct mt_process_limit limit;  /* its own */
    uint64_t refreshes;             /* that were tried */
    uint64_t cpu_ns;                /* of the reader, for the last refresh */
    bool ended;                     /* what was read last stays */
    struct mt_error error;          /* why nothing was read, or "" */
};

/* `heap`: the only one that is shown, or NULL.  NULL when out of memory. */
struct mt_top_process *mt_top_process_new(pid_t pid, const char *heap);
void mt_top_process_free(struct mt_top_process *); /* takes NULL */

/* Looks at the process, neither stopping it nor giving it memory.  Errors are
 * those of the process, and kept there; false only when out of memory. */
bool mt_top_process_refresh(struct mt_top_process *,
                            const struct mt_resolver_options *names,
                            struct mt_error *error);

/* Can the stack of a row be read, or has it gone: with the process, or because
 * no block has it any more? */
bool mt_top_process_has(const struct mt_top_process *,
                        const struct mt_top_row *row);

/* What a search for leaks has to read while the process stands still, and how
 * long that takes as fast as some of it was read just now. */
void mt_top_process_stop_cost(struct mt_top_process *, uint64_t *bytes,
                              uint64_t *ns);

#endif
