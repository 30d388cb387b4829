/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_kernel.c - addresses that may be nowhere in a process's own memory: the
 * data of what an epoll waits for, and the values that timers deliver.  /proc
 * has both.  Who traces the threads has others: values of queued signals, and
 * words of vector registers.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/proc_task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORDS (1u << 22)

bool mt_epoll_line(const char *line, struct mt_kernel_word *word)
{
    *word = (struct mt_kernel_word){.kind = MT_KERNEL_EPOLL};
    return sscanf(line, "tfd: %" SCNu32 " events: %*x data: %" SCNx64,
                  &word->watched, &word->value) == 2;
}

/* The value follows in the line of the signal, which is a thread's or not. */
bool mt_timer_line(const char *line, struct mt_kernel_word *word)
{
    uint32_t id;

    if (sscanf(line, "ID: %" SCNu32, &id) == 1)
        *word = (struct mt_kernel_word){.kind = MT_KERNEL_TIMER, .id = id};
    return sscanf(line, "signal: %*u/%" SCNx64, &word->value) == 1;
}

bool mt_live_add_word(struct live *live, const struct mt_kernel_word *word)
{
    struct mt_source *source = &live->source;

    if (source->n_kernel_words >= MAX_WORDS)
        return true;
    if (!mt_grow(&source->kernel_words, &live->kernel_words_capacity,
                 source->n_kernel_words + 1, sizeof *word))
        return false;
    source->kernel_words[source->n_kernel_words++] = *word;
    return true;
}

/* Adds what a file of /proc has; false when out of memory. */
static bool kernel_read(struct live *live, pid_t tid, const char *name,
                        enum mt_kernel_kind kind, uint32_t id)
{
    struct mt_source *source = &live->source;
    struct mt_kernel_word word = {0};
    char *line = NULL;
    size_t line_bytes = 0;
    bool ok = true;
    int file = mt_proc_open(tid, name);
    FILE *text = file >= 0 ? fdopen(file, "re") : NULL;

    if (!text && file >= 0)
        close(file);
    while (ok && text && getline(&line, &line_bytes, text) > 0 &&
           source->n_kernel_words < MAX_WORDS) {
        if (kind == MT_KERNEL_TIMER ? !mt_timer_line(line, &word)
                                    : !mt_epoll_line(line, &word))
            continue;
        if (kind == MT_KERNEL_EPOLL)
            word.id = id;
        ok = mt_live_add_word(live, &word);
    }
    free(line);
    if (text)
        fclose(text);
    return ok;
}

static bool kernel_add(struct live *live, const struct mt_kernel_word *words,
                       size_t n)
{
    struct mt_source *source = &live->source;

    if (n == 0)
        return true;
    if (!mt_grow(&source->kernel_words, &live->kernel_words_capacity,
                 source->n_kernel_words + n, sizeof *words))
        return false;
    memcpy(source->kernel_words + source->n_kernel_words, words,
           n * sizeof *words);
    source->n_kernel_words += n;
    return true;
}

bool mt_live_give_words(struct mt_source *source,
                        const struct mt_kernel_word *words, size_t n)
{
    struct live *live = (struct live *)source;

    free(live->given);
    live->given = n > 0 ? malloc(n * sizeof *words) : NULL;
    live->n_given = live->given ? n : 0;
    if (live->given)
        memcpy(live->given, words, n * sizeof *words);
    return live->n_given == n;
}

bool mt_live_kernel_words(struct live *live)
{
    const struct mt_kernel_word *held;
    char name[32];
    size_t n_held;
    bool ok;

    free(live->source.kernel_words);
    live->source.kernel_words = NULL;
    live->source.n_kernel_words = 0;
    live->kernel_words_capacity = 0;
    ok = kernel_read(live, live->tid, "timers", MT_KERNEL_TIMER, 0);
    for (size_t i = 0; ok && i < live->n_polls; i++) {
        const struct mt_poll *poll = &live->polls[i];
        snprintf(name, sizeof name, "fdinfo/%" PRIu32, poll->descriptor);
        ok = kernel_read(live, poll->tid, name, MT_KERNEL_EPOLL,
                         poll->descriptor);
    }
    held = mt_held_words(&live->holder, &n_held);
    return ok && kernel_add(live, held, n_held) &&
           kernel_add(live, live->given, live->n_given);
}
