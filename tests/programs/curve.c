/* SPDX-License-Identifier: BSD-2-Clause
 *
 * curve.c - a heap of known sizes over time: plateaus of N blocks of 10,000
 * bytes each (the arguments), for half a second each.  Prints a line for each:
 * "plateau N FROM TO BYTES" with CLOCK_REALTIME in seconds, and the bytes that
 * its blocks can use.  Then prints "ready" and waits for input; "fork" makes a
 * child that grows further, prints its line and its id, and waits.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST 20000
#define BLOCK 10000

static void *blocks[MOST];
static int n;
static void *volatile seen;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void reach(int wanted)
{
    while (n < wanted) {
        blocks[n] = malloc(BLOCK);
        memset(blocks[n++], 1, BLOCK);
    }
    while (n > wanted)
        free(blocks[--n]);
}

/* What a block takes: that of jemalloc's function, which the library has, and
 * the byte that is spare. */
static size_t block_bytes(void *block)
{
    size_t (*size)(const void *, int);

    *(void **)&size = dlsym(RTLD_DEFAULT, "sallocx");
    return size ? size(block, 0) + 1 : 0;
}

static void plateau(int wanted, double length)
{
    reach(wanted);
    double from = seconds(), to = from + length;

    while (seconds() < to) {
        seen = malloc(100000); /* the heap sees the time */
        free(seen);
        usleep(3000);
    }
    printf("plateau %d %.6f %.6f %zu\n", wanted, from, seconds(),
           n ? n * block_bytes(blocks[0]) : 0);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[64];
    double length = argc > 1 ? atof(argv[1]) : 0.5;

    for (int i = 2; i < argc; i++)
        plateau(atoi(argv[i]), length);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "fork\n") != 0 || fork() != 0)
            continue;
        alarm(120);
        plateau(n + 500, length);
        printf("pid %d\n", (int)getpid());
        fflush(stdout);
        pause();
    }
    return 0;
}
