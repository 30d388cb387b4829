/* SPDX-License-Identifier: BSD-2-Clause
 *
 * patterns NAME [SCALE]: one way of using malloc, for tests/bench/bench.
 * SCALE is the percentage of the usual work, 100 unless given.  Nothing here
 * depends on the clock or on addresses, so every allocator does the same work.
 */
#include "tests/bench/rng.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned scale = 100;

static size_t scaled(size_t n)
{
    n = n / 100 * scale;
    return n ? n : 1;
}

static void *must(void *block)
{
    if (block == NULL) {
        perror("patterns: allocation failed");
        exit(1);
    }
    return block;
}

/* A block whose first and last bytes are written, as a user would. */
static char *get(size_t size)
{
    char *block = must(malloc(size));
    block[0] = block[size - 1] = (char)size;
    return block;
}

/* Sizes as programs ask for them: many small, few large. */
static size_t mixed(struct rng *rng, size_t least, unsigned doublings)
{
    size_t low = least << rng_below(rng, doublings);
    return low + rng_below(rng, low);
}

/* Blocks of 8 bytes to 1 KiB in a working set of 8,192, replaced at random. */
static void small(void)
{
    enum { SLOTS = 8192 };
    static char *slot[SLOTS];
    struct rng rng = rng_start(1);
    for (size_t n = scaled(6000000); n--;) {
        char **at = &slot[rng_below(&rng, SLOTS)];
        free(*at);
        *at = get(mixed(&rng, 8, 7));
    }
}

/* A thousand nodes, freed newest first, again and again. */
static void lifo(void)
{
    enum { DEPTH = 1000 };
    static char *stack[DEPTH];
    struct rng rng = rng_start(2);
    for (size_t n = scaled(12000); n--;) {
        for (unsigned i = 0; i < DEPTH; i++)
            stack[i] = get(16 + rng_below(&rng, 112));
        for (unsigned i = DEPTH; i--;)
            free(stack[i]);
    }
}

/* A queue of 20,000 messages. */
static void fifo(void)
{
    enum { LENGTH = 20000 };
    static char *queue[LENGTH];
    struct rng rng = rng_start(3);
    for (size_t n = scaled(6000000), at = 0; n--; at = (at + 1) % LENGTH) {
        free(queue[at]);
        queue[at] = get(mixed(&rng, 16, 6));
    }
}

/* Server-like: threads replace blocks of random age; each generation of
 * threads takes over the blocks of the one before it. */
enum { LARSON_THREADS = 2, LARSON_SLOTS = 20000 };
static char *larson_slots[LARSON_THREADS][LARSON_SLOTS];

static void *larson_worker(void *arg)
{
    uintptr_t round = (uintptr_t)arg;
    char **slot = larson_slots[round % LARSON_THREADS];
    struct rng rng = rng_start(round);
    for (size_t n = scaled(200000); n--;) {
        char **at = &slot[rng_below(&rng, LARSON_SLOTS)];
        free(*at);
        *at = get(10 + rng_below(&rng, 990));
    }
    return NULL;
}

static void run_threads(void *(*work)(void *), unsigned n, uintptr_t first)
{
    pthread_t thread[64];
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&thread[i], NULL, work, (void *)(first + i)) != 0) {
            fputs("patterns: cannot create a thread\n", stderr);
            exit(1);
        }
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

static void larson(void)
{
    /* An odd step, so that a thread's blocks go to the other thread. */
    for (uintptr_t round = 0; round < 10; round++)
        run_threads(larson_worker, LARSON_THREADS,
                    1 + round * (LARSON_THREADS + 1));
}

/* One thread allocates, another frees: batches go through a short queue. */
enum { BATCH = 512, BATCHES = 16 };
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned filled, head;
    char *batch[BATCHES][BATCH];
} channel = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER};

static void *cross_consumer(void *unused)
{
    (void)unused;
    for (size_t n = scaled(8000), at = 0; n--; at = (at + 1) % BATCHES) {
        pthread_mutex_lock(&channel.lock);
        while (channel.filled == 0)
            pthread_cond_wait(&channel.changed, &channel.lock);
        pthread_mutex_unlock(&channel.lock);
        for (unsigned i = 0; i < BATCH; i++)
            free(channel.batch[at][i]);
        pthread_mutex_lock(&channel.lock);
        channel.filled--;
        pthread_cond_signal(&channel.changed);
        pthread_mutex_unlock(&channel.lock);
    }
    return NULL;
}

static void cross(void)
{
    struct rng rng = rng_start(5);
    pthread_t consumer;
    if (pthread_create(&consumer, NULL, cross_consumer, NULL) != 0) {
        fputs("patterns: cannot create a thread\n", stderr);
        exit(1);
    }
    for (size_t n = scaled(8000), at = 0; n--; at = (at + 1) % BATCHES) {
        pthread_mutex_lock(&channel.lock);
        while (channel.filled == BATCHES)
            pthread_cond_wait(&channel.changed, &channel.lock);
        pthread_mutex_unlock(&channel.lock);
        for (unsigned i = 0; i < BATCH; i++)
            channel.batch[at][i] = get(mixed(&rng, 16, 5));
        pthread_mutex_lock(&channel.lock);
        channel.filled++;
        pthread_cond_signal(&channel.changed);
        pthread_mutex_unlock(&channel.lock);
    }
    pthread_join(consumer, NULL);
}

