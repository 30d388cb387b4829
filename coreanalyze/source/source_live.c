/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_live.c - a running process, read from outside (live_memory.c).  It
 * runs on while it is read, unless it is stopped (live_stop.c).
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/source/proc_task.h"
#include "coreanalyze/source/word_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Before the next piece of the copy: memory that was captured is empty there,
 * and other memory is read as it is now. */
static size_t read_between(struct live *live, uint64_t address, void *buffer,
                           size_t bytes)
{
    const struct mt_source *source = &live->source;
    uint64_t gap = mt_word_copy_gap(source->word_copy, address), end;
    const struct mt_mapping *m = mt_source_mapping(source, address);

    bytes = gap < bytes ? (size_t)gap : bytes;
    end = mt_source_skip_empty(source, address, address + bytes);
    if (end == address || (m->inode && (m->flags & MT_MAP_PRIVATE)))
        return mt_live_peek_still(live, address, buffer, bytes);
    memset(buffer, 0, (size_t)(end - address));
    return (size_t)(end - address);
}

static size_t live_read(struct mt_source *source, uint64_t address,
                        void *buffer, size_t bytes)
{
    struct live *live = (struct live *)source;
    size_t done = 0;

    while (source->word_copy && done < bytes) {
        size_t n = mt_word_copy_read(source->word_copy, address + done,
                                     (char *)buffer + done, bytes - done);
        if (n == 0)
            n = read_between(live, address + done, (char *)buffer + done,
                             bytes - done);
        if (n == 0)
            return done;
        done += n;
    }
    while (live->image && done < bytes) {
        size_t n = mt_live_read_image(live, address + done,
                                      (char *)buffer + done, bytes - done);
        if (n == 0)
            break;
        done += n;
    }
    if (done < bytes)
        done += mt_live_peek_still(live, address + done, (char *)buffer + done,
                                   bytes - done);
    return done;
}

static bool live_write(struct mt_source *source, uint64_t address,
                       const void *buffer, size_t bytes)
{
    struct live *live = (struct live *)source;
    struct iovec from = {(void *)(uintptr_t)buffer, bytes};
    struct iovec to = {(void *)(uintptr_t)address, bytes};

    return process_vm_writev(live->tid, &from, 1, &to, 1, 0) == (ssize_t)bytes;
}

static void live_destroy(struct mt_source *source)
{
    struct live *live = (struct live *)source;

    mt_live_go(source);
    for (size_t i = 0; i < live->n_files; i++)
        close(live->files[i]);
    free(live->files);
    free(live->lazy);
    mt_live_drop_image(live);
    free(live->polls);
    mt_live_close_queues(live);
    free(live->given);
    free(live->still);
    free(live->runs);
    pthread_mutex_destroy(&live->still_lock);
    mt_backing_close(&live->backing);
    pthread_mutex_destroy(&live->lock);
    if (live->mem >= 0)
        close(live->mem);
    if (live->pagemap >= 0)
        close(live->pagemap);
    free(live);
}

/* False if the process has ended, too. */
bool mt_live_refresh(struct mt_source *source, struct mt_error *error)
{
    struct live *live = (struct live *)source;

    if (mt_live_gone(live))
        return mt_fail(error, "process %d has ended", (int)live->pid);
    if (mt_proc_state(live->tid) == 0)
        live->tid = mt_proc_living(live->pid);
    return mt_live_tables_again(source, live->pid, live->tid, error);
}

#define LIVE_OPS                                                               \
    .read = live_read, .write = live_write, .pages = mt_live_pages,            \
    .resident = mt_live_resident, .uses = mt_live_uses, .stop = mt_live_stop,  \
    .resume = mt_live_go, .refresh = mt_live_refresh,                          \
    .capture = mt_live_capture, .unfilled = mt_live_unfilled,                  \
    .destroy = live_destroy

static const struct mt_source_ops live_ops = {LIVE_OPS};
static const struct mt_source_ops image_ops = {LIVE_OPS, .view = mt_live_view,
                                               .extent = mt_live_extent};

static bool live_has_no_memory(pid_t pid, struct mt_error *error)
{
    return mt_fail(error,
                   "process %d has no memory: a zombie or a kernel thread",
                   (int)pid);
}

