/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_stop.c - stop all threads of a process and read their registers.
 *
 * PTRACE_SEIZE leaves no trace in the target: no signal is sent, and if this
 * process dies the kernel lets the target go.  A signal that arrives during
 * the stop is handed back at detach.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

_Static_assert(sizeof(struct user_regs_struct) == MT_N_REGISTERS * 8,
               "registers of x86-64");

struct stopped {
    pid_t tid;
    int signal; /* to hand back */
    uint64_t registers[MT_N_REGISTERS];
    bool has_registers;
};

static bool live_stop_already(const struct live *live, pid_t tid)
{
    for (size_t i = 0; i < live->n_stopped; i++)
        if (live->stopped[i].tid == tid)
            return true;
    return false;
}

/* Stops one thread; true also if it has just exited. */
static bool stop_thread(struct live *live, pid_t tid, size_t *capacity)
{
    struct stopped stopped = {.tid = tid};
    int status;

    if (ptrace(PTRACE_SEIZE, tid, 0, 0) != 0)
        return errno == ESRCH;
    if (!mt_grow(&live->stopped, capacity, live->n_stopped + 1,
                 sizeof *live->stopped)) {
        ptrace(PTRACE_DETACH, tid, 0, 0);
        return false;
    }
    if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) != 0 ||
        waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
        return true;
    /* Not PTRACE_EVENT_STOP: a signal was about to be delivered. */
    if (status >> 16 != PTRACE_EVENT_STOP)
        stopped.signal = WSTOPSIG(status);
    stopped.has_registers =
        ptrace(PTRACE_GETREGS, tid, 0, stopped.registers) == 0;
    live->stopped[live->n_stopped++] = stopped;
    return true;
}

bool mt_live_stop(struct mt_source *source, struct mt_error *error)
{
    struct live *live = (struct live *)source;
    size_t capacity = 0, before;

    mt_live_go(source);
    free(live->stopped);
    live->stopped = NULL;
    /* Threads that still run may make new ones: repeat until all are known. */
    do {
        before = live->n_stopped;
        if (!mt_live_threads(source, live->pid, error))
            return false;
        for (size_t i = 0; i < source->n_threads; i++) {
            pid_t tid = (pid_t)source->threads[i].tid;
            if (live_stop_already(live, tid))
                continue;
            if (!stop_thread(live, tid, &capacity)) {
                mt_fail(error, "cannot stop thread %d: %s", (int)tid,
                        strerror(errno));
                mt_live_go(source);
                return false;
            }
        }
    } while (live->n_stopped > before);
    for (size_t i = 0; i < source->n_threads; i++) {
        struct mt_thread *thread = &source->threads[i];
        for (size_t j = 0; j < live->n_stopped; j++) {
            if (live->stopped[j].tid != (pid_t)thread->tid)
                continue;
            thread->has_registers = live->stopped[j].has_registers;
            memcpy(thread->registers, live->stopped[j].registers,
                   sizeof thread->registers);
            thread->fs_base = thread->registers[MT_REG_FS_BASE];
        }
    }
    return true;
}

void mt_live_go(struct mt_source *source)
{
    struct live *live = (struct live *)source;

    for (size_t i = 0; i < live->n_stopped; i++)
        ptrace(PTRACE_DETACH, live->stopped[i].tid, 0, live->stopped[i].signal);
    live->n_stopped = 0;
}
