/* SPDX-License-Identifier: BSD-2-Clause
 *
 * follow.c - follows processes by ptrace events alone.
 *
 * Each thread stops in the kernel when it ends, by whatever cause
 * (PTRACE_EVENT_EXIT), with its registers and all memory in place.  It is held
 * there until all threads of its process have come, unless it is one that ends
 * alone, by exit(2).  A thread that calls execve(2) ends the others without
 * ending itself: they are detached at that point.
 *
 * A child that shares its parent's memory (vfork, posix_spawn) has no heap of
 * its own until it calls execve(2).  Its first stop may be reported before its
 * parent's event; it then waits for that event.
 *
 * A process that is held keeps its memory.  One that the kernel's OOM killer
 * ended thus leaves its memory cgroup full, and the follower, if in the same
 * one, would wait for each page until the kernel takes that memory after all.
 * So it has a reserve, which it gives back where a process is killed.
 */
#include "coreanalyze/check/follow.h"
#include "coreanalyze/check/preload_env.h"
#include "coreanalyze/check/traced.h"
#include "coreanalyze/check/untraced.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/memory_use.h"
#include "coreanalyze/source/thread_words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS                                                                \
    (PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |           \
     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)
#define POLL_NS 50000000
#define FOLLOWED 1 /* sent to the program before it starts */
#define UNFOLLOWED 2
#define RESERVE ((size_t)8 << 20)
#define STACK ((size_t)256 << 10)
#define FEW 64u /* threads that are asked at once */

struct follower {
    const struct mt_check_events *events;
    struct mt_check_end *end;
    struct mt_traced_table traced;
    struct mt_untraced_plain plain;
    uint64_t looked_ns; /* when threads were last asked for execve */
    uint64_t sweep_ns;  /* when each thread may be waited for again */
    pid_t program;
    int status;
    bool ended; /* the program has */
    bool followed;
    bool out_of_memory;
    time_t deadline;
    uint64_t oom_kills;          /* when the program started */
    void *reserve;               /* NULL: given back */
    struct sigaction file_limit; /* SIGXFSZ as the program is to have it */
};

static pid_t read_pid(pid_t tid)
{
    char path[64], line[128];
    int pid = tid;
    FILE *file;

    /* The first thread of a process has its id. */
    if (syscall(SYS_tgkill, tid, tid, 0) == 0)
        return tid;
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Tgid: %d", &pid) == 1)
            break;
    if (file)
        fclose(file);
    return pid;
}

static struct mt_traced *follow_add(struct follower *f, pid_t tid)
{
    struct mt_traced *t = mt_traced_add(&f->traced, tid, read_pid(tid));

    f->out_of_memory |= !t;
    return t;
}

static void follow_resume(pid_t tid, int signal)
{
    ptrace(PTRACE_CONT, tid, 0, signal);
}

/* --- memory --- */

static void reserve_hold(struct follower *f)
{
    void *got;

    if (f->reserve || !f->followed)
        return;
    got = mmap(NULL, RESERVE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (got != MAP_FAILED)
        f->reserve = got;
}

static void reserve_give_back(struct follower *f)
{
    if (f->reserve)
        munmap(f->reserve, RESERVE);
    f->reserve = NULL;
}

/* Calls from here then find pages there. */
static void __attribute__((noinline)) touch_stack(void)
{
    volatile char pages[STACK];

    for (size_t i = 0; i < sizeof pages; i += 4096)
        pages[i] = 0;
}

/* --- ends --- */

/* By SIGKILL, which the OOM killer sends. */
static bool is_killed(const struct mt_traced *t)
{
    return WIFSIGNALED(t->status) && WTERMSIG(t->status) == SIGKILL;
}

static void follow_report(struct follower *f, const struct mt_traced *last)
{
    struct mt_exited ended = {.pid = last->pid,
                              .program = last->pid == f->program,
                              .reader = last->tid,
                              .status = last->status};
    size_t room = f->traced.ids[last->pid].held;
    bool shares = false;

    if (is_killed(last))
        ended.oom = mt_oom_kills() > f->oom_kills;
    ended.threads = calloc(room, sizeof *ended.threads);
    for (size_t i = 0; ended.threads && i < f->traced.n; i++) {
        const struct mt_traced *t = &f->traced.all[i];
        if (t->pid != last->pid)
            continue;
        if (t->tid == t->pid)
            ended.reader = t->tid;
        shares |= t->shares;
        if (t->signal.signal &&
            t->signal.signal ==
                (WIFSIGNALED(last->status) ? WTERMSIG(last->status) : 0))
            ended.signal = t->signal;
        if (ended.n_threads < room)
            ended.threads[ended.n_threads++] = t->thread;
    }
    if (ended.threads == NULL ||
        (!shares && !mt_threads_words(ended.threads, ended.n_threads,
                                      &ended.words, &ended.n_words)))
        f->events->lost(f->events->context, last->pid, "out of memory");
    else if (!shares)
        f->events->ended(f->events->context, &ended);
    free(ended.threads);
    free(ended.words);
}

/* A signal is about to be delivered: if it ends the process, this is where and
 * why. */
static void follow_take_signal(struct mt_traced *t)
{
    siginfo_t info;

    if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) == 0)
        t->signal = (struct mt_exit_signal){
            .signal = info.si_signo,
            .code = info.si_code,
            .tid = (uint32_t)t->tid,
            .address = (uint64_t)(uintptr_t)info.si_addr,
        };
}

