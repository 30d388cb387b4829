/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_stop.c - stop all threads of a process, and take their registers.
 *
 * A process of ours holds them (holder.h).  As long as it does, this one does
 * not let the terminal suspend it.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/memory_sharers.h"
#include "coreanalyze/source/proc_task.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_STOP_NS UINT64_C(1000000000)
#define IDLE_NS UINT64_C(10000000000)

static void block_job_control(struct live *live)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGTTIN);
    sigaddset(&set, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &set, &live->signals);
}

static int thread_by_tid(const void *a, const void *b)
{
    const struct mt_thread *x = a, *y = b;

    return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static void copy_registers_of(struct mt_thread *thread,
                              const struct mt_held_thread *held)
{
    thread->has_registers = held->has_registers;
    if (!held->has_registers)
        return;
    memcpy(thread->registers, held->registers, sizeof thread->registers);
    thread->fs_base = thread->registers[MT_REG_FS_BASE];
}

/* The threads that were found when it was stopped, with the names that were
 * known before.  Those that did not stop in time have no registers. */
static bool take_held(struct live *live, struct mt_error *error)
{
    struct mt_source *source = &live->source;
    size_t n, kept = 0;
    const struct mt_held_thread *held = mt_held_threads(&live->holder, &n);
    struct mt_thread *threads = calloc(n + 1, sizeof *threads);

    if (!threads)
        return mt_no_memory(error, "the table of threads");
    if (source->n_threads > 0)
        qsort(source->threads, source->n_threads, sizeof *source->threads,
              thread_by_tid);
    source->coverage.threads_running = 0;
    for (size_t i = 0; i < n; i++) {
        struct mt_thread *t = &threads[kept];
        const struct mt_thread key = {.tid = (uint32_t)held[i].tid}, *before;
        if (held[i].state == MT_HELD_ENDED)
            continue;
        t->tid = key.tid;
        before = source->n_threads > 0
                     ? bsearch(&key, source->threads, source->n_threads,
                               sizeof key, thread_by_tid)
                     : NULL;
        if (before)
            memcpy(t->name, before->name, sizeof t->name);
        else if (held[i].process > 0)
            mt_proc_name(held[i].tid, t->name);
        copy_registers_of(t, &held[i]);
        source->coverage.threads_running += held[i].state == MT_HELD_NOT;
        kept++;
    }
    free(source->threads);
    source->threads = threads;
    source->n_threads = kept;
    return true;
}

bool mt_live_stop(struct mt_source *source, struct mt_error *error)
{
    struct live *live = (struct live *)source;
    pid_t sharers[MT_MOST_SHARERS];
    size_t n =
        mt_memory_sharers(live->pid, live->tid, sharers, MT_MOST_SHARERS);
    const struct mt_hold_options options = {
        .stop_ns =
            source->limits.stop_ns ? source->limits.stop_ns : USUAL_STOP_NS,
        .idle_ns = IDLE_NS,
        .sharers = sharers,
        .n_sharers = n < MT_MOST_SHARERS ? n : MT_MOST_SHARERS,
        .progress = source->progress,
    };

    mt_live_go(source);
    block_job_control(live);
    if (mt_hold_begin(&live->holder, live->tid, &options, error) &&
        take_held(live, error) && mt_live_maps(source, live->tid, error)) {
        source->coverage.sharers_running =
            (uint32_t)(n - options.n_sharers) + mt_held_not(&live->holder);
        return true;
    }
    if (live->holder.shared)
        mt_live_go(source);
    else
        pthread_sigmask(SIG_SETMASK, &live->signals, NULL);
    return false;
}

void mt_live_go(struct mt_source *source)
{
    struct live *live = (struct live *)source;

    if (!live->holder.shared)
        return;
    if (!mt_hold_end(&live->holder)) {
        source->coverage.let_go = true;
        source->captured.stopped = false;
    }
    pthread_sigmask(SIG_SETMASK, &live->signals, NULL);
}
