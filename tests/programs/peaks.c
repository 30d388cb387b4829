/* SPDX-License-Identifier: BSD-2-Clause
 *
 * peaks.c - a peak whose parts are known.  Modes:
 *   fast N   rise of N blocks each of small(), middle() and large(), at full
 *            speed, then all but a tenth is freed, then ready.
 *   refill   nine of ten blocks are freed, others are made, then those places
 *            are filled again: the peak comes without a new span.
 *   big      one block of 64 MiB, freed at once
 *   resize   a block that grows by realloc() to 48 MiB, and is freed
 *   forget   as fast, then 40,000 stacks without live blocks
 *   threads  four threads rise at the same time
 * Floating-point exceptions are trapped: none comes from the heap.
 * Prints "FUNCTION BYTES BLOCKS" of what was live at the peak, then "ready".
 */
#define _GNU_SOURCE
#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST 4000000

static void **kept;
static size_t n_kept;

static void __attribute__((noinline)) keep(void *p)
{
    *(volatile char *)p = 1;
    kept[__atomic_fetch_add(&n_kept, 1, __ATOMIC_RELAXED)] = p;
}

static void __attribute__((noinline)) small(void)
{
    keep(malloc(40));
    __asm__ volatile("");
}

static void __attribute__((noinline)) middle(void)
{
    keep(malloc(300));
    __asm__ volatile("");
}

static void __attribute__((noinline)) large(void)
{
    keep(malloc(50000));
    __asm__ volatile("");
}

static void free_from(size_t from)
{
    while (n_kept > from)
        free(kept[--n_kept]);
}

/* Of the class that middle() has. */
static void __attribute__((noinline)) refill(void)
{
    keep(malloc(290));
    __asm__ volatile("");
}

static void *volatile lone;

/* So that the heap takes samples. */
static void pass_time(void)
{
    for (int i = 0; i < 80; i++) {
        lone = malloc(100000);
        free(lone);
        usleep(5000);
    }
}

static void *rise(void *arg)
{
    size_t n = *(size_t *)arg;

    for (size_t i = 0; i < n; i++) {
        small();
        middle();
        if (i % 100 == 0)
            large();
    }
    return NULL;
}

/* Stacks by the thousand. */
static void right(unsigned path, int depth);
static void __attribute__((noinline)) left(unsigned path, int depth)
{
    if (depth == 0)
        free(lone = malloc(10));
    else if (path & 1)
        right(path >> 1, depth - 1);
    else
        left(path >> 1, depth - 1);
    __asm__ volatile("");
}

static void __attribute__((noinline)) right(unsigned path, int depth)
{
    left(path, depth);
    __asm__ volatile("");
}

static void say(size_t n)
{
    printf("small %zu %zu\nmiddle %zu %zu\nlarge %zu %zu\n", n * 40, n, n * 300,
           n, (n + 99) / 100 * 50000, (n + 99) / 100);
}

int main(int argc, char **argv)
{
    feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_INEXACT);
    const char *mode = argc > 1 ? argv[1] : "fast";
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
    pthread_t threads[4];

    kept = mmap(NULL, MOST * sizeof *kept, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (strcmp(mode, "fast") == 0 || strcmp(mode, "forget") == 0) {
        rise(&n);
        free_from(n_kept / 10);
        for (unsigned path = 0; *mode == 'f' && mode[1] == 'o' && path < 40000;
             path++)
            left(path, 16);
        say(n);
    } else if (strcmp(mode, "threads") == 0) {
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, rise, &n);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        free_from(0);
        say(4 * n);
    } else if (strcmp(mode, "refill") == 0) {
        for (size_t i = 0; i < n; i++)
            middle();
        for (size_t i = 0; i < n; i++)
            if (i % 10) {
                free(kept[i]);
                kept[i] = NULL;
            }
        for (size_t i = 0; i < n * 6; i++)
            small();
        pass_time();
        for (size_t i = 0; i < n * 9 / 10; i++)
            refill();
        pass_time();
        free_from(0);
        printf("small %zu %zu\nmiddle %zu %zu\nrefill %zu %zu\n", n * 240,
               n * 6, n * 30, n / 10, n * 9 / 10 * 290, n * 9 / 10);
    } else if (strcmp(mode, "big") == 0) {
        lone = malloc(64u << 20);
        free(lone);
        printf("main %u 1\n", 64u << 20);
    } else if (strcmp(mode, "resize") == 0) {
        for (size_t size = 100000; size < 48u << 20; size += 1u << 20)
            lone = realloc(lone, size);
        lone = realloc(lone, 48u << 20);
        free(lone);
        printf("main %u 1\n", 48u << 20);
    }
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
