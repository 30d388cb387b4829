/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_live.c - a running process, read from outside.
 *
 * Memory comes by process_vm_readv, or by /proc/PID/mem where that is denied
 * (it honours CAP_SYS_PTRACE in other ways, and reads pages without PROT_READ).
 * The process runs on meanwhile, unless it is stopped (live_stop.c).
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/source/word_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Up to the next piece of the store, memory is read as it is now. */
static size_t live_read(struct mt_source *source, uint64_t address,
                        void *buffer, size_t bytes)
{
    size_t done = 0;

    while (source->store && done < bytes) {
        uint64_t gap;
        size_t n = mt_word_copy_read(source->store, address + done,
                                     (char *)buffer + done, bytes - done);
        done += n;
        if (n > 0)
            continue;
        gap = mt_word_copy_gap(source->store, address + done);
        gap = gap < bytes - done ? gap : bytes - done;
        n = mt_live_peek((struct live *)source, address + done,
                         (char *)buffer + done, (size_t)gap);
        done += n;
        if (n < gap)
            return done;
    }
    if (done < bytes)
        done += mt_live_peek((struct live *)source, address + done,
                             (char *)buffer + done, bytes - done);
    return done;
}

static bool live_write(struct mt_source *source, uint64_t address,
                       const void *buffer, size_t bytes)
{
    struct live *live = (struct live *)source;
    struct iovec from = {(void *)(uintptr_t)buffer, bytes};
    struct iovec to = {(void *)(uintptr_t)address, bytes};

    return process_vm_writev(live->pid, &from, 1, &to, 1, 0) == (ssize_t)bytes;
}

static void live_destroy(struct mt_source *source)
{
    struct live *live = (struct live *)source;

    mt_live_go(source);
    free(live->stopped);
    if (live->mem >= 0)
        close(live->mem);
    if (live->pagemap >= 0)
        close(live->pagemap);
    free(live);
}

static const struct mt_source_ops live_ops = {
    .read = live_read,
    .write = live_write,
    .pages = mt_live_pages,
    .stop = mt_live_stop,
    .resume = mt_live_go,
    .capture = mt_live_capture,
    .destroy = live_destroy,
};

struct mt_source *mt_source_open_pid(pid_t pid, struct mt_error *error)
{
    struct live *live = calloc(1, sizeof *live);
    struct mt_source *source = &live->source;

    if (live == NULL)
        return mt_no_memory(error, "the process"), NULL;
    source->ops = &live_ops;
    source->strings = mt_strings_new();
    live->pid = pid;
    live->mem = mt_live_open(pid, "mem");
    live->pagemap = mt_live_open(pid, "pagemap");
    if (live->mem < 0) {
        if (errno == ENOENT || errno == ESRCH)
            mt_fail(error, "no process %d, and no file of that name", (int)pid);
        else
            mt_fail(error,
                    "cannot read process %d: %s (it takes the same user, or "
                    "root; see also /proc/sys/kernel/yama/ptrace_scope)",
                    (int)pid, strerror(errno));
    } else if (source->strings && mt_live_tables(source, pid, error)) {
        if (source->n_mappings > 0)
            return source;
        mt_fail(error, "process %d has no memory: a zombie or a kernel thread",
                (int)pid);
    }
    mt_source_free(source);
    return NULL;
}
