/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heapwords.c - blocks full of all that the search for pointers and its
 * heuristics look at: pointers to starts and insides, lengths that fit and
 * that nearly do, vtables and what looks like them.
 *
 *     heapwords SEED [MIB]      MIB: full of pointers, and of nothing else
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCKS 6000u
#define ROOTS 600u
#define MAX_BYTES 400u

static uint64_t state;
static struct {
    uint64_t *data;
    size_t bytes;
} blocks[BLOCKS];
static uint64_t roots[ROOTS];
static uint64_t *tables; /* in a mapping of their own */

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 11;
}

static uint64_t below(uint64_t n)
{
    return next_random() % n;
}

static void nothing(void)
{
}

static void (*const vtable[4])(void) = {NULL, nothing, nothing, NULL};

/* An address in a block, or nearly. */
static uint64_t pointer(void)
{
    static const uint64_t offsets[] = {0, 0, 0, 0, 8, 8, 8, 24, 24, 16, 3};
    size_t i = below(BLOCKS), n = sizeof offsets / sizeof *offsets;
    uint64_t p = (uintptr_t)blocks[i].data + offsets[below(n)];

    switch (below(24)) {
    case 0:
        return p | below(0x10000) << 48;
    case 1:
        return p + below(blocks[i].bytes + 64);
    default:
        return p;
    }
}

static uint64_t length(size_t bytes)
{
    switch (below(5)) {
    case 0:
        return bytes - 8;
    case 1:
        return bytes - 25;
    case 2:
        return (bytes - 8) / (1 + below(8));
    default:
        return below(bytes + 40);
    }
}

static uint64_t some_word(size_t bytes)
{
    switch (below(14)) {
    case 0:
    case 1:
        return length(bytes);
    case 2:
        return (uintptr_t)&vtable[below(4)];
    case 3:
        return (uintptr_t)&tables[below(4096)];
    case 4:
        return (uintptr_t)nothing + below(2);
    case 5:
        return next_random() << below(32);
    case 6:
        return pointer() & ~UINT64_C(7);
    case 7:
        return pointer();
    default:
        return 0;
    }
}

static void fill(size_t i)
{
    uint64_t *data = blocks[i].data;
    size_t bytes = blocks[i].bytes;

    for (size_t k = 0; k < bytes / 8; k++)
        data[k] = some_word(bytes);
    switch (below(6)) {
    case 0: /* the old std::string */
        data[1] = bytes - 25;
        data[0] = below(bytes - 24 + below(3));
        break;
    case 1:
        data[0] = length(bytes);
        break;
    case 2:
        for (unsigned k = 0; k < 3; k++)
            data[below(4)] = (uintptr_t)&vtable[below(3)];
        break;
    case 3:
        data[0] = data[1] = 0;
        break;
    default:
        break;
    }
}

static __attribute__((noinline)) void make(void)
{
    tables = mmap(NULL, 8 * 4200, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (tables == MAP_FAILED)
        abort();
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = 32 + below(MAX_BYTES);
        blocks[i].bytes = bytes;
        blocks[i].data = malloc(bytes);
        if (blocks[i].data == NULL)
            abort();
    }
    for (size_t i = 0; i < BLOCKS; i++)
        fill(i);
    for (size_t i = 0; i < 4200; i++)
        tables[i] = below(3)   ? 0
                    : below(3) ? (uintptr_t)nothing
                    : below(4) ? below(100)
                               : next_random();
    for (size_t i = 0; i < ROOTS; i++)
        roots[i] = pointer();
    /* Otherwise all blocks would be held. */
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i].data = NULL;
}

static __attribute__((noinline)) void scrub(void)
{
    volatile char under[65536];

    for (size_t i = 0; i < sizeof under; i++)
        under[i] = 0;
}

/* Pages of pointers; the first 7 of 8 are held. */
static __attribute__((noinline)) void make_full(size_t n)
{
    uint64_t **pages = mmap(NULL, n * sizeof *pages, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        abort();
    for (size_t i = 0; i < n; i++)
        pages[i] = malloc(4096);
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; pages[i] && k < 512; k++)
            pages[i][k] =
                (uintptr_t)pages[below(i < n / 8 * 7 ? n / 8 * 7 : n)];
    roots[0] = (uintptr_t)pages[0];
    munmap(pages, n * sizeof *pages);
}

int main(int argc, char **argv)
{
    state =
        (argc > 1 ? strtoull(argv[1], NULL, 0) : 0) * 2 + 88172645463325253u;
    if (argc > 2)
        make_full(strtoull(argv[2], NULL, 0) << 8);
    else
        make();
    scrub();
    puts("ready");
    fflush(stdout);
    pause();
    return (int)roots[0];
}
