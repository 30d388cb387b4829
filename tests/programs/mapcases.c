/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Known patterns of mappings: for each call that mapped something a line "NAME
 * LINE RESIDENT SIZE", in bytes, then "ready"; it waits for a line.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define PAGE 4096ul

static int line; /* of the last call */
#define AT(call) (line = __LINE__, call)

static __attribute__((noinline)) char *map_pages(size_t n, int flags)
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

static void say(const char *name, int of, size_t resident, size_t pages)
{
    printf("%s %d %zu %zu\n", name, of, resident * PAGE, pages * PAGE);
}

static void need(const void *got, const void *wanted)
{
    if (got != wanted)
        exit(2);
}


#define PART static inline __attribute__((always_inline))

PART void parts(void)
{
    char *p, *q;

    p = AT(map_pages(50, MAP_PRIVATE));
    touch(p, 40);
    say("plain", line, 40, 50);

    p = AT(map_pages(64, MAP_PRIVATE)); /* the middle goes, then an end */
    touch(p, 64);
    munmap(p + 20 * PAGE, 30 * PAGE);
    munmap(p + 60 * PAGE, 4 * PAGE - 100);
    say("holes", line, 30, 30);

    p = AT(map_pages(32, MAP_PRIVATE)); /* a new mapping over a part of it */
    touch(p, 32);
    say("below", line, 16, 16);
    q = AT(mmap(p + 8 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    need(q, p + 8 * PAGE);
    madvise(q, 16 * PAGE, MADV_NOHUGEPAGE);
    touch(q, 3);
    say("fixed", line, 3, 16);

    p = AT(mmap(NULL, 4096 * PAGE, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    madvise(p, 4096 * PAGE, MADV_NOHUGEPAGE);
    mprotect(p + 100 * PAGE, 10 * PAGE, PROT_READ | PROT_WRITE);
    touch(p + 100 * PAGE, 10);
    mprotect(p + 100 * PAGE, 10 * PAGE, PROT_NONE);
    say("reserved", line, 10, 4096);

}

PART void moves(void)
{
    char *p, *q;

    p = AT(map_pages(16, MAP_PRIVATE)); /* moved over another, and larger */
    touch(p, 16);
    say("moved", line, 16, 16);
    q = AT(map_pages(40, MAP_PRIVATE));
    touch(q, 40);
    say("under", line, 16, 16);
    q = AT(mremap(p, 16 * PAGE, 24 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                  q + 4 * PAGE));
    if (q == MAP_FAILED)
        exit(2);
    madvise(q, 24 * PAGE, MADV_NOHUGEPAGE);
    touch(q + 16 * PAGE, 2);
    say("grown", line, 2, 8);

    p = AT(map_pages(30, MAP_PRIVATE)); /* smaller, in place */
    touch(p, 30);
    need(mremap(p, 30 * PAGE, 12 * PAGE, 0), p);
    say("shrunk", line, 12, 12);

}

PART void others(void)
{
    char *p, *q;
    int first;

    p = AT(map_pages(20, MAP_PRIVATE)); /* given back, and read: zeros */
    touch(p, 20);
    madvise(p, 20 * PAGE, MADV_DONTNEED);
    for (size_t i = 0; i < 5; i++)
        if (((volatile char *)p)[i * PAGE])
            exit(2);
    touch(p + 10 * PAGE, 4);
    say("zeros", line, 4, 20);

    p = AT(map_pages(10, MAP_PRIVATE)); /* a file over its middle */
    touch(p, 10);
    first = line;
    FILE *file = tmpfile();
    if (!file || ftruncate(fileno(file), 4 * PAGE) != 0)
        exit(2);
    q = mmap(p + 3 * PAGE, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED,
             fileno(file), 0);
    need(q, p + 3 * PAGE);
    say("file", first, 6, 6);

    p = AT(map_pages(9, MAP_SHARED));
    touch(p, 6);
    say("shared", line, 6, 9);

    int id = shmget(IPC_PRIVATE, 5 * PAGE, IPC_CREAT | 0600);
    p = AT(shmat(id, NULL, 0));
    q = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    if (p == (char *)-1 || q == (char *)-1 || shmdt(q) != 0)
        exit(2);
    touch(p, 2);
    say("segment", line, 2, 5);

    /* The break may begin inside of a page that it has already. */
    p = sbrk(0);
    brk((char *)(((unsigned long)p + PAGE - 1) & ~(PAGE - 1)));
    p = AT(sbrk(10 * PAGE));
    touch(p, 7);
    need(sbrk(-2 * (long)PAGE), p + 10 * PAGE);
    say("break", line, 7, 8);

}

int main(void)
{
    char *kept = malloc(100000);

    memset(kept, 1, 100000);
    parts();
    moves();
    others();
    printf("ready\n");
    fflush(stdout);
    return getchar() == EOF ? 0 : kept[0] == 0;
}
