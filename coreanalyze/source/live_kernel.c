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

#include <ctype.h>
#include <dirent.h>
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

/* Adds what a file of /proc has; false when out of memory. */
static bool kernel_read(struct live *live, const char *name,
                        enum mt_kernel_kind kind, uint32_t id)
{
    struct mt_source *source = &live->source;
    struct mt_kernel_word word = {0};
    char *line = NULL;
    size_t line_bytes = 0;
    bool ok = true;
    int file = mt_proc_open(live->tid, name);
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
        ok = mt_grow(&source->kernel_words, &live->kernel_words_capacity,
                     source->n_kernel_words + 1, sizeof word);
        if (ok)
            source->kernel_words[source->n_kernel_words++] = word;
    }
    free(line);
    if (text)
        fclose(text);
    return ok;
}

bool mt_live_find_polls(struct live *live)
{
    char path[64], target[64];
    size_t capacity = 0;
    const struct dirent *entry;
    bool ok = true;
    DIR *folder;

    free(live->polls);
    live->polls = NULL;
    live->n_polls = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)live->tid);
    folder = opendir(path);
    while (ok && folder && (entry = readdir(folder))) {
        ssize_t n;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        n = readlinkat(dirfd(folder), entry->d_name, target, sizeof target);
        if (n != (ssize_t)strlen("anon_inode:[eventpoll]") ||
            memcmp(target, "anon_inode:[eventpoll]", (size_t)n) != 0)
            continue;
        ok = mt_grow(&live->polls, &capacity, live->n_polls + 1,
                     sizeof *live->polls);
        if (ok)
            live->polls[live->n_polls++] =
                (uint32_t)strtoul(entry->d_name, NULL, 10);
    }
    if (folder)
        closedir(folder);
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
    ok = kernel_read(live, "timers", MT_KERNEL_TIMER, 0);
    for (size_t i = 0; ok && i < live->n_polls; i++) {
        snprintf(name, sizeof name, "fdinfo/%" PRIu32, live->polls[i]);
        ok = kernel_read(live, name, MT_KERNEL_EPOLL, live->polls[i]);
    }
    held = mt_held_words(&live->holder, &n_held);
    return ok && kernel_add(live, held, n_held) &&
           kernel_add(live, live->given, live->n_given);
}
