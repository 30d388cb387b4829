/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pagefaults.c - what a process costs the kernel in pages.  Modes:
 *   start      nothing
 *   fork       a child that ends at once, of a process with blocks
 *   forkalloc  one that allocates 100 blocks before
 *   grow       two buffers that grow by turns to 60 MiB each, by realloc()
 * Prints page faults, of the child or of the process, and the peak in KiB.
 */
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

static void forked(int blocks)
{
    static void *volatile kept[1000];
    for (int i = 0; i < 1000; i++)
        kept[i] = malloc((size_t)i % 50 * 8 + 1);
    if (fork() == 0) {
        for (int i = 0; i < blocks; i++)
            kept[i] = malloc((size_t)i % 50 * 8 + 1);
        _exit(0);
    }
    wait(NULL);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "start";
    int who = RUSAGE_SELF;
    struct rusage usage;
    if (strcmp(mode, "grow") == 0) {
        grow();
    } else if (strncmp(mode, "fork", 4) == 0) {
        forked(mode[4] ? 100 : 0);
        who = RUSAGE_CHILDREN;
    }
    getrusage(who, &usage);
    printf("%ld %ld\n", usage.ru_minflt, usage.ru_maxrss);
    return 0;
}
