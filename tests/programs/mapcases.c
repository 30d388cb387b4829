/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Known patterns of mappings: a line for each, "NAME ADDRESS BYTES RESIDENT",
 * then "ready"; it waits for a line.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul

static char *map_pages(size_t n, int flags)
{
    char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
                   MAP_ANONYMOUS | flags, -1, 0);

    if (p == MAP_FAILED)
        exit(2);
    /* No huge pages: what is touched is what is resident. */
    madvise(p, n * PAGE, MADV_NOHUGEPAGE);
    return p;
}

static void touch(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i * PAGE] = 1;
}

static void say(const char *name, const char *p, size_t n, size_t resident)
{
    printf("%s %p %zu %zu\n", name, (const void *)p, n * PAGE,
           resident * PAGE);
}

/* Each has a guard on both sides, so that the kernel merges none of them. */
static char *map_apart(size_t n)
{
    char *p = map_pages(n + 2, MAP_PRIVATE);

    mprotect(p, PAGE, PROT_NONE);
    mprotect(p + (n + 1) * PAGE, PAGE, PROT_NONE);
    return p + PAGE;
}

int main(void)
{
    char *p, *q, *kept = malloc(100000);

    memset(kept, 1, 100000);
    p = map_apart(50);
    touch(p, 40);
    say("plain", p, 50, 40);

    p = map_apart(64); /* the middle goes */
    touch(p, 64);
    munmap(p + 20 * PAGE, 30 * PAGE);
    say("below-hole", p, 20, 20);
    say("above-hole", p + 50 * PAGE, 14, 14);

    p = map_apart(32); /* a new mapping over a part of it */
    touch(p, 32);
    q = mmap(p + 8 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (q != p + 8 * PAGE)
        return 2;
    madvise(q, 16 * PAGE, MADV_NOHUGEPAGE);
    touch(q, 3);
    say("fixed", p, 32, 8 + 3 + 8);

    p = mmap(NULL, 4096 * PAGE, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    madvise(p, 4096 * PAGE, MADV_NOHUGEPAGE);
    mprotect(p + 100 * PAGE, 10 * PAGE, PROT_READ | PROT_WRITE);
    touch(p + 100 * PAGE, 10);
    mprotect(p + 100 * PAGE, 10 * PAGE, PROT_NONE);
    say("reserved", p, 4096, 10);

    p = map_apart(16); /* moved, and larger */
    touch(p, 16);
    q = map_apart(40);
    q = mremap(p, 16 * PAGE, 24 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
               q + 4 * PAGE);
    if (q == MAP_FAILED)
        return 2;
    madvise(q, 24 * PAGE, MADV_NOHUGEPAGE);
    touch(q + 16 * PAGE, 2);
    say("moved", q, 24, 18);

    p = map_apart(30); /* smaller, in place */
    touch(p, 30);
    if (mremap(p, 30 * PAGE, 12 * PAGE, 0) != p)
        return 2;
    say("shrunk", p, 12, 12);

    p = map_apart(20); /* given back, and read: pages of zeros */
    touch(p, 20);
    madvise(p, 20 * PAGE, MADV_DONTNEED);
    for (size_t i = 0; i < 5; i++)
        if (((volatile char *)p)[i * PAGE])
            return 2;
    touch(p + 10 * PAGE, 4);
    say("zeros", p, 20, 4);

    p = map_pages(9, MAP_SHARED);
    touch(p, 6);
    say("shared", p, 9, 6);

    printf("ready\n");
    fflush(stdout);
    return getchar() == EOF ? 0 : kept[0] == 0;
}
