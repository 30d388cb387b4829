/* SPDX-License-Identifier: BSD-2-Clause
 *
 * workers.c - threads that are made for one piece of work.
 */
#include "coreanalyze/base/workers.h"

#include <pthread.h>
#include <unistd.h>

#define BYTES_FOR_ONE (UINT64_C(4) << 20)

struct worker_start {
    pthread_t thread;
    void (*work)(void *context, unsigned index);
    void *context;
    unsigned index;
};

static void *worker_main(void *argument)
{
    const struct worker_start *start = argument;

    start->work(start->context, start->index);
    return NULL;
}

unsigned mt_processors(unsigned most)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);

    return online < 1 ? 1 : online < (long)most ? (unsigned)online : most;
}

unsigned mt_processors_for(uint64_t bytes, unsigned most)
{
    uint64_t n = bytes / BYTES_FOR_ONE + 1;

    /* Asking how many there are takes three system calls. */
    return n == 1 ? 1 : mt_processors(n < most ? (unsigned)n : most);
}

void mt_run_workers(unsigned n, void (*work)(void *context, unsigned index),
                    void *context)
{
    struct worker_start starts[MT_MAX_WORKERS];
    unsigned started = 1;

    for (; started < n && started < MT_MAX_WORKERS; started++) {
        struct worker_start *start = &starts[started];
        *start = (struct worker_start){
            .work = work, .context = context, .index = started};
        if (pthread_create(&start->thread, NULL, worker_main, start) != 0)
            break;
    }
    work(context, 0);
    while (--started > 0)
        pthread_join(starts[started].thread, NULL);
}
