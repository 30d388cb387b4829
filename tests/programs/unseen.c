/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unseen.c - blocks that are held by memory of several kinds, each of which
 * some kind of target lacks; see e2e/unseen.
 *
 *     unseen FILE KIND...
 *
 * Loses 3 blocks of 72 bytes, and puts 5 into memory of each kind.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES 8192u
#define KEPT 5u

static void *volatile sink;

__attribute__((noinline)) static void lose(void)
{
    for (int i = 0; i < 3; i++)
        sink = malloc(72);
    sink = NULL;
}

static void **map_it(const char *kind, const char *path)
{
    int shared = MAP_PRIVATE | MAP_ANONYMOUS, file = -1;
    void *memory;

    if (strcmp(kind, "shared") == 0 || strcmp(kind, "sharedro") == 0) {
        shared = MAP_SHARED | MAP_ANONYMOUS;
    } else if (strcmp(kind, "memfd") == 0) {
        file = memfd_create("unseen", 0);
        shared = MAP_SHARED;
    } else if (strcmp(kind, "file") == 0) {
        file = open(path, O_RDWR | O_CREAT, 0600);
        shared = MAP_SHARED;
    }
    if (file >= 0 && ftruncate(file, BYTES))
        exit(1);
    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, shared, file, 0);
    if (memory == MAP_FAILED)
        exit(1);
    if (strcmp(kind, "dontdump") == 0)
        madvise(memory, BYTES, MADV_DONTDUMP);
    return memory;
}

__attribute__((noinline)) static void keep(const char *kind, const char *path)
{
    void **memory = map_it(kind, path);

    for (unsigned i = 0; i < KEPT; i++)
        memory[i] = malloc(200);
    if (strcmp(kind, "code") == 0)
        mprotect(memory, BYTES, PROT_READ | PROT_EXEC);
    if (strcmp(kind, "readonly") == 0 || strcmp(kind, "sharedro") == 0)
        mprotect(memory, BYTES, PROT_READ);
    if (strcmp(kind, "none") == 0)
        mprotect(memory, BYTES, PROT_NONE);
}

/* Registers and dead frames hold what was there last. */
__attribute__((noinline)) static void wipe(void)
{
    volatile char frame[8192];

    memset((void *)frame, 0, sizeof frame);
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        keep(argv[i], argv[1]);
    lose();
    wipe();
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