static void follow_release(struct follower *f, pid_t pid)
{
    for (size_t i = 0; i < f->traced.n; i++) {
        if (f->traced.all[i].pid != pid || !f->traced.all[i].held)
            continue;
        mt_traced_hold(&f->traced, &f->traced.all[i], false);
        follow_resume(f->traced.all[i].tid, 0);
    }
}

static void follow_at_end(struct follower *f, struct mt_traced *t)
{
    unsigned long message = 0;
    bool alone;

    ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &message);
    t->status = (int)message;
    mt_traced_hold(&f->traced, t, true);
    t->thread.tid = (uint32_t)t->tid;
    t->thread.has_registers =
        ptrace(PTRACE_GETREGS, t->tid, 0, t->thread.registers) == 0;
    t->thread.fs_base = t->thread.registers[MT_REG_FS_BASE];
    alone = t->thread.has_registers &&
            t->thread.registers[MT_REG_ORIG_RAX] == SYS_exit &&
            !WIFSIGNALED(t->status);
    if (f->traced.ids[t->pid].running > 0) {
        if (alone) {
            follow_resume(t->tid, 0);
            mt_traced_forget(&f->traced, t);
        } else if (is_killed(t)) {
            reserve_give_back(f);
        }
        return;
    }
    if (is_killed(t))
        reserve_give_back(f);
    follow_report(f, t);
    follow_release(f, t->pid);
}

/* Threads that another one ends by execve. */
static bool calls_exec(pid_t tid)
{
    char path[64], text[32] = "";
    long number;
    int file;

    snprintf(path, sizeof path, "/proc/%d/syscall", (int)tid);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    if (read(file, text, sizeof text - 1) <= 0)
        text[0] = '\0';
    close(file);
    number = strtol(text, NULL, 10);
    return number == SYS_execve || number == SYS_execveat;
}

static void release_for_exec(struct follower *f)
{
    uint64_t now = mt_clock_ns(CLOCK_MONOTONIC);

    /* Of thousands, each takes a while to ask. */
    if (f->traced.n > FEW && now - f->looked_ns < POLL_NS)
        return;
    f->looked_ns = now;
    for (size_t i = 0; i < f->traced.n; i++) {
        const struct mt_traced *t = &f->traced.all[i];
        if (!t->held && f->traced.ids[t->pid].held > 0 && calls_exec(t->tid))
            follow_release(f, t->pid);
    }
}

/* --- events --- */

static void new_child(struct follower *f, const struct mt_traced *parent,
                      int event)
{
    bool shares = parent->shares;
    unsigned long message = 0;
    pid_t parent_pid = parent->pid;
    struct mt_traced *t;

    if (ptrace(PTRACE_GETEVENTMSG, parent->tid, 0, &message) != 0)
        return;
    t = mt_traced_find(&f->traced, (pid_t)message);
    if (t == NULL)
        t = follow_add(f, (pid_t)message);
    if (t == NULL)
        return;
    t->known = true;
    t->shares =
        event == PTRACE_EVENT_VFORK ||
        (event == PTRACE_EVENT_CLONE && (t->pid != parent_pid || shares));
    if (t->waiting) {
        t->waiting = false;
        follow_resume(t->tid, 0);
    }
}

