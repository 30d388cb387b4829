/* SPDX-License-Identifier: BSD-2-Clause
 *
 * watch.c - looks at processes and their memory cgroups, often when they are
 * near their limit and seldom when they are far from it, and writes a mini-core
 * of each that is due.  Where the kernel has an event for the threshold
 * (cgroup version 1) or for pressure (PSI), that wakes it, too.
 */
#include "coreanalyze/commands/watch.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/output.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/save/save.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/source/exited_process.h"
#include "coreanalyze/source/memory_use.h"
#include "coreanalyze/source/process_name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Memory is not taken faster than this: what is further away has time. */
#define FASTEST 4 /* bytes in a nanosecond */
#define LEAST_WAIT_NS UINT64_C(10000000)
#define MOST_WAIT_NS UINT64_C(1000000000)
/* A process that was saved is saved again when it was this far below. */
#define REARM 0.05
#define MOST_PROCESSES 1024

struct watched {
    pid_t pid;
    uint64_t start_time; /* tells a process from a later one of its number */
    uint64_t rss;        /* when it was listed */
    uint64_t listed_ns;  /* 0: whether it can be saved has been looked at */
    bool seen, looked_at, above, refused;
    uint64_t saved_rss, saved_ns;
    char **files; /* the newest last */
    size_t n_files, capacity;
};

struct watch {
    const struct mt_watch_options *options;
    struct watched *processes;
    size_t n, capacity;
    struct mt_memory_use use; /* the nearest limit of those looked at */
    char events_of[4096];     /* the cgroup that `event` is of */
    uint64_t events_limit;
    int event, usage, pressure; /* -1: none */
    bool said;                  /* that the name is of several processes */
    bool said_no_limit;
};

/* --- processes --- */

