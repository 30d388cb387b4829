/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs that tests/budget counts.
 *     pairs pair N SIZE      N times malloc(SIZE) and free, beside a block
 *     pairs lone N SIZE      the same, with no other block alive
 *     pairs usable N SIZE    N times malloc_usable_size
 *     pairs random N         N replacements in a working set of 1,000 blocks
 *     pairs scattered N SIZE the same in one of 20,000 blocks of SIZE
 *     pairs live N SIZE      N live blocks, then how many bytes of the
 *                            trace region are resident
 *     pairs peak N SIZE      resident KiB at the start, with N live blocks,
 *                            with all freed, and after malloc_trim()
 */
#define _GNU_SOURCE
#include "heap/layout.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *block)
{
    if (block == NULL)
        abort();
    return block;
}

static void pair(size_t n, size_t size, int lone)
{
    char *beside = must(malloc(size));
    *(volatile char *)beside = 1;
    if (lone)
        free(beside);
    while (n--) {
        char *block = must(malloc(size));
        *(volatile char *)block = 1;
        free(block);
    }
}

static void usable(size_t n, size_t size)
{
    void *block = must(malloc(size));
    while (n--)
        if (malloc_usable_size(block) < size)
            abort();
    free(block);
}

static void random_blocks(size_t n)
{
    enum { SLOTS = 1000 };
    static void *slot[SLOTS];
    unsigned state = 1;
    while (n--) {
        state = state * 1664525 + 1013904223;
        void **at = &slot[(state >> 8) % SLOTS];
        free(*at);
        *at = must(malloc(1 + (state >> 20) % 512));
    }
}

static void scattered(size_t n, size_t size)
{
    enum { SLOTS = 20000 };
    static void *slot[SLOTS];
    unsigned state = 1;
    for (size_t i = 0; i < SLOTS; i++)
        slot[i] = must(malloc(size));
    while (n--) {
        state = state * 1664525 + 1013904223;
        void **at = &slot[(state >> 8) % SLOTS];
        free(*at);
        *at = must(malloc(size));
    }
}

/* Resident bytes of the mappings in [base, base + size). */
static unsigned long long resident(unsigned long long base,
                                   unsigned long long size)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    unsigned long long from = 0, to = 0, kib, total = 0;
    while (file && fgets(line, sizeof line, file)) {
        unsigned long long a, b;
        if (sscanf(line, "%llx-%llx ", &a, &b) == 2)
            from = a, to = b;
        else if (sscanf(line, "Rss: %llu kB", &kib) == 1 && from >= base &&
                 to <= base + size)
            total += kib * 1024;
    }
    if (file)
        fclose(file);
    return total;
}

static int live(size_t n, size_t size)
{
    struct mt_root **root = dlsym(RTLD_DEFAULT, "memtrace_root");
    void **block = must(malloc(n * sizeof *block));
    for (size_t i = 0; i < n; i++)
        *(char *)(block[i] = must(malloc(size))) = 1;
    if (root == NULL || *root == NULL)
        return fputs("pairs: no trace region\n", stderr), 1;
    printf("%llu\n", resident((*root)->self, (*root)->region_bytes));
    return 0;
}

static long resident_kib(void)
{
    long size, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &pages) != 2)
        abort();
    fclose(file);
    return pages * 4;
}

static void peak(size_t n, size_t size)
{
    long kib[4] = {resident_kib()};
    void **block = must(malloc(n * sizeof *block));
    for (size_t i = 0; i < n; i++)
        memset(block[i] = must(malloc(size)), 1, size);
    kib[1] = resident_kib();
    for (size_t i = 0; i < n; i++)
        free(block[i]);
    free(block);
    kib[2] = resident_kib();
    malloc_trim(0);
    kib[3] = resident_kib();
    printf("%ld %ld %ld %ld\n", kib[0], kib[1], kib[2], kib[3]);
}

int main(int argc, char **argv)
{
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (n && size && strcmp(argv[1], "pair") == 0)
        pair(n, size, 0);
    else if (n && size && strcmp(argv[1], "lone") == 0)
        pair(n, size, 1);
    else if (n && size && strcmp(argv[1], "usable") == 0)
        usable(n, size);
    else if (n && strcmp(argv[1], "random") == 0)
        random_blocks(n);
    else if (n && size && strcmp(argv[1], "scattered") == 0)
        scattered(n, size);
    else if (n && size && strcmp(argv[1], "live") == 0)
        return live(n, size);
    else if (n && size && strcmp(argv[1], "peak") == 0)
        peak(n, size);
    else
        return fputs("usage: pairs pair|lone|usable|random|scattered|live|peak "
                     "N SIZE\n",
                     stderr),
               2;
    return 0;
}
