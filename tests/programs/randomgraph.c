/* SPDX-License-Identifier: BSD-2-Clause
 *
 * randomgraph.c - a graph of blocks by a seed: starts and insides of blocks are
 * pointed to from a table, from other blocks, or from nowhere.  With "lost",
 * threads allocate, resize and free, keep every address encoded, and say how
 * many blocks they left.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define CODE UINT64_C(0x5a5a5a5a5a5a5a5a)

enum { BLOCKS = 3000, SLOTS = 400 };

void **table; /* in a mapping: what is reachable */

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- a graph --- */

static size_t any_size(uint64_t r)
{
    static const unsigned most[] = {32, 64, 128, 256, 600, 1024, 5000, 70000};
    size_t bytes = 16 + (r >> 8) % most[r % 8];

    return r & 8 ? bytes : (bytes + 15) & ~(size_t)15;
}

NOINLINE static void graph(uint64_t seed, int cycles)
{
    size_t list = 2 * BLOCKS * sizeof(void *);
    char **blocks = mmap(NULL, list, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t *sizes = (size_t *)(blocks + BLOCKS);

    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = any_size(next(&seed));
        blocks[i] = malloc(sizes[i]);
        memset(blocks[i], 0, sizes[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        unsigned n = next(&seed) % 4;
        for (unsigned k = 0; k < n; k++) {
            uint64_t r = next(&seed);
            int to = cycles ? (int)(r % BLOCKS)
                            : i + 1 + (int)(r % (BLOCKS - i));
            char *target;
            if (to >= BLOCKS)
                continue;
            target = blocks[to];
            if (r >> 32 & 1 && (r >> 33) % 3 == 0) /* inside, or just after */
                target += 8 * (1 + (r >> 36) % (sizes[to] / 8));
            ((void **)blocks[i])[(r >> 50) % (sizes[i] / 8)] = target;
        }
    }
    for (int i = 0; i < BLOCKS / 20; i++) {
        uint64_t r = next(&seed);
        int to = (int)(r % BLOCKS);
        table[i] = blocks[to] + (r >> 40 & 3 ? 0 : 8 * ((r >> 42) % 2));
    }
    munmap(blocks, list);
}

/* --- all is lost --- */

struct slot {
    uint64_t code;
};

static uint64_t n_left;

static void *decode(const struct slot *slot)
{
    return slot->code ? (void *)(slot->code ^ CODE) : NULL;
}

static void *take(uint64_t r)
{
    static const unsigned most[] = {16, 300, 300, 3000, 40000, 300000};
    size_t bytes = (r >> 8) % most[r % 6];
    void *block;

    switch (r >> 32 & 3) {
    case 0:
        return calloc(1, bytes);
    case 1:
        return memalign(64u << (r >> 40) % 4, bytes);
    default:
        block = malloc(bytes);
        memset(block, 1, bytes);
        return block;
    }
}

NOINLINE static void lose(uint64_t seed)
{
    size_t bytes = SLOTS * sizeof(struct slot);
    struct slot *slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t left = 0;

    for (int i = 0; i < 10000; i++) {
        uint64_t r = next(&seed);
        struct slot *slot = &slots[r % SLOTS];
        void *block = decode(slot);
        if (block == NULL) {
            block = take(next(&seed));
        } else if (r >> 32 & 1) {
            free(block);
            block = NULL;
        } else {
            block = realloc(block, 1 + (r >> 33) % 5000);
        }
        slot->code = block ? (uintptr_t)block ^ CODE : 0;
    }
    for (int i = 0; i < SLOTS; i++)
        left += slots[i].code != 0;
    __atomic_fetch_add(&n_left, left, __ATOMIC_RELAXED);
}

NOINLINE static void wipe(void)
{
    volatile char bytes[65536];

    memset((void *)bytes, 0, sizeof bytes);
}

static void *thread(void *seed)
{
    lose((uint64_t)(uintptr_t)seed * 77777 + 12345);
    wipe();
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

    table = mmap(NULL, BLOCKS * sizeof *table, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (argc > 1 && strcmp(argv[1], "lost") == 0) {
        pthread_t ids[3];
        for (uintptr_t i = 0; i < 3; i++)
            pthread_create(&ids[i], NULL, thread, (void *)(seed * 10 + i));
        for (int i = 0; i < 3; i++)
            pthread_join(ids[i], NULL);
        lose(seed);
        dprintf(1, "%lu\n", (unsigned long)n_left);
    } else {
        graph(seed * UINT64_C(0x9e3779b97f4a7c15) + 1,
              argc > 1 && strcmp(argv[1], "cycles") == 0);
    }
    wipe();
    _exit(0);
}
