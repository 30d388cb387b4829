/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_live.c - a running process, read from outside (live_memory.c).  It
 * runs on while it is read, unless it is stopped (live_stop.c).
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/proc_task.h"
#include "coreanalyze/source/word_copy.h"

#include <errno.h>
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
    free(live->polls);
    free(live->given);
    free(live->still);
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

static const struct mt_source_ops live_ops = {
    .read = live_read,
    .write = live_write,
    .pages = mt_live_pages,
    .resident = mt_live_resident,
    .uses = mt_live_uses,
    .stop = mt_live_stop,
    .resume = mt_live_go,
    .refresh = mt_live_refresh,
    .capture = mt_live_capture,
    .destroy = live_destroy,
};

static struct mt_source *live_open(pid_t pid, bool still,
                                   struct mt_error *error)
{
    struct live *live = calloc(1, sizeof *live);
    struct mt_source *source = &live->source;

    if (live == NULL)
        return mt_no_memory(error, "the process"), NULL;
    source->ops = &live_ops;
    source->still = still;
    source->strings = mt_strings_new();
    live->pid = pid;
    live->tid = mt_proc_living(pid);
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
        if (errno == ENOENT || errno == ESRCH)
            mt_fail(error, "no process or file '%d'", (int)pid);
        else
            mt_fail(
                error,
                "cannot read process %d: %s; run as the same user or root, and "
                "check /proc/sys/kernel/yama/ptrace_scope",
                (int)pid, strerror(errno));
    } else if (source->strings &&
               mt_live_tables(source, pid, live->tid, error)) {
        if (source->n_mappings > 0)
            return source;
        mt_fail(error, "process %d has no memory: a zombie or a kernel thread",
                (int)pid);
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