/* Resident bytes, and the time of the start; false if it is gone. */
static bool watch_stat(pid_t pid, uint64_t *rss, uint64_t *start_time)
{
    char path[64], text[2048];
    const char *at;
    FILE *file;
    size_t n = 0;
    char state;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file) {
        n = fread(text, 1, sizeof text - 1, file);
        fclose(file);
    }
    text[n] = '\0';
    at = strrchr(text, ')'); /* the name may hold anything */
    if (!at ||
        sscanf(at + 1,
               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %*s %*s %" SCNu64 " %*s %" SCNu64,
               &state, start_time, rss) != 3 ||
        state == 'Z' || state == 'X')
        return false;
    *rss *= (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

static void watched_free(struct watched *w)
{
    for (size_t i = 0; i < w->n_files; i++)
        free(w->files[i]);
    free(w->files);
}

static struct watched *watch_find(struct watch *watch, pid_t pid)
{
    uint64_t rss, start_time;

    if (!watch_stat(pid, &rss, &start_time))
        return NULL;
    for (size_t i = 0; i < watch->n; i++)
        if (watch->processes[i].pid == pid &&
            watch->processes[i].start_time == start_time) {
            watch->processes[i].rss = rss;
            return &watch->processes[i];
        }
    if (watch->n >= MOST_PROCESSES ||
        !mt_grow(&watch->processes, &watch->capacity, watch->n + 1,
                 sizeof *watch->processes))
        return NULL;
    watch->processes[watch->n] =
        (struct watched){.pid = pid,
                         .start_time = start_time,
                         .rss = rss,
                         .saved_rss = rss,
                         .listed_ns = mt_clock_ns(CLOCK_MONOTONIC)};
    watch->processes[watch->n].saved_ns = watch->processes[watch->n].listed_ns;
    return &watch->processes[watch->n++];
}

static void watch_see(struct watch *watch, pid_t pid)
{
    struct watched *w = pid == getpid() ? NULL : watch_find(watch, pid);

    if (w)
        w->seen = true;
}

static void watch_see_cgroup(struct watch *watch, const char *folder)
{
    char path[4200];
    FILE *file;
    int pid;

    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    file = fopen(path, "re");
    while (file && fscanf(file, "%d", &pid) == 1)
        watch_see(watch, (pid_t)pid);
    if (file)
        fclose(file);
}

/* A name of several processes names none of them. */
static void watch_see_name(struct watch *watch, const char *name)
{
    struct mt_error error = {0};
    pid_t pid = 0;
    bool ok = mt_process_by_name(name, &pid, &error);

    if (ok && pid)
        watch_see(watch, pid);
    if (!ok && !watch->said)
        fprintf(stderr, "memtrace: watch: %s; name one, or use --cgroup\n",
                error.text);
    watch->said = !ok;
}

/* The largest is the one to save first; what could not be saved, last. */
static int watch_order(const void *a, const void *b)
{
    const struct watched *x = a, *y = b;

    if (x->refused != y->refused)
        return x->refused ? 1 : -1;
    if (x->rss != y->rss)
        return x->rss > y->rss ? -1 : 1;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Processes that are there now; those that have ended are forgotten, and their
 * files stay. */
static void watch_list(struct watch *watch)
{
    const struct mt_watch_options *o = watch->options;
    size_t kept = 0;

    for (size_t i = 0; i < watch->n; i++)
        watch->processes[i].seen = false;
    if (o->cgroup)
        watch_see_cgroup(watch, o->cgroup);
    else if (o->name)
        watch_see_name(watch, o->name);
    else
        watch_see(watch, o->pid);
    for (size_t i = 0; i < watch->n; i++) {
        if (watch->processes[i].seen)
            watch->processes[kept++] = watch->processes[i];
        else
            watched_free(&watch->processes[i]);
    }
    watch->n = kept;
    if (kept > 1)
        qsort(watch->processes, kept, sizeof *watch->processes, watch_order);
}

/* --- files --- */

static void watch_rotate(const struct watch *watch, struct watched *w,
                         char *file)
{
    size_t keep = (size_t)watch->options->keep;

    if (w->n_files > 0 && strcmp(w->files[w->n_files - 1], file) == 0) {
        free(file); /* written over */
        return;
    }
    if (!mt_grow(&w->files, &w->capacity, w->n_files + 1, sizeof *w->files)) {
        free(file);
        return;
    }
    w->files[w->n_files++] = file;
    while (keep > 0 && w->n_files > keep) {
        unlink(w->files[0]);
        free(w->files[0]);
        memmove(w->files, w->files + 1, --w->n_files * sizeof *w->files);
    }
}

/* The process stands still while its trace is read, and no longer. */
static bool watch_write(const struct watch *watch, pid_t pid, char **name,
                        uint64_t *bytes, struct mt_error *error)
{
    const struct mt_watch_options *o = watch->options;
    struct mt_snapshot_options options = {0};
    struct mt_source *source = mt_source_open_pid(pid, error);
    struct mt_model *model = NULL;
    uint64_t rss, start_time;
    bool ok = source != NULL, ended = false;

    if (ok) {
        source->limits = o->limits;
        ok = source->ops->stop(source, error);
    }
    if (ok) {
        model = mt_snapshot_take(source, &options, error);
        *name = mt_output_name(o->pattern, source->process.pid,
                               source->process.name);
        /* A trace that the kernel took in part would look like a small one; the
         * parts that are known now are written whole or not at all. */
        ended = !watch_stat(pid, &rss, &start_time) || mt_memory_is_reaped(pid);
        ok = model && !ended &&
             (*name || mt_no_memory(error, "the name of the file")) &&
             mt_save_write(model, *name, bytes, error);
        source->ops->resume(source);
    }
    /* What was read of a process that has ended since is not the reason. */
    if (!ok && (ended || !watch_stat(pid, &rss, &start_time) || rss == 0 ||
                (source && source->coverage.ended)))
        mt_fail(error, "it ended before it could be read");
    mt_model_free(model);
    mt_source_free(source);
    return ok;
}

static void watch_save(struct watch *watch, struct watched *w, uint64_t rss,
                       const char *why)
{
    const struct mt_memory_use *use = &watch->use;
    FILE *out = watch->options->out;
    struct mt_error error = {0};
    uint64_t bytes = 0;
    char *name = NULL;
    bool ok = watch_write(watch, w->pid, &name, &bytes, &error);

    w->saved_rss = rss;
    w->saved_ns = mt_clock_ns(CLOCK_MONOTONIC);
    if (!ok) {
        /* Once: another process of the cgroup may be untraced. */
        if (!w->refused)
            fprintf(stderr, "memtrace: watch: process %d is not saved: %s\n",
                    (int)w->pid, error.text);
        w->refused = true;
        free(name);
        return;
    }
    w->refused = false;
    mt_put_text(out, name);
    fputs(": ", out);
    mt_put_bytes(out, bytes);
    fprintf(out, ", process %d, %s: RSS ", (int)w->pid, why);
    mt_put_bytes(out, rss);
    if (use->limit) {
        fputs(", cgroup ", out);
        mt_put_bytes(out, use->usage);
        fputs(" of ", out);
        mt_put_bytes(out, use->limit);
    }
    putc('\n', out);
    fflush(out);
    watch_rotate(watch, w, name);
}

/* --- when --- */

static double watch_share(const struct watch *watch)
{
    return watch->use.limit
               ? (double)watch->use.usage / (double)watch->use.limit
               : 0;
}

/* Why a process is to be saved now, or NULL. */
static const char *watch_due(const struct watch *watch, struct watched *w,
                             uint64_t rss)
{
    const struct mt_watch_options *o = watch->options;
    double share = watch_share(watch);
    bool near = (o->at_share > 0 && share >= o->at_share) ||
                (o->at_bytes > 0 && rss >= o->at_bytes);
    bool far = share < o->at_share - REARM &&
               (double)rss <= (double)o->at_bytes * (1 - REARM);

    if (near && !w->above) {
        w->above = true;
        return "near its limit";
    }
    if (far)
        w->above = false;
    if (o->every_ns > 0 &&
        mt_clock_ns(CLOCK_MONOTONIC) - w->saved_ns >= o->every_ns)
        return "its time";
    if (o->grow > 0 && (double)rss >= (double)w->saved_rss * (1 + o->grow))
        return "grown";
    return NULL;
}

static uint64_t watch_less(uint64_t wait, double bytes)
{
    uint64_t ns = bytes > 0 ? (uint64_t)(bytes / FASTEST) : 0;

    return ns < wait ? ns : wait;
}

/* A share of no limit is never reached.  That is looked at once: a process that
 * ends leaves its cgroup. */
static void watch_first_look(struct watch *watch, struct watched *w)
{
    bool first = !w->looked_at;

    w->looked_at = true;
    if (!first || watch->use.limit || watch->said_no_limit ||
        watch->options->at_share <= 0)
        return;
    fprintf(stderr,
            "memtrace: watch: process %d has no memory limit, of which --at is "
            "a share: give --at in bytes, --every or --grow\n",
            (int)w->pid);
    watch->said_no_limit = true;
}

/* Looks once whether a process can be saved, before it is due.  One that has
 * just begun may not have reached its own program yet. */
static void watch_try(const struct watch *watch, struct watched *w)
{
    struct mt_snapshot_options options = {0};
    struct mt_error error = {0};
    struct mt_source *source;
    struct mt_model *model;
    uint64_t rss, start_time;

    if (watch->options->cgroup || !w->listed_ns || w->refused ||
        mt_clock_ns(CLOCK_MONOTONIC) - w->listed_ns < MOST_WAIT_NS)
        return;
    w->listed_ns = 0;
    source = mt_source_open_pid(w->pid, &error);
    model = source ? mt_snapshot_outline(source, &options, &error) : NULL;
    if (!model && watch_stat(w->pid, &rss, &start_time))
        fprintf(stderr, "memtrace: watch: process %d cannot be saved: %s\n",
                (int)w->pid, error.text);
    mt_model_free(model);
    mt_source_free(source);
}

/* Looks at every process once; returns the time to the next look. */
static uint64_t watch_look(struct watch *watch)
{
    const struct mt_watch_options *o = watch->options;
    uint64_t wait = MOST_WAIT_NS;

    watch_list(watch);
    if (o->cgroup && !mt_memory_use_of_folder(o->cgroup, &watch->use))
        watch->use.limit = 0;
    for (size_t i = 0; i < watch->n; i++) {
        struct watched *w = &watch->processes[i];
        uint64_t rss, start_time;
        const char *why;
        if (!o->cgroup && !mt_memory_use_of_process(w->pid, &watch->use))
            watch->use.limit = 0;
        if (!watch_stat(w->pid, &rss, &start_time))
            continue;
        watch_first_look(watch, w);
        why = watch_due(watch, w, rss);
        if (why)
            watch_save(watch, w, rss, why);
        else
            watch_try(watch, w);
        if (o->at_bytes > 0 && !w->above)
            wait = watch_less(wait, (double)o->at_bytes - (double)rss);
        if (watch->use.limit && o->at_share > 0 && !w->above)
            wait = watch_less(wait, o->at_share * (double)watch->use.limit -
                                        (double)watch->use.usage);
        if (o->every_ns > 0 && o->every_ns < wait)
            wait = o->every_ns;
    }
    return wait > LEAST_WAIT_NS ? wait : LEAST_WAIT_NS;
}

/* --- events of the kernel --- */

static void watch_close_events(struct watch *watch)
{
    if (watch->event >= 0)
        close(watch->event);
    if (watch->usage >= 0)
        close(watch->usage);
    if (watch->pressure >= 0)
        close(watch->pressure);
    watch->event = watch->usage = watch->pressure = -1;
}

static int watch_open(const char *folder, const char *name, int flags)
{
    char path[4200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC);
}

/* An event of version 1 when usage crosses the share; of version 2, a stall of
 * 50 ms in a second.  Without the right to ask, polling alone has to do. */
static void watch_open_events(struct watch *watch)
{
    static const char stall[] = "some 50000 1000000";
    const struct mt_memory_use *use = &watch->use;
    char text[128];
    int control;

    if (use->limit == 0 || watch->options->at_share <= 0 ||
        (strcmp(watch->events_of, use->folder) == 0 &&
         watch->events_limit == use->limit))
        return;
    watch_close_events(watch);
    snprintf(watch->events_of, sizeof watch->events_of, "%s", use->folder);
    watch->events_limit = use->limit;
    if (use->v2) {
        watch->pressure =
            watch_open(use->folder, "memory.pressure", O_RDWR | O_NONBLOCK);
        if (watch->pressure >= 0 &&
            write(watch->pressure, stall, sizeof stall) < 0)
            watch_close_events(watch);
        return;
    }
    control = watch_open(use->folder, "cgroup.event_control", O_WRONLY);
    if (control < 0)
        return;
    watch->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch->usage = watch_open(use->folder, "memory.usage_in_bytes", O_RDONLY);
    snprintf(text, sizeof text, "%d %d %" PRIu64, watch->event, watch->usage,
             (uint64_t)((double)use->limit * watch->options->at_share));
    if (watch->event < 0 || watch->usage < 0 ||
        write(control, text, strlen(text)) < 0)
        watch_close_events(watch);
    close(control);
}

static void watch_wait(struct watch *watch, uint64_t ns)
{
    struct pollfd polled[2] = {{watch->event, POLLIN, 0},
                               {watch->pressure, POLLPRI, 0}};
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    uint64_t count;

    if (ppoll(polled, 2, &time, NULL) <= 0)
        return;
    if (polled[0].revents & POLLIN &&
        read(watch->event, &count, sizeof count) < 0)
        watch_close_events(watch);
    /* The cgroup has gone, or the event was for the time before. */
    if ((polled[0].revents | polled[1].revents) & (POLLERR | POLLHUP)) {
        watch_close_events(watch);
        watch->events_of[0] = '\0';
        ppoll(NULL, 0, &(struct timespec){0, LEAST_WAIT_NS}, NULL);
    }
}

bool mt_watch(const struct mt_watch_options *options, struct mt_error *error)
{
    struct watch watch = {
        .options = options, .event = -1, .usage = -1, .pressure = -1};
    bool any = false, ok = true;

    for (;;) {
        uint64_t wait = watch_look(&watch);
        any |= watch.n > 0;
        if (options->pid && watch.n == 0) {
            ok = any || mt_fail(error, "watch: there is no process %d",
                                (int)options->pid);
            break;
        }
        if (options->cgroup && access(options->cgroup, F_OK) != 0) {
            ok = any || mt_fail(error, "watch: no cgroup %s: %s",
                                options->cgroup, strerror(errno));
            break;
        }
        watch_open_events(&watch);
        watch_wait(&watch, wait);
    }
    watch_close_events(&watch);
    for (size_t i = 0; i < watch.n; i++)
        watched_free(&watch.processes[i]);
    free(watch.processes);
    return ok;
}
