/* SPDX-License-Identifier: BSD-2-Clause
 *
 * leakgraph.c - a process with many blocks in lists, trees, hash tables and
 * cycles, for the benchmark of leaks.
 *
 *     leakgraph BLOCKS BYTES [SEED]    BYTES: of a block, on average
 *
 * A quarter of the blocks is in each shape.  One list, tree, table and cycle
 * in eight is lost.  It prints "ready BLOCKS BYTES LOST" and waits.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOTS 4096
#define OF_LIST 1000u
#define OF_TREE 4095u
#define OF_TABLE 2000u
#define OF_CYCLE 100u

struct node {
    struct node *next, *other;
};

static void *roots[ROOTS];
static unsigned n_roots, n_made;
static uint64_t state = 1, n_blocks, n_bytes, n_lost;
static size_t mean;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Sizes from a half to one and a half of the mean; the contents are not
 * pointers. */
static void *block(size_t least)
{
    size_t bytes = mean / 2 + next_random() % mean;
    char *p;

    bytes = bytes > least ? bytes : least;
    p = malloc(bytes);
    if (p == NULL)
        abort();
    memset(p, 0x11, bytes);
    n_blocks++;
    n_bytes += bytes;
    return p;
}

static struct node *node(void)
{
    struct node *n = block(sizeof *n);

    n->next = n->other = NULL;
    return n;
}

static struct node *list(unsigned n, int closed)
{
    struct node *head = node(), *last = head;

    while (--n > 0) {
        last->next = node();
        last = last->next;
    }
    last->next = closed ? head : NULL;
    return head;
}

/* Filled level by level, through a table of all nodes. */
static struct node *tree(unsigned n)
{
    static struct node *nodes[OF_TREE];

    for (unsigned i = 0; i < n; i++)
        nodes[i] = node();
    for (unsigned i = 0; i < n; i++) {
        nodes[i]->next = 2 * i + 1 < n ? nodes[2 * i + 1] : NULL;
        nodes[i]->other = 2 * i + 2 < n ? nodes[2 * i + 2] : NULL;
    }
    struct node *root = nodes[0];
    memset(nodes, 0, sizeof nodes);
    return root;
}

static void *table(unsigned n)
{
    struct node **slots = block(n / 2 * sizeof *slots);

    memset(slots, 0, n / 2 * sizeof *slots);
    for (unsigned i = 1; i < n; i++) {
        struct node *entry = node(), **slot = &slots[next_random() % (n / 2)];
        entry->next = *slot;
        *slot = entry;
    }
    return slots;
}

/* Holds all but every eighth; a root may be the head of a chain of them. */
static void hold(void *p, uint64_t before)
{
    if (n_made++ % 8 == 7) {
        n_lost += n_blocks - before;
        return;
    }
    void **link = block(2 * sizeof *link);
    link[0] = roots[n_roots];
    link[1] = p;
    roots[n_roots] = link;
    n_roots = (n_roots + 1) % ROOTS;
}

static __attribute__((noinline)) void make(uint64_t wanted)
{
    while (n_blocks < wanted) {
        uint64_t before = n_blocks;
        hold(list(OF_LIST, 0), before);
        for (unsigned i = 0; i < 10; i++) {
            before = n_blocks;
            hold(list(OF_CYCLE, 1), before);
        }
        before = n_blocks;
        hold(table(OF_TABLE), before);
        before = n_blocks;
        hold(tree(OF_TREE), before);
    }
}

static __attribute__((noinline)) void scrub(void)
{
    volatile char below[65536];

    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: leakgraph BLOCKS BYTES [SEED]\n", stderr);
        return 1;
    }
    mean = strtoull(argv[2], NULL, 0);
    mean = mean < 32 ? 32 : mean;
    state = argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 1;
    make(strtoull(argv[1], NULL, 0));
    scrub();
    printf("ready %llu %llu %llu\n", (unsigned long long)n_blocks,
           (unsigned long long)n_bytes, (unsigned long long)n_lost);
    fflush(stdout);
    pause();
    return 0;
}
