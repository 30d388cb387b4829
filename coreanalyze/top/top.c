/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top.c - which processes are looked at, and when.
 */
#include "coreanalyze/top/top.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/process_tree.h"

#include <stdlib.h>
#include <unistd.h>

#define MOST_PROCESSES 256
#define TOP_PART 5 /* of the time is spent on reading at most */

static bool top_add(struct mt_top *top, pid_t pid, pid_t parent)
{
    struct mt_top_process *p;

    if (pid == getpid() || top->n >= MOST_PROCESSES)
        return true;
    for (size_t i = 0; i < top->n; i++)
        if (top->processes[i]->pid == pid && !top->processes[i]->ended)
            return true;
    if (!mt_grow(&top->processes, &top->capacity, top->n + 1,
                 sizeof *top->processes))
        return false;
    p = mt_top_process_new(pid, top->options->heap);
    if (p == NULL)
        return false;
    p->parent = parent;
    top->processes[top->n++] = p;
    return true;
}

/* --- children --- */

struct top_search {
    struct mt_top *top;
    pid_t parent;
    bool ok;
};

static void top_see_child(void *context, pid_t child)
{
    struct top_search *search = context;

    search->ok = search->ok && top_add(search->top, child, search->parent);
}

/* The list grows while it is looked through: children have children. */
static bool top_follow(struct mt_top *top)
{
    for (size_t i = 0; i < top->n; i++) {
        struct top_search search = {top, top->processes[i]->pid, true};
        if (!top->processes[i]->ended)
            mt_process_children(search.parent, top_see_child, &search);
        if (!search.ok)
            return false;
    }
    return true;
}

/* Children that have ended, and never had a trace, say nothing. */
static void top_forget(struct mt_top *top)
{
    size_t kept = 0;

    for (size_t i = 0; i < top->n; i++) {
        struct mt_top_process *p = top->processes[i];
        if (p->ended && p->parent && p->model == NULL)
            mt_top_process_free(p);
        else
            top->processes[kept++] = p;
    }
    top->n = kept;
}

/* --- refreshes --- */

bool mt_top_refresh(struct mt_top *top, struct mt_error *error)
{
    top->refreshes++;
    top->started_ns = mt_clock_ns(CLOCK_MONOTONIC);
    if (top->options->children && !top_follow(top))
        return mt_no_memory(error, "the processes");
    top->cpu_ns = 0;
    for (size_t i = 0; i < top->n; i++) {
        if (!mt_top_process_refresh(top->processes[i], &top->options->names,
                                    error))
            return false;
        top->cpu_ns += top->processes[i]->cpu_ns;
    }
    top_forget(top);
    return true;
}

bool mt_top_begin(struct mt_top *top, const struct mt_top_options *options,
                  struct mt_error *error)
{
    *top = (struct mt_top){.options = options};
    for (size_t i = 0; i < options->n_pids; i++)
        if (!top_add(top, options->pids[i], 0))
            return mt_no_memory(error, "the processes");
    if (!mt_top_refresh(top, error))
        return false;
    for (size_t i = 0; i < top->n; i++)
        if (top->processes[i]->model)
            return true;
    if (top->n > 0)
        *error = top->processes[0]->error;
    return error->text[0] ? false : mt_fail(error, "top: nothing to look at");
}

void mt_top_end(struct mt_top *top)
{
    for (size_t i = 0; i < top->n; i++)
        mt_top_process_free(top->processes[i]);
    free(top->processes);
    *top = (struct mt_top){0};
}

bool mt_top_all_ended(const struct mt_top *top)
{
    for (size_t i = 0; i < top->n; i++)
        if (!top->processes[i]->ended)
            return false;
    return true;
}

uint64_t mt_top_wait_ns(const struct mt_top *top)
{
    uint64_t least = TOP_PART * top->cpu_ns, delay = top->options->delay_ns;
    uint64_t due = top->started_ns + (delay > least ? delay : least);
    uint64_t now = mt_clock_ns(CLOCK_MONOTONIC);

    return due > now ? due - now : 0;
}
