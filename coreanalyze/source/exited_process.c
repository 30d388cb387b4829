/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exited_process.c - a process at its end, as a source.
 */
#include "coreanalyze/source/exited_process.h"
#include "coreanalyze/source/live.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Those that were held, with their registers; a thread that ended before has
 * none and needs none. */
static bool set_threads(struct mt_source *source, const struct mt_exited *ended)
{
    struct mt_thread *threads = calloc(ended->n_threads, sizeof *threads);

    if (threads == NULL)
        return false;
    memcpy(threads, ended->threads, ended->n_threads * sizeof *threads);
    for (size_t i = 0; i < ended->n_threads; i++) {
        mt_live_thread_name(&threads[i]);
        if (threads[i].tid == (uint32_t)ended->reader)
            memcpy(source->process.name, threads[i].name,
                   sizeof source->process.name);
    }
    source->threads = threads;
    source->n_threads = ended->n_threads;
    return true;
}

struct mt_source *mt_exited_open(const struct mt_exited *ended,
                                 struct mt_error *error)
{
    struct mt_source *source = mt_source_open_still(ended->reader, error);

    if (source == NULL)
        return NULL;
    source->process.pid = (uint32_t)ended->pid;
    source->process.signal =
        WIFSIGNALED(ended->status) ? WTERMSIG(ended->status) : 0;
    /* The first thread is gone, and with it the process's id in its own
     * namespace. */
    if (ended->reader != ended->pid)
        source->process.namespace_pid = 0;
    if (set_threads(source, ended) &&
        mt_live_give_words(source, ended->words, ended->n_words))
        return source;
    mt_no_memory(error, "the threads");
    mt_source_free(source);
    return NULL;
}

static bool exited_readable(int memory, unsigned long address)
{
    char byte;

    return address == 0 || pread(memory, &byte, 1, (off_t)address) == 1;
}

bool mt_memory_is_reaped(pid_t pid)
{
    char path[64], line[512], flags[8];
    unsigned long start, inode, lowest = 0, highest = 0;
    bool reaped;
    int memory;
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "re");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%*x %7s %*x %*s %lu", &start, flags, &inode) !=
                3 ||
            strcmp(flags, "rw-p") != 0 || inode != 0)
            continue;
        lowest = lowest ? lowest : start;
        highest = start;
    }
    reaped = memory >= 0 && !(exited_readable(memory, lowest) &&
                              exited_readable(memory, highest));
    if (maps)
        fclose(maps);
    if (memory >= 0)
        close(memory);
    return reaped;
}

bool mt_exited_reaped(const struct mt_exited *ended, struct mt_error *error)
{
    if (!WIFSIGNALED(ended->status) || WTERMSIG(ended->status) != SIGKILL ||
        !mt_memory_is_reaped(ended->reader))
        return false;
    mt_fail(error,
            "the OOM killer ended it, and the kernel took its "
            "memory before all was read; MEMTRACE=save=FILE:save_at=85%% "
            "saves it before that");
    return true;
}
