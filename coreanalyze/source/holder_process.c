/* SPDX-License-Identifier: BSD-2-Clause
 *
 * holder_process.c - the life of the process that holds a target.
 *
 * It is a copy of a process that may have had many threads, so it takes no
 * lock and no memory: system calls and what is mapped before.
 *
 * All threads are asked to stop before any is waited for.  PTRACE_SEIZE leaves
 * no trace in the target: no signal is sent, and a signal that arrives during
 * the stop is handed back.  A thread that sleeps in the kernel and does not
 * wake up in time is not waited for; when this process ends, the kernel
 * forgets that it was asked.
 */
#include "coreanalyze/source/holder.h"
#include "coreanalyze/source/thread_words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct user_regs_struct) == MT_N_REGISTERS * 8,
               "registers of x86-64");

#define MAX_PID (1u << 22)
#define WAIT_MS 1
#define MOST_WAITS 10u /* in all */
#define LOOK_MS 50
#define LOOKS_STOPPED 3u /* that find the parent suspended */

struct hold_process {
    struct mt_hold *hold;
    int go, ready;
    int tasks[1 + MT_MOST_SHARERS];        /* of the target first */
    uint32_t *index_of;                    /* by tid: index + 1 */
    uint32_t waiting;                      /* threads that did not stop yet */
    bool queue_taken[1 + MT_MOST_SHARERS]; /* signals to each process */
};

static uint64_t hold_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Makes "/proc/N" and the rest. */
static void hold_path(char *path, pid_t pid, const char *rest)
{
    char digits[16];
    size_t n = 0;

    for (unsigned left = (unsigned)pid; n == 0 || left; left /= 10)
        digits[n++] = (char)('0' + left % 10);
    memcpy(path, "/proc/", 6);
    path += 6;
    while (n > 0)
        *path++ = digits[--n];
    strcpy(path, rest);
}

/* The state letter of /proc/PID/stat; 0 if the thread is gone. */
static char hold_state(pid_t pid)
{
    char path[64], text[512];
    const char *after;
    ssize_t got;
    int file;

    hold_path(path, pid, "/stat");
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    got = read(file, text, sizeof text - 1);
    close(file);
    text[got > 0 ? got : 0] = '\0';
    after = strrchr(text, ')');
    return after && after[1] == ' ' ? after[2] : 0;
}

/* True if nothing is wrong: it is being stopped, or has ended. */
static bool hold_seize(struct hold_process *p, pid_t tid, uint32_t process)
{
    struct mt_hold *hold = p->hold;
    char state;

    if (ptrace(PTRACE_SEIZE, tid, 0, 0) != 0) {
        hold->error = errno;
        hold->refused = tid;
        if (errno == ESRCH)
            return true;
        /* The kernel refuses threads that have ended, too. */
        state = hold_state(tid);
        return state == 0 || state == 'Z' || state == 'X' || state == 'x';
    }
    hold->threads[hold->n] = (struct mt_held_thread){
        .tid = tid, .process = process, .state = MT_HELD_NOT};
    p->index_of[tid] = ++hold->n;
    if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) == 0)
        p->waiting++;
    else
        hold->threads[hold->n - 1].state = MT_HELD_ENDED;
    return true;
}

/* Asks all threads of a process that are not known yet; false if one refuses.
 */