/* The first number after a key in a file of /proc, or -1. */
static long live_number(const char *path, const char *key)
{
    char line[256];
    FILE *file = fopen(path, "re");
    size_t n = strlen(key);
    long number = -1;

    while (file && number < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, n) == 0)
            number = atol(line + n);
    if (file)
        fclose(file);
    return number;
}

/* Permission to read a process is permission to trace it: ptrace(2). */
static bool live_not_permitted(pid_t pid, int number, struct mt_error *error)
{
    long scope = live_number("/proc/sys/kernel/yama/ptrace_scope", "");
    char path[40];
    const char *remedy =
        "it has more rights than this user, or is not dumpable: run as root";

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (geteuid() == 0)
        remedy = "root lacks CAP_SYS_PTRACE here, or a capability that the "
                 "process has (in a container: --cap-add SYS_PTRACE)";
    else if (live_number(path, "Uid:") != (long)geteuid())
        remedy = "it is another user's: run as that user, or as root";
    else if (scope > 0)
        remedy = "run as root, or write 0 to "
                 "/proc/sys/kernel/yama/ptrace_scope";
    return mt_fail(error, "cannot read process %d: %s; %s", (int)pid,
                   strerror(number), remedy);
}

/* Why neither its memory nor its page table can be opened. */
static bool live_refused(pid_t pid, int number, struct mt_error *error)
{
    if (number == EACCES || number == EPERM)
        return live_not_permitted(pid, number, error);
    if (number != ENOENT && number != ESRCH)
        return mt_fail(error, "cannot read process %d: %s", (int)pid,
                       strerror(number));
    if (access("/proc/self", F_OK) != 0)
        return mt_fail(error, "cannot read process %d: /proc is not mounted",
                       (int)pid);
    /* Some kernels have neither file of a process without memory. */
    if (mt_proc_state(pid) != 0)
        return live_has_no_memory(pid, error);
    return mt_fail(error, "no process or file '%d'", (int)pid);
}

/* Numbers of processes there would mean other processes than they do here. */
static bool live_proc_is_ours(pid_t pid, struct mt_error *error)
{
    char link[32];
    ssize_t n = readlink("/proc/self", link, sizeof link - 1);

    link[n > 0 ? n : 0] = '\0';
    return n <= 0 || strtol(link, NULL, 10) == (long)getpid() ||
           mt_fail(error,
                   "cannot read process %d: /proc is that of another PID "
                   "namespace; mount the one of this (mount -t proc)",
                   (int)pid);
}

static bool live_still_modules(struct live *live, struct mt_error *error)
{
    mt_live_still_headers(live);
    return mt_modules_scan(&live->source, error);
}

static struct mt_source *live_open(pid_t pid, bool still,
                                   struct mt_error *error)
{
    struct live *live;
    struct mt_source *source;

    if (!live_proc_is_ours(pid, error))
        return NULL;
    live = calloc(1, sizeof *live);
    source = &live->source;
    if (live == NULL)
        return mt_no_memory(error, "the process"), NULL;
    source->ops = &live_ops;
    live->image_ops = &image_ops;
    source->still = still;
    source->strings = mt_strings_new();
    live->pid = pid;
    live->tid = still ? pid : mt_proc_living(pid);
    if (live->tid == 0)
        live->tid = pid;
    live->scan = true;
    live->backing.file = -1;
    live->holder.go = live->holder.ready = -1;
    pthread_mutex_init(&live->lock, NULL);
    pthread_mutex_init(&live->still_lock, NULL);
    live->pagemap = mt_proc_open(live->tid, "pagemap");
    live->mem = mt_proc_open(live->tid, "mem");
    if (live->mem < 0 || live->pagemap < 0) {
        live_refused(pid, errno, error);
    } else if (source->strings &&
               mt_live_tables(source, pid, live->tid, error)) {
        if (source->n_mappings == 0)
            live_has_no_memory(pid, error);
        else if (!still || live_still_modules(live, error))
            return source;
    }
    mt_source_free(source);
    return NULL;
}

struct mt_source *mt_source_open_pid(pid_t pid, struct mt_error *error)
{
    return live_open(pid, false, error);
}

struct mt_source *mt_source_open_still(pid_t pid, struct mt_error *error)
{
    return live_open(pid, true, error);
}