/* The thread that called it is the only one left, and has the process's id. */
static void after_exec(struct follower *f, pid_t pid)
{
    for (size_t i = f->traced.n; i-- > 0;)
        if (f->traced.all[i].pid == pid && f->traced.all[i].tid != pid)
            mt_traced_forget(&f->traced, &f->traced.all[i]);
    struct mt_traced *t = mt_traced_find(&f->traced, pid);
    if (t == NULL)
        t = follow_add(f, pid);
    if (t) {
        mt_traced_hold(&f->traced, t, false);
        *t = (struct mt_traced){.tid = pid, .pid = pid, .known = true};
    }
}

/* LeakSanitizer, and others with it, cannot work below a tracer: a program with
 * a sanitizer runs on alone, as do its children. */
static bool let_go(struct follower *f, pid_t pid)
{
    struct mt_traced *t = mt_traced_find(&f->traced, pid);
    char why[200];

    if (!mt_untraced_at_start(&f->plain, pid) ||
        !mt_untraced_why(pid, why, sizeof why) ||
        ptrace(PTRACE_DETACH, pid, 0, 0) != 0)
        return false;
    f->events->lost(f->events->context, pid, why);
    if (t)
        mt_traced_forget(&f->traced, t);
    return true;
}

static void follow_stopped(struct follower *f, pid_t tid, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);
    struct mt_traced *t = mt_traced_find(&f->traced, tid);

    if (t == NULL)
        t = follow_add(f, tid);
    if (t == NULL) {
        follow_resume(tid, 0);
        return;
    }
    switch (event) {
    case 0:
        follow_take_signal(t);
        follow_resume(tid, signal);
        return;
    case PTRACE_EVENT_EXIT:
        follow_at_end(f, t);
        return;
    case PTRACE_EVENT_EXEC:
        after_exec(f, tid);
        if (let_go(f, tid))
            return;
        break;
    case PTRACE_EVENT_STOP:
        if (!t->known) {
            t->waiting = true;
            return;
        }
        if (signal != SIGTRAP) {
            ptrace(PTRACE_LISTEN, tid, 0, 0);
            return;
        }
        break;
    default:
        new_child(f, t, event);
    }
    follow_resume(tid, 0);
}

static void take_event(struct follower *f, pid_t tid, int status)
{
    struct mt_traced *t = mt_traced_find(&f->traced, tid);

    if (WIFSTOPPED(status)) {
        follow_stopped(f, tid, status);
        return;
    }
    if (t && tid == t->pid)
        reserve_hold(f);
    if (t)
        mt_traced_forget(&f->traced, t);
    if (tid == f->program) {
        f->status = status;
        f->ended = true;
        f->deadline = time(NULL) + (time_t)f->events->wait_s;
    }
}

/* To wait for any of thousands, the kernel goes through all of them for each
 * event; one that is named is found at once. */
static void follow_sweep(struct follower *f)
{
    uint64_t now = mt_clock_ns(CLOCK_MONOTONIC);

    if (f->traced.n <= FEW || now < f->sweep_ns)
        return;
    /* An event may take its own thread off, for which the last one comes. */
    for (size_t i = f->traced.n; i-- > 0;) {
        pid_t tid = f->traced.all[i].tid;
        int status;
        if (!f->traced.all[i].held &&
            waitpid(tid, &status, __WALL | WNOHANG) == tid)
            take_event(f, tid, status);
        i = i < f->traced.n ? i : f->traced.n;
    }
    f->sweep_ns = mt_clock_ns(CLOCK_MONOTONIC);
    f->sweep_ns += f->sweep_ns - now;
}

/* Children that outlive the program are waited for a while. */
static bool is_late(struct follower *f)
{
    if (!f->ended || time(NULL) < f->deadline)
        return false;
    for (size_t i = 0; i < f->traced.n; i++)
        if (f->traced.all[i].tid == f->traced.all[i].pid)
            f->events->lost(f->events->context, f->traced.all[i].pid,
                            "still running after the main program ended "
                            "(see --wait)");
    return true;
}

static void follow_loop(struct follower *f, const sigset_t *signals)
{
    const struct timespec poll = {0, POLL_NS};

    for (;;) {
        int status, signal;
        pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);
        if (tid > 0) {
            take_event(f, tid, status);
            follow_sweep(f);
            continue;
        }
        if (tid < 0 && errno == ECHILD)
            return;
        signal = sigtimedwait(signals, NULL, &poll);
        /* The terminal sends its signals to the program too. */
        if ((signal == SIGTERM || signal == SIGHUP) && !f->ended)
            kill(f->program, signal);
        release_for_exec(f);
        if (is_late(f))
            return;
    }
}