/* 64 KiB to 8 MiB, every fourth page written, 16 alive. */
static void large(void)
{
    enum { SLOTS = 16 };
    static char *slot[SLOTS];
    struct rng rng = rng_start(6);
    for (size_t n = scaled(3000); n--;) {
        char **at = &slot[rng_below(&rng, SLOTS)];
        size_t size = mixed(&rng, 65536, 7);
        free(*at);
        *at = get(size);
        for (size_t byte = 0; byte < size; byte += 4 * 4096)
            (*at)[byte] = 1;
    }
}

/* Vectors that double, and strings that grow by a few bytes. */
static void growth(void)
{
    enum { SLOTS = 256 };
    static char *vector[SLOTS];
    struct rng rng = rng_start(7);
    for (size_t n = scaled(600); n--;) {
        for (size_t size = 16; size <= 65536; size *= 2)
            for (unsigned i = 0; i < SLOTS; i++) {
                if (size > 64 && i % 16 != n % 16)
                    continue; /* most vectors stay short */
                vector[i] = must(realloc(vector[i], size));
                memset(vector[i] + size / 2, 1, size / 2);
            }
        for (unsigned i = 0; i < SLOTS; i++) {
            free(vector[i]);
            vector[i] = NULL;
        }
    }
    for (size_t n = scaled(20000); n--;) {
        char *text = NULL;
        for (size_t size = 1; size < 2000; size += 1 + rng_below(&rng, 40)) {
            text = must(realloc(text, size));
            text[size - 1] = 1;
        }
        free(text);
    }
}

/* Thousands of short threads, each with a hundred blocks. */
static void *churn_worker(void *arg)
{
    enum { SLOTS = 100 };
    char *slot[SLOTS];
    struct rng rng = rng_start((uintptr_t)arg);
    for (unsigned i = 0; i < SLOTS; i++)
        slot[i] = get(mixed(&rng, 16, 6));
    for (unsigned i = 0; i < SLOTS; i++)
        free(slot[i]);
    return NULL;
}

static void churn(void)
{
    for (uintptr_t n = scaled(1200); n--;)
        run_threads(churn_worker, 4, 1 + n * 4);
}

/* Zeroed blocks of 16 bytes to 32 KiB. */
static void zeroed(void)
{
    enum { SLOTS = 1024 };
    static char *slot[SLOTS];
    struct rng rng = rng_start(9);
    for (size_t n = scaled(1500000); n--;) {
        char **at = &slot[rng_below(&rng, SLOTS)];
        size_t size = mixed(&rng, 16, rng_below(&rng, 8) ? 6 : 11);
        free(*at);
        *at = must(calloc(1, size));
        (*at)[size / 2] = 1;
    }
}

/* Binary trees of a million nodes, built and taken down. */
struct node {
    struct node *left, *right;
    uint64_t value;
};

static struct node *tree_build(unsigned depth)
{
    struct node *node = must(malloc(sizeof *node));
    node->value = depth;
    node->left = depth ? tree_build(depth - 1) : NULL;
    node->right = depth ? tree_build(depth - 1) : NULL;
    return node;
}

static void tree_free(struct node *node)
{
    if (node) {
        tree_free(node->left);
        tree_free(node->right);
        free(node);
    }
}

static void tree(void)
{
    for (size_t n = scaled(600); n > 0; n -= n < 100 ? n : 100)
        tree_free(tree_build(19));
}

/* Alignments of 32 bytes to 4 KiB. */
static void aligned(void)
{
    enum { SLOTS = 2048 };
    static char *slot[SLOTS];
    struct rng rng = rng_start(11);
    for (size_t n = scaled(2500000); n--;) {
        char **at = &slot[rng_below(&rng, SLOTS)];
        size_t align = (size_t)32
                       << (rng_below(&rng, 16) ? rng_below(&rng, 3) : 7);
        void *block;
        free(*at);
        *at = NULL;
        if (posix_memalign(&block, align, mixed(&rng, 16, 6)) != 0)
            must(NULL);
        *at = block;
        **at = 1;
    }
}

/* Phases: much memory of one kind, most of it freed at random, then another
 * kind. The peak shows the memory that an allocator cannot use again. */
static void phases(void)
{
    enum { PHASES = 5 };
    size_t n = scaled(400000);
    char **block = must(calloc(n, sizeof *block));
    struct rng rng = rng_start(12);
    for (unsigned phase = 0; phase < 2 * PHASES; phase++) {
        size_t size = (size_t)32 << (phase % PHASES);
        for (size_t i = 0; i < n >> (phase % PHASES); i++) {
            free(block[i]);
            block[i] = get(size - rng_below(&rng, 16));
        }
        for (size_t i = 0; i < n; i++)
            if (rng_below(&rng, 10)) {
                free(block[i]);
                block[i] = NULL;
            }
    }
    for (size_t i = 0; i < n; i++)
        free(block[i]);
    free(block);
}

static const struct {
    const char *name;
    void (*run)(void);
} patterns[] = {
    {"small", small},    {"lifo", lifo},       {"fifo", fifo},
    {"larson", larson},  {"cross", cross},     {"large", large},
    {"realloc", growth}, {"threads", churn},   {"calloc", zeroed},
    {"tree", tree},      {"aligned", aligned}, {"phases", phases},
};

int main(int argc, char **argv)
{
    if (argc > 2)
        scale = (unsigned)strtoul(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (argc == 1)
            puts(patterns[i].name);
        else if (strcmp(argv[1], patterns[i].name) == 0) {
            patterns[i].run();
            return 0;
        }
    }
    if (argc > 1)
        fprintf(stderr, "patterns: no pattern %s\n", argv[1]);
    return argc > 1;
}
