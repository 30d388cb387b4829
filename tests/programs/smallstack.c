/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smallstack BYTES: calls the malloc family on a stack of so many bytes,
 * between two pages without access; then prints the most that it took of it.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAINT ((char)0xa5)

static ucontext_t here, there;
static void *block[200];
static void (*work)(void);

static void allocates(void)
{
    for (size_t i = 0; i < 200; i++)
        block[i] = malloc(i * 37);
}

static void frees(void)
{
    for (size_t i = 0; i < 200; i++)
        free(block[i]);
}

static void resizes(void)
{
    void *p = malloc(1 << 20), *q = NULL;
    p = realloc(p, 3 << 20);
    free(p);
    for (int i = 0; i < 20; i++)
        q = realloc(q, (size_t)1 << i);
    free(q);
}

static void aligns(void)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, 10000) != 0)
        abort();
    free(p);
    free(aligned_alloc(64, 640));
    free(calloc(10, 10000));
}

static size_t most_used(char *stack, size_t bytes)
{
    size_t untouched = 0;
    memset(stack, PAINT, bytes);
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = bytes;
    there.uc_link = &here;
    makecontext(&there, work, 0);
    swapcontext(&here, &there);
    while (untouched < bytes && stack[untouched] == PAINT)
        untouched++;
    return bytes - untouched;
}

int main(int argc, char **argv)
{
    static void (*const works[])(void) = {allocates, frees, resizes, aligns};
    size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 65536, most = 0;
    size_t room = (bytes + 4095) & ~(size_t)4095;
    char *map =
        mmap(NULL, room + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED ||
        mprotect(map + 4096, room, PROT_READ | PROT_WRITE) != 0)
        return 1;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        work = works[i];
        size_t used = most_used(map + 4096, bytes);
        most = used > most ? used : most;
    }
    printf("%zu\n", most);
    return 0;
}
