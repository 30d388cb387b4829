/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pagefaults.c - what a process costs the kernel in pages.  Modes:
 *   start      nothing
 *   fork       a child that ends at once, of a process with blocks
 *   forkalloc  one that allocates 100 blocks before
 *   forkgrow   one that allocates 1000, of a process that is not new
 *   grow       two buffers that grow by turns to 60 MiB each, by realloc()
 * Prints page faults, of the child or of the process, and the peak in KiB.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP ((size_t)65536)
#define MOST ((size_t)60 << 20)

static void grow(void)
{
    char *buffer[2] = {NULL, NULL};
    size_t size[2] = {0, 0}, room[2] = {0, 0};
    while (size[1] < MOST)
        for (int i = 0; i < 2; i++) {
            if (size[i] + STEP > room[i]) {
                room[i] = size[i] + size[i] / 8 + STEP;
                buffer[i] = realloc(buffer[i], room[i]);
                if (buffer[i] == NULL)
                    exit(2);
            }
            memset(buffer[i] + size[i], i + 1, STEP);
            size[i] += STEP;
        }
    for (int i = 0; i < 2; i++)
        for (size_t at = 0; at < size[i]; at++)
            if (buffer[i][at] != i + 1)
                exit(3);
}

static void *volatile kept[1000];

/* From 1024 call stacks, as `path` says. */
__attribute__((noinline)) static void *from_stack(unsigned path, int depth)
{
    void *block = depth == 0 ? malloc(path % 50 * 8 + 1)
                  : path & 1 ? from_stack(path >> 1, depth - 1)
                             : from_stack(path >> 1, depth - 1);
    __asm__ volatile("" : : "r"(block)); /* no tail calls */
    return block;
}

static void allocate(int blocks)
{
    for (int i = 0; i < blocks; i++)
        kept[i] = malloc((size_t)i % 50 * 8 + 1);
}

static void fork_and_allocate(int blocks)
{
    if (fork() == 0) {
        allocate(blocks);
        _exit(0);
    }
    wait(NULL);
}

/* The heap takes its first sample of itself after 100 ms. */
static void grow_old(void)
{
    for (unsigned i = 0; i < 1024; i++)
        kept[i % 1000] = from_stack(i, 10);
    for (int i = 0; i < 100; i++) {
        kept[i] = malloc(1000);
        usleep(2000);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "start";
    int who = RUSAGE_SELF;
    struct rusage usage;
    if (strcmp(mode, "grow") == 0) {
        grow();
    } else if (strncmp(mode, "fork", 4) == 0) {
        bool grows = strcmp(mode, "forkgrow") == 0;
        if (grows)
            grow_old();
        else
            allocate(1000);
        fork_and_allocate(grows ? 1000 : mode[4] ? 100 : 0);
        who = RUSAGE_CHILDREN;
    }
    getrusage(who, &usage);
    printf("%ld %ld\n", usage.ru_minflt, usage.ru_maxrss);
    return 0;
}
