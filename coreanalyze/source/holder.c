/* SPDX-License-Identifier: BSD-2-Clause
 *
 * holder.c - starts the process that holds a target, and ends it.
 */
#include "coreanalyze/source/holder.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/proc_task.h"
#include "coreanalyze/source/thread_words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MORE_THREADS 4096u /* than there were a moment ago */
#define OTHERS_NS UINT64_C(60000000000)
#define MAX_TRIES 2000u
#define OTHERS_PAUSE_NS 20000000
#define LOOK_MS 100
#define MAX_THREADS (1u << 22)
#ifndef SYS_close_range
#define SYS_close_range 436 /* Linux 5.9 */
#endif
#define MAX_DESCRIPTORS 65536 /* that are closed one by one */

static bool make_shared(struct mt_holder *holder, pid_t tid,
                        const struct mt_hold_options *options)
{
    long threads = mt_proc_status(tid, "Threads:");
    uint64_t capacity = threads > 0 ? (uint64_t)threads * 2 : 0;
    struct mt_hold *hold;

    capacity = (capacity < MAX_THREADS ? capacity : MAX_THREADS) + MORE_THREADS;
    holder->shared_bytes = sizeof *hold +
                           (size_t)capacity * sizeof *hold->threads +
                           MT_MAX_THREAD_WORDS * sizeof *hold->words;
    hold = mmap(NULL, holder->shared_bytes, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (hold == MAP_FAILED)
        return false;
    hold->target = tid;
    hold->parent = getpid();
    hold->stop_ns = options->stop_ns;
    hold->idle_ns = options->idle_ns;
    for (size_t i = 0; i < options->n_sharers && i < MT_MOST_SHARERS; i++)
        hold->sharers[hold->n_sharers++] = options->sharers[i];
    hold->capacity = (uint32_t)capacity;
    hold->words = (struct mt_kernel_word *)(void *)(hold->threads + capacity);
    hold->words_capacity = MT_MAX_THREAD_WORDS;
    holder->shared = hold;
    return true;
}

static void drop_shared(struct mt_holder *holder)
{
    if (holder->shared)
        munmap(holder->shared, holder->shared_bytes);
    *holder = (struct mt_holder){.go = -1, .ready = -1};
}

/* Neither a signal when it ends, nor handlers at the fork: the caller may be a
 * debugger. */
static pid_t fork_quietly(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

/* glibc has close_range since 2.34, Linux since 5.9. */
static void close_from_to(unsigned first, unsigned last)
{
    long most = sysconf(_SC_OPEN_MAX);

    if (syscall(SYS_close_range, first, last, 0) == 0)
        return;
    if (most < 0 || most > MAX_DESCRIPTORS)
        most = MAX_DESCRIPTORS;
    for (; first <= last && first < (unsigned long)most; first++)
        close((int)first);
}

/* In the holder: the descriptors of others may be what somebody waits for. */
static void close_others(int a, int b)
{
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

    if (low > 0)
        close_from_to(0, low - 1);
    if (high > low + 1)
        close_from_to(low + 1, high - 1);
    close_from_to(high + 1, ~0u);
}

static bool start_holder(struct mt_holder *holder)
{
    int go[2] = {-1, -1}, ready[2] = {-1, -1};
    sigset_t all, before;

    if (pipe2(go, O_CLOEXEC) != 0)
        return false;
    if (pipe2(ready, O_CLOEXEC) != 0) {
        close(go[0]);
        close(go[1]);
        return false;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    holder->process = fork_quietly();
    if (holder->process == 0) {
        close_others(go[0], ready[1]);
        mt_hold_run(holder->shared, go[0], ready[1]);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(go[0]);
    close(ready[1]);
    holder->go = go[1];
    holder->ready = ready[0];
    return holder->process > 0;
}

/* False when the user stops it. */
static bool wait_for_holder(const struct mt_holder *holder,
                            const struct mt_progress *progress)
{
    struct pollfd wait = {.fd = holder->ready, .events = POLLIN};

    while (poll(&wait, 1, LOOK_MS) <= 0)
        if (progress &&
            !progress->report(progress->context, "stopping the process", 0, 1))
            return false;
    return true;
}

static void end_holder(struct mt_holder *holder)
{
    if (holder->go >= 0)
        close(holder->go);
    /* A debugger may have taken its status already. */
    while (holder->process > 0 && waitpid(holder->process, NULL, __WALL) < 0 &&
           errno == EINTR)
        continue;
    if (holder->ready >= 0)
        close(holder->ready);
}

/* The message, and whether another memtrace is the reason. */
static bool explain(const struct mt_hold *hold, bool *other,
                    struct mt_error *error)
{
    long tracer = mt_proc_status(hold->refused, "TracerPid:");
    long process = mt_proc_status(hold->refused, "Tgid:");
    char name[16] = "";

    *other = false;
    if (hold->error == EPERM && tracer > 0) {
        mt_proc_name((pid_t)tracer, name);
        *other = strcmp(name, MT_HOLDER_NAME) == 0;
        return mt_fail(error,
                       "cannot stop process %ld: %s (process %ld) traces it "
                       "already; end that, or use --no-stop",
                       process, name, tracer);
    }
    /* Reading it is allowed, so another one traced it a moment ago. */
    *other = hold->error == EPERM && tracer == 0;
    if (hold->error == ENOMEM)
        return mt_fail(error,
                       "cannot stop process %ld: it makes threads "
                       "faster than they stop; use --no-stop",
                       process);
    return mt_fail(error,
                   "cannot stop process %ld: thread %d: %s (tracing it takes "
                   "the same user, or root; see also "
                   "/proc/sys/kernel/yama/ptrace_scope)",
                   process > 0 ? process : (long)hold->target,
                   (int)hold->refused, strerror(hold->error));
}

/* One try; `other`: another memtrace holds the target. */
static bool try_hold(struct mt_holder *holder, pid_t tid,
                     const struct mt_hold_options *options, bool *other,
                     struct mt_error *error)
{
    bool ok = false;

    *other = false;
    *holder = (struct mt_holder){.go = -1, .ready = -1};
    if (!make_shared(holder, tid, options) || !start_holder(holder)) {
        mt_fail(error, "cannot stop the process: no process to hold it: %s",
                strerror(errno));
    } else if (!wait_for_holder(holder, options->progress)) {
        mt_fail(error, "stopped before the process was");
    } else if (__atomic_load_n(&holder->shared->phase, __ATOMIC_ACQUIRE) ==
               MT_HOLD_OVER) {
        /* Our own process was suspended, and runs again. */
        *other = true;
        mt_fail(error, "the process resumed while memtrace was suspended");
    } else if (__atomic_load_n(&holder->shared->phase, __ATOMIC_ACQUIRE) !=
               MT_HOLD_HOLDS) {
        explain(holder->shared, other, error);
    } else {
        ok = true;
    }
    if (!ok) {
        end_holder(holder);
        drop_shared(holder);
    }
    return ok;
}

bool mt_hold_begin(struct mt_holder *holder, pid_t tid,
                   const struct mt_hold_options *options,
                   struct mt_error *error)
{
    const struct mt_progress *progress = options->progress;
    uint64_t deadline = mt_clock_ns(CLOCK_MONOTONIC) + OTHERS_NS;
    unsigned tries = 0;
    bool other;

    if (mt_proc_status(tid, "Tgid:") == (long)getpid())
        return mt_fail(error,
                       "cannot stop process %d: that is memtrace "
                       "itself; use --no-stop",
                       (int)getpid());
    while (!try_hold(holder, tid, options, &other, error)) {
        /* Not in step with another that does the same. */
        struct timespec pause = {0, OTHERS_PAUSE_NS + getpid() % 64 * 500000};
        if (!other || tries++ == MAX_TRIES ||
            mt_clock_ns(CLOCK_MONOTONIC) >= deadline ||
            (progress &&
             !progress->report(progress->context,
                               "waiting for another memtrace", 0, 1)))
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

bool mt_hold_end(struct mt_holder *holder)
{
    bool held;

    if (!holder->shared)
        return true;
    held = __atomic_load_n(&holder->shared->phase, __ATOMIC_ACQUIRE) ==
           MT_HOLD_HOLDS;
    end_holder(holder);
    drop_shared(holder);
    return held;
}

void mt_hold_beat(const struct mt_holder *holder)
{
    if (holder->shared)
        __atomic_add_fetch(&holder->shared->beat, 1, __ATOMIC_RELAXED);
}

const struct mt_held_thread *mt_held_threads(const struct mt_holder *holder,
                                             size_t *n)
{
    *n = holder->shared ? holder->shared->n : 0;
    return holder->shared ? holder->shared->threads : NULL;
}

uint32_t mt_held_not(const struct mt_holder *holder)
{
    return holder->shared ? holder->shared->sharers_refused : 0;
}

const struct mt_kernel_word *mt_held_words(const struct mt_holder *holder,
                                           size_t *n)
{
    *n = holder->shared
             ? __atomic_load_n(&holder->shared->n_words, __ATOMIC_ACQUIRE)
             : 0;
    return holder->shared ? holder->shared->words : NULL;
}