static bool hold_seize_new(struct hold_process *p, uint32_t process)
{
    int tasks = p->tasks[process];
    char buffer[16384];
    long got;

    lseek(tasks, 0, SEEK_SET);
    while ((got = syscall(SYS_getdents64, tasks, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            struct dirent64 *entry = (struct dirent64 *)(void *)(buffer + at);
            uint32_t tid = 0;
            at += entry->d_reclen;
            for (const char *c = entry->d_name; *c >= '0' && *c <= '9'; c++)
                tid = tid * 10 + (uint32_t)(*c - '0');
            if (tid == 0 || tid >= MAX_PID || p->index_of[tid])
                continue;
            if (p->hold->n == p->hold->capacity) {
                p->hold->error = ENOMEM;
                p->hold->refused = (pid_t)tid;
                return false;
            }
            if (!hold_seize(p, (pid_t)tid, process))
                return false;
        }
    }
    return true;
}

/* Of the target and the sharers; false if a thread of the target refuses.  A
 * sharer that refuses is not asked again. */
static bool hold_seize_all(struct hold_process *p)
{
    for (uint32_t i = 0; i <= p->hold->n_sharers; i++) {
        if (p->tasks[i] < 0 || hold_seize_new(p, i))
            continue;
        if (i == 0)
            return false;
        close(p->tasks[i]);
        p->tasks[i] = -1;
        p->hold->sharers_refused++;
    }
    return true;
}

/* `now`: it stopped for a signal. */
static void hold_take_words(struct hold_process *p,
                            const struct mt_held_thread *t, bool now)
{
    struct mt_hold *hold = p->hold;
    struct mt_kernel_word *words = hold->words;
    uint32_t n = hold->n_words, most = hold->words_capacity;

    if (!t->has_registers)
        return;
    n += (uint32_t)mt_thread_vectors(t->tid, t->registers, words + n, most - n);
    n += (uint32_t)mt_thread_signals(t->tid, false, words + n, most - n);
    if (now)
        n += (uint32_t)mt_thread_signal_now(t->tid, words + n, most - n);
    if (!p->queue_taken[t->process])
        n += (uint32_t)mt_thread_signals(t->tid, true, words + n, most - n);
    p->queue_taken[t->process] = true;
    __atomic_store_n(&hold->n_words, n, __ATOMIC_RELEASE);
}

/* Takes what has happened to a thread; false if nothing has. */
static bool hold_take_event(struct hold_process *p, struct mt_held_thread *t)
{
    int status;
    pid_t got = waitpid(t->tid, &status, __WALL | WNOHANG);

    if (got == 0 || (got < 0 && errno != ECHILD))
        return false;
    if (t->state == MT_HELD_NOT)
        p->waiting--;
    if (got < 0 || !WIFSTOPPED(status)) {
        t->state = MT_HELD_ENDED;
        return true;
    }
    /* Another event: a signal was about to be delivered. */
    if (status >> 16 != PTRACE_EVENT_STOP)
        t->signal = WSTOPSIG(status);
    t->has_registers = ptrace(PTRACE_GETREGS, t->tid, 0, t->registers) == 0;
    t->state = MT_HELD_STOPPED;
    hold_take_words(p, t, t->signal != 0);
    return true;
}

/* One by one, which is cheaper than to ask for any of many.  False if none of
 * those that are waited for has stopped. */
static bool hold_take_events(struct hold_process *p)
{
    uint32_t before = p->waiting;

    for (uint32_t i = 0; i < p->hold->n && p->waiting > 0; i++)
        if (p->hold->threads[i].state == MT_HELD_NOT)
            hold_take_event(p, &p->hold->threads[i]);
    return p->waiting < before;
}

/* True if the parent wants the target to resume, or is gone. */
static bool hold_asked(const struct hold_process *p, int ms)
{
    struct pollfd wait = {.fd = p->go, .events = POLLIN};

    return poll(&wait, 1, ms) > 0;
}

/* Threads that still run may make new ones: until none is new.  The time is
 * that in which none stops: many take long on a machine with much to do. */
static bool hold_stop_all(struct hold_process *p)
{
    uint64_t start = hold_clock(), last = start;
    uint32_t before;

    do {
        before = p->hold->n;
        if (!hold_seize_all(p))
            return false;
        while (p->waiting > 0) {
            uint64_t now = hold_clock();
            if (hold_take_events(p))
                last = now;
            else if (now - last >= p->hold->stop_ns ||
                     now - start >= MOST_WAITS * p->hold->stop_ns ||
                     hold_asked(p, WAIT_MS))
                return true;
        }
    } while (p->hold->n > before);
    return true;
}

/* Until the parent asks, ends, is suspended, or gives no sign of life. */
static void hold_wait(struct hold_process *p)
{
    uint64_t beat = UINT64_MAX, since = 0;
    unsigned stopped = 0;

    while (!hold_asked(p, LOOK_MS)) {
        uint64_t now = hold_clock();
        uint64_t last = __atomic_load_n(&p->hold->beat, __ATOMIC_RELAXED);
        char state = hold_state(p->hold->parent);
        hold_take_events(p);
        if (last != beat) {
            beat = last;
            since = now;
        }
        stopped = state == 'T' || state == 't' ? stopped + 1 : 0;
        if (state == 0 || stopped == LOOKS_STOPPED ||
            now - since >= p->hold->idle_ns)
            return;
    }
}

static void hold_release(const struct hold_process *p)
{
    for (uint32_t i = 0; i < p->hold->n; i++) {
        const struct mt_held_thread *t = &p->hold->threads[i];
        if (t->state == MT_HELD_STOPPED)
            ptrace(PTRACE_DETACH, t->tid, 0, t->signal);
    }
}

static void hold_open_tasks(struct hold_process *p)
{
    char path[64];

    for (uint32_t i = 0; i <= p->hold->n_sharers; i++) {
        hold_path(path, i == 0 ? p->hold->target : p->hold->sharers[i - 1],
                  "/task");
        p->tasks[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
}

void mt_hold_run(struct mt_hold *hold, int go, int ready)
{
    struct hold_process p = {.hold = hold, .go = go, .ready = ready};

    prctl(PR_SET_NAME, MT_HOLDER_NAME, 0, 0, 0);
    setsid();
    hold_open_tasks(&p);
    p.index_of =
        mmap(NULL, MAX_PID * sizeof *p.index_of, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    hold->error = errno;
    if (p.tasks[0] < 0 || p.index_of == MAP_FAILED || !hold_stop_all(&p)) {
        hold_release(&p);
        __atomic_store_n(&hold->phase, MT_HOLD_REFUSED, __ATOMIC_RELEASE);
        _exit(1);
    }
    __atomic_store_n(&hold->phase, MT_HOLD_HOLDS, __ATOMIC_RELEASE);
    if (write(ready, "", 1) == 1)
        hold_wait(&p);
    /* Set before a thread runs: what is read from then on is newer. */
    __atomic_store_n(&hold->phase, MT_HOLD_OVER, __ATOMIC_RELEASE);
    hold_release(&p);
    _exit(0);
}
