/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exited_process.c - a process at its end, as a source.
 */
#include "coreanalyze/source/exited_process.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* The registers of those that were held; a thread that ended before has none
 * and needs none. */
static bool set_threads(struct mt_source *source, const struct mt_exited *ended)
{
    struct mt_thread *threads = calloc(ended->n_threads, sizeof *threads);

    if (threads == NULL)
        return false;
    memcpy(threads, ended->threads, ended->n_threads * sizeof *threads);
    for (size_t i = 0; i < ended->n_threads; i++)
        for (size_t j = 0; j < source->n_threads; j++)
            if (source->threads[j].tid == threads[i].tid)
                memcpy(threads[i].name, source->threads[j].name,
                       sizeof threads[i].name);
    free(source->threads);
    source->threads = threads;
    source->n_threads = ended->n_threads;
    return true;
}

struct mt_source *mt_exited_open(const struct mt_exited *ended,
                                 struct mt_error *error)
{
    struct mt_source *source = mt_source_open_pid(ended->reader, error);

    if (source == NULL)
        return NULL;
    source->process.pid = (uint32_t)ended->pid;
    source->process.signal =
        WIFSIGNALED(ended->status) ? WTERMSIG(ended->status) : 0;
    /* Its first thread is gone, and with it the id in its own namespace. */
    if (ended->reader != ended->pid)
        source->process.namespace_pid = 0;
    if (set_threads(source, ended))
        return source;
    mt_no_memory(error, "the threads");
    mt_source_free(source);
    return NULL;
}
