/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ownheap.c - an allocator with a function of its own, and a program that takes
 * blocks from it; see e2e/allocators.
 *
 * With -DLIBRARY -shared it is the allocator: it maps 8 MiB, and hands out the
 * start of them.  Without, it is the program.  With -DLINKED it is both; with
 * -DMALLOC too, and the allocator is the program's malloc.  With -DLESS it has
 * no calloc, which the program uses; with -DHIDDEN no other module sees the
 * program's malloc.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEBIBYTE 1048576u

void *mi_malloc(size_t bytes);

#if defined LIBRARY || defined LINKED
void *mi_malloc(size_t bytes)
{
    static char *memory;
    static size_t used;

    if (!memory)
        memory = mmap(NULL, 8 * MEBIBYTE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, 8 * MEBIBYTE, MADV_NOHUGEPAGE); /* no more than is used */
    if (used + bytes > 8 * MEBIBYTE)
        return NULL;
    used += bytes;
    return memory + used - bytes;
}
#endif

#ifdef MALLOC
#ifdef HIDDEN
#pragma GCC visibility push(hidden)
#endif
void *malloc(size_t bytes)
{
    return mi_malloc((bytes + 15) & ~(size_t)15);
}

#ifndef LESS
void *calloc(size_t n, size_t bytes)
{
    return malloc(n * bytes); /* what is mapped is zero */
}
#endif

void *realloc(void *old, size_t bytes)
{
    void *block = malloc(bytes);

    /* Blocks ascend: what is after the old one is mapped, too. */
    if (block && old)
        memmove(block, old, bytes);
    return block;
}

void free(void *block)
{
    (void)block;
}
#ifdef HIDDEN
#pragma GCC visibility pop
#endif
#endif

#ifndef LIBRARY
int main(int argc, char **argv)
{
    /* Of the program's own, and in no figure of the library's. */
    char *own = mmap(NULL, MEBIBYTE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (own == MAP_FAILED)
        return 1;
    memset(own, 1, MEBIBYTE);
    for (int i = 0; i < 3; i++) {
        char *block = mi_malloc(MEBIBYTE);
        if (!block)
            return 1;
        memset(block, 1, MEBIBYTE);
    }
#ifdef LESS
    void *volatile cleared = calloc(3, 100);
    if (!cleared)
        return 1;
#endif
#ifdef HIDDEN
    void *volatile own_block = malloc(100);
    if (!own_block)
        return 1;
    if (argc > 2)
        *(void *volatile *)argv = strdup("lost, once this is overwritten");
    *argv = NULL;
#endif
    puts("ready");
    fflush(stdout);
    (void)argv;
    if (argc == 1)
        pause();
    return 0;
}
#endif
