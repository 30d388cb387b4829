/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recursion.c - two live blocks, and a recursion at random whose stacks hardly
 * ever repeat; its blocks are freed at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEEP __asm__ volatile("" ::: "memory")

static unsigned long seed = 88172645463325252ul, allocations;
static void *volatile kept[2];

static unsigned random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33);
}

static void step(unsigned depth);

#define WAY(name)                                                              \
    static __attribute__((noinline)) void name(unsigned depth)                 \
    {                                                                          \
        step(depth);                                                           \
        KEEP;                                                                  \
    }
WAY(way_a)
WAY(way_b)
WAY(way_c)
WAY(way_d)

static __attribute__((noinline)) void step(unsigned depth)
{
    static void (*const ways[])(unsigned) = {way_a, way_b, way_c, way_d};
    char *block = malloc(16 + random_number() % 100);
    block[0] = 1;
    free(block);
    allocations++;
    if (depth > 0)
        ways[random_number() & 3](depth - 1);
    KEEP;
}

static __attribute__((noinline)) void site_one(void)
{
    kept[0] = malloc(4096);
    KEEP;
}

static __attribute__((noinline)) void site_two(void)
{
    kept[1] = malloc(4000);
    KEEP;
}

/* recursion ALLOCATIONS | recursion SECONDS s */
int main(int argc, char **argv)
{
    unsigned long n = strtoul(argv[1], NULL, 10);
    time_t end = time(NULL) + (argc > 2 ? (time_t)n : 0);
    site_one();
    site_two();
    while (argc > 2 ? time(NULL) < end : allocations < n)
        step(random_number() % 40);
    char line[200];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (line[0] == 'V' && line[1] == 'm' && line[2] == 'H')
            fputs(line, stdout);
    printf("allocations: %lu\n", allocations);
    return 0;
}
