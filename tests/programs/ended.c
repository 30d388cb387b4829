/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ended.c - a process whose first thread ends while another one runs on; with
 * an argument that one ends, too.  See e2e/stop.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept;
static void *volatile lost;

__attribute__((noinline)) static void lose(void)
{
    lost = malloc(100);
    lost = NULL;
}

__attribute__((noinline)) static void wipe(void)
{
    volatile char memory[4096];

    memset((void *)memory, 0, sizeof memory);
}

static void *work(void *ends)
{
    lose();
    wipe();
    kept = malloc(200);
    usleep(200000);
    puts("ready");
    fflush(stdout);
    if (!ends)
        pause();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    (void)argv;
    pthread_create(&thread, NULL, work, argc > 1 ? &thread : NULL);
    pthread_exit(NULL);
}
