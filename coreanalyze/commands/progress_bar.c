/* SPDX-License-Identifier: BSD-2-Clause
 *
 * progress_bar.c - progress of a long step on a terminal, and Ctrl-C, which
 * stops the step.
 */
#include "coreanalyze/commands/progress_bar.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 30u

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) +
           (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Steps of less than a second show nothing. */
static bool bar_report(void *context, const char *step, uint64_t done,
                       uint64_t total)
{
    struct mt_progress_bar *progress = context;
    unsigned percent =
        total ? (unsigned)((double)done / (double)total * 100) : 0;
    char bar[WIDTH + 1];

    if (!progress->on_terminal || seconds_since(&progress->start) < 1 ||
        (progress->shown && percent == progress->percent))
        return !interrupted;
    progress->shown = true;
    progress->percent = percent = percent < 100 ? percent : 100;
    memset(bar, ' ', WIDTH);
    memset(bar, '#', percent * WIDTH / 100);
    bar[WIDTH] = '\0';
    fprintf(stderr, "\rmemtrace: [%s] %3u%% %s\033[K", bar, percent, step);
    return !interrupted;
}

void mt_progress_bar_begin(struct mt_progress_bar *progress)
{
    struct sigaction action = {.sa_handler = on_interrupt,
                               .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    struct sigaction before;

    *progress = (struct mt_progress_bar){.progress = {bar_report, progress},
                                         .on_terminal = isatty(STDERR_FILENO)};
    clock_gettime(CLOCK_MONOTONIC, &progress->start);
    /* A job in the background of a shell without job control ignores it. */
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGINT, &action, NULL);
}

void mt_progress_bar_end(struct mt_progress_bar *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}

void mt_progress_bar_exit_by_signal(void)
{
    if (!interrupted)
        return;
    signal(SIGINT, SIG_DFL);
    raise(SIGINT);
}