/* --- start --- */

static void follow_become(const struct follower *f, char *const *argv,
                          const char *preload, const sigset_t *before,
                          int ready, int failed)
{
    const char *unfollowed = f->events->unfollowed;
    const char *settings = getenv("MEMTRACE");
    const char *first = f->events->settings;
    char *more = NULL, *all = NULL, byte;
    int number;
    bool ok;

    sigprocmask(SIG_SETMASK, before, NULL);
    sigaction(SIGXFSZ, &f->file_limit, NULL);
    ok = read(ready, &byte, 1) == 1 && mt_preload_set(preload, argv[0]);
    if (ok && byte == UNFOLLOWED && unfollowed) {
        /* For what a signal ends. */
        struct rlimit limit;
        if (getrlimit(RLIMIT_CORE, &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_CORE, &limit);
        }
        ok = asprintf(&more, "%s%s%s", settings ? settings : "",
                      settings && *settings ? ":" : "", unfollowed) > 0;
        settings = more;
    }
    if (ok && first)
        ok = asprintf(&all, "%s%s%s", first, settings && *settings ? ":" : "",
                      settings ? settings : "") > 0;
    if (ok && (all || more))
        ok = setenv("MEMTRACE", all ? all : more, 1) == 0;
    if (ok)
        execvp(argv[0], argv);
    number = errno;
    if (write(failed, &number, sizeof number) != sizeof number)
        _exit(126);
    _exit(127);
}

static bool follow_start(struct follower *f, char *const *argv,
                         const char *preload, const sigset_t *before,
                         const sigset_t *signals, struct mt_error *error)
{
    int ready[2], failed[2], number = 0;
    ssize_t got;
    char byte;

    if (pipe2(ready, O_CLOEXEC) != 0)
        return mt_fail(error, "%s: %s", f->events->command, strerror(errno));
    if (pipe2(failed, O_CLOEXEC) != 0) {
        close(ready[0]);
        close(ready[1]);
        return mt_fail(error, "%s: %s", f->events->command, strerror(errno));
    }
    f->oom_kills = mt_oom_kills();
    f->program = fork();
    if (f->program == 0)
        follow_become(f, argv, preload, before, ready[0], failed[1]);
    close(ready[0]);
    close(failed[1]);
    if (f->program < 0) {
        close(ready[1]);
        close(failed[0]);
        return mt_fail(error, "%s: cannot fork: %s", f->events->command,
                       strerror(errno));
    }
    f->end->pid = (uint32_t)f->program;
    f->followed = !f->events->no_ptrace &&
                  ptrace(PTRACE_SEIZE, f->program, 0, OPTIONS) == 0;
    /* Processes that outlive the program are waited for, too. */
    if (!f->followed)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (f->followed && follow_add(f, f->program))
        f->traced.all[0].known = f->traced.all[0].shares =
            true; /* until its execve */
    touch_stack();
    reserve_hold(f);
    byte = f->followed ? FOLLOWED : UNFOLLOWED;
    if (write(ready[1], &byte, 1) != 1)
        number = errno;
    close(ready[1]);
    /* The pipe closes with execve, which stops first. */
    fcntl(failed[0], F_SETFL, O_NONBLOCK);
    follow_loop(f, signals);
    got = read(failed[0], &number, sizeof number);
    close(failed[0]);
    if (got != (ssize_t)sizeof number)
        return true;
    mt_fail(error, "%s: cannot run %s: %s", f->events->command, argv[0],
            strerror(number));
    error->status = number == ENOENT ? 127 : 126;
    return false;
}

bool mt_check_run(char *const *argv, const char *preload,
                  const struct mt_check_events *events,
                  struct mt_check_end *end, struct mt_error *error)
{
    struct follower f = {.events = events, .end = end};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t before, signals;
    bool ok;

    *end = (struct mt_check_end){0};
    if (!mt_traced_init(&f.traced))
        return mt_no_memory(error, "the processes");
    sigaction(SIGXFSZ, &ignore, &f.file_limit);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGQUIT);
    sigprocmask(SIG_BLOCK, &signals, &before);
    ok = follow_start(&f, argv, preload, &before, &signals, error);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (f.out_of_memory)
        events->lost(events->context, f.program, "out of memory");
    reserve_give_back(&f);
    mt_traced_done(&f.traced);
    *end = (struct mt_check_end){(uint32_t)f.program, f.status, f.followed};
    return ok;
}
