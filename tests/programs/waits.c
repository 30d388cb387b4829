/* SPDX-License-Identifier: BSD-2-Clause
 *
 * waits.c - a process that waits, and says so if it is woken; see e2e/targets.
 *
 *     waits pause|sleep|blocked
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *volatile lost;

__attribute__((noinline)) static void lose(void)
{
    lost = malloc(333);
    lost = NULL;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "pause";
    const struct timespec long_time = {1000, 0};
    sigset_t all;

    lose();
    sigfillset(&all);
    if (strcmp(how, "blocked") == 0)
        sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        puts("ready");
        fflush(stdout);
        if (strcmp(how, "sleep") == 0)
            clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL);
        else
            pause();
        printf("woken: %s\n", strerror(errno));
    }
}
