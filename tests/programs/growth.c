/* SPDX-License-Identifier: BSD-2-Clause
 *
 * growth.c - allocates by commands on standard input, from functions that the
 * tests know by name, and answers "ok":
 *
 *     left N BYTES, right N BYTES    N blocks, kept
 *     free                           all of those
 *     mark TEXT
 *     steady MS                      for MS, a block each 2 ms that is
 *                                    kept, and one that replaces the last but 7
 *     shapes                         lists and tables: see hold_shapes()
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NODES 1000
#define CHAIN 500
#define OF_THREAD 10

__attribute__((weak)) int memtrace_mark(const char *label);

struct node {
    struct node *next, *before;
    void *payload;
    char rest[40];
};

static void *kept[100000];
static size_t n_kept;
static void *ring[8];

/* Variables that hold the shapes; the tests name them. */
struct {
    struct node *head, *tail;
} queue;
void **table;
struct node *chain;

static __attribute__((noinline)) void *leaf(size_t bytes)
{
    void *p = malloc(bytes);

    memset(p, 0, bytes);
    return p;
}

static __attribute__((noinline)) void left(size_t n, size_t bytes)
{
    while (n-- > 0)
        kept[n_kept++] = leaf(bytes);
}

static __attribute__((noinline)) void right(size_t n, size_t bytes)
{
    while (n-- > 0)
        kept[n_kept++] = leaf(bytes);
}

static __attribute__((noinline)) void steadily(size_t bytes)
{
    kept[n_kept++] = leaf(bytes);
}

static __attribute__((noinline)) void replaced(unsigned i)
{
    free(ring[i % 8]);
    ring[i % 8] = leaf(200);
}

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Blocks come by the clock, as many in one part of the time as in another. */
static void run_steadily(double ms)
{
    double start = now_ms(), done = 0;
    unsigned i = 0;

    while (done < ms) {
        sleep_ms(1);
        done = now_ms() - start;
        for (; i < done / 2; i++) {
            steadily(100);
            replaced(i);
        }
    }
}

static __attribute__((noinline)) struct node *make_node(void)
{
    return leaf(sizeof(struct node));
}

static __attribute__((noinline)) void *make_payload(void)
{
    return leaf(100);
}

static __attribute__((noinline)) struct node *make_link(void)
{
    return leaf(48);
}

/* A doubly linked list that is held at both ends, and the payload of its nodes
 * that a table points to as well. */
static __attribute__((noinline)) void hold_queue(void)
{
    table = leaf(NODES * sizeof *table);
    for (int i = 0; i < NODES; i++) {
        struct node *n = make_node();
        n->before = queue.tail;
        if (queue.tail)
            queue.tail->next = n;
        else
            queue.head = n;
        queue.tail = n;
        n->payload = table[i] = make_payload();
    }
}

static __attribute__((noinline)) void hold_chain(void)
{
    for (int i = 0; i < CHAIN; i++) {
        struct node *n = make_link();
        n->next = chain;
        chain = n;
    }
}

static __attribute__((noinline)) void *wait_with_chain(void *unused)
{
    struct node *volatile mine = NULL;

    for (int i = 0; i < OF_THREAD; i++) {
        struct node *n = leaf(32);
        n->next = mine;
        mine = n;
    }
    pthread_barrier_wait(unused);
    for (;;)
        pause();
    return mine;
}

static __attribute__((noinline)) void scrub(void)
{
    volatile char below[32768];

    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
}

static void hold_shapes(void)
{
    static pthread_barrier_t barrier;
    pthread_t thread;

    pthread_barrier_init(&barrier, NULL, 2);
    hold_queue();
    hold_chain();
    pthread_create(&thread, NULL, wait_with_chain, &barrier);
    pthread_barrier_wait(&barrier);
    sleep_ms(20);
    scrub();
}

static __attribute__((noinline)) void obey(const char *line)
{
    size_t n, bytes;

    if (sscanf(line, "left %zu %zu", &n, &bytes) == 2) {
        left(n, bytes);
    } else if (sscanf(line, "right %zu %zu", &n, &bytes) == 2) {
        right(n, bytes);
    } else if (strcmp(line, "free\n") == 0) {
        while (n_kept > 0)
            free(kept[--n_kept]);
    } else if (strncmp(line, "mark ", 5) == 0) {
        char label[64];
        snprintf(label, sizeof label, "%.*s", (int)strlen(line) - 6, line + 5);
        if (memtrace_mark)
            memtrace_mark(label);
    } else if (sscanf(line, "steady %zu", &n) == 1) {
        run_steadily((double)n);
    } else if (strcmp(line, "shapes\n") == 0) {
        hold_shapes();
    }
}

int main(void)
{
    char line[256];

    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        obey(line);
        puts("ok");
        fflush(stdout);
    }
    return 0;
}
