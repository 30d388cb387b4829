/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_live.c - a running process, read from outside.
 *
 * Memory comes by process_vm_readv, or by /proc/PID/mem where that is denied
 * (it honours CAP_SYS_PTRACE in other ways, and reads pages without PROT_READ).
 * The process runs on meanwhile, unless it is stopped (live_stop.c).
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/source/word_copy.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

size_t mt_live_peek(struct live *live, uint64_t address, void *buffer,
                    size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        struct iovec to = {(char *)buffer + done, bytes - done};
        struct iovec from = {(void *)(uintptr_t)(address + done), bytes - done};
        bool by_file = __atomic_load_n(&live->by_file, __ATOMIC_RELAXED);
        ssize_t got = -1;
        if (!by_file)
            got = process_vm_readv(live->pid, &to, 1, &from, 1, 0);
        if (got < 0 && (by_file || errno == EPERM || errno == ENOSYS)) {
            __atomic_store_n(&live->by_file, true, __ATOMIC_RELAXED);
            got = pread(live->mem, to.iov_base, to.iov_len,
                        (off_t)(address + done));
        }
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

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

static int open_proc(pid_t pid, const char *name)
{
    char path[80];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static const char *read_link(struct mt_source *source, pid_t pid)
{
    char path[64], text[4096];
    ssize_t length;

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    length = readlink(path, text, sizeof text);
    if (length <= 0)
        return NULL;
    return mt_string_pool_add(source->strings, text, (size_t)length);
}

static const char *read_command(struct mt_source *source, pid_t pid)
{
    char text[4096];
    ssize_t length = -1;
    int file = open_proc(pid, "cmdline");

    if (file >= 0) {
        length = read(file, text, sizeof text);
        close(file);
    }
    while (length > 0 && text[length - 1] == '\0')
        length--;
    if (length <= 0)
        return NULL;
    for (ssize_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    return mt_string_pool_add(source->strings, text, (size_t)length);
}

static void read_auxv(struct mt_source *source, pid_t pid)
{
    char data[4096];
    ssize_t length = -1;
    int file = open_proc(pid, "auxv");

    if (file >= 0) {
        length = read(file, data, sizeof data);
        close(file);
    }
    if (length <= 0)
        return;
    source->auxv = (const uint8_t *)mt_string_pool_add(source->strings, data,
                                                       (size_t)length);
    source->auxv_bytes = source->auxv ? (size_t)length : 0;
}

/* The pid in the process's own namespace is the last one of NSpid. */
static uint32_t read_namespace_pid(pid_t pid)
{
    char line[256];
    uint32_t result = (uint32_t)pid;
    int fd = open_proc(pid, "status");
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (file == NULL)
        return result;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "NSpid:", 6) != 0)
            continue;
        char *last = strrchr(line, '\t');
        if (last)
            result = (uint32_t)strtoul(last + 1, NULL, 10);
        break;
    }
    fclose(file);
    return result;
}

bool mt_live_threads(struct mt_source *source, pid_t pid,
                     struct mt_error *error)
{
    char path[64];
    size_t capacity = 0;
    struct dirent *entry;
    bool ok = true;
    DIR *folder;

    free(source->threads);
    source->threads = NULL;
    source->n_threads = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    folder = opendir(path);
    while (ok && folder && (entry = readdir(folder)) != NULL) {
        struct mt_thread thread = {0};
        char name[40];
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        thread.tid = (uint32_t)strtoul(entry->d_name, NULL, 10);
        snprintf(name, sizeof name, "task/%u/comm", thread.tid);
        int file = open_proc(pid, name);
        if (file >= 0) {
            ssize_t got = read(file, thread.name, sizeof thread.name - 1);
            close(file);
            thread.name[got > 0 ? got : 0] = '\0';
            thread.name[strcspn(thread.name, "\n")] = '\0';
        }
        if (thread.tid == (uint32_t)pid)
            memcpy(source->process.name, thread.name, sizeof thread.name);
        ok = mt_grow(&source->threads, &capacity, source->n_threads + 1,
                     sizeof *source->threads);
        if (ok)
            source->threads[source->n_threads++] = thread;
    }
    if (folder)
        closedir(folder);
    return ok || mt_fail(error, "out of memory for the table of threads");
}

bool mt_live_tables(struct mt_source *source, pid_t pid, struct mt_error *error)
{
    source->process.kind = MT_SOURCE_LIVE;
    source->process.pid = (uint32_t)pid;
    source->process.namespace_pid = read_namespace_pid(pid);
    source->process.exe = read_link(source, pid);
    source->process.command = read_command(source, pid);
    read_auxv(source, pid);
    return mt_live_maps(source, pid, error) &&
           mt_live_threads(source, pid, error) &&
           mt_modules_scan(source, error);
}

struct mt_source *mt_source_open_pid(pid_t pid, struct mt_error *error)
{
    struct live *live = calloc(1, sizeof *live);
    struct mt_source *source = &live->source;

    if (live == NULL)
        return mt_fail(error, "out of memory"), NULL;
    source->ops = &live_ops;
    source->strings = mt_string_pool_new();
    live->pid = pid;
    live->mem = open_proc(pid, "mem");
    live->pagemap = open_proc(pid, "pagemap");
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
