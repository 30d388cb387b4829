/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls the allocation functions on a coroutine's stack of as many bytes as the
 * argument says, which a page without access follows.  Prints how many of them
 * were used.  For tests/budget.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAINT 0x5c
#define BLOCKS 300

static ucontext_t outside, inside;
static unsigned char *stack;
static size_t stack_bytes;
static void *blocks[BLOCKS];

static void make(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(i * 29);
}

static void release(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void grow(void)
{
    char *text = NULL;
    for (size_t bytes = 1; bytes < (8u << 20); bytes *= 3)
        text = realloc(text, bytes);
    free(realloc(text, 10));
}

static void align(void)
{
    void *page = NULL;
    if (posix_memalign(&page, 4096, 12345) == 0)
        free(page);
    free(aligned_alloc(64, 640));
    free(calloc(20, 7000));
    malloc_trim(0);
}

static void (*const functions[])(void) = {make, release, grow, align};

static size_t used(void (*function)(void))
{
    size_t unused = 0;

    memset(stack, PAINT, stack_bytes);
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = stack_bytes;
    inside.uc_link = &outside;
    makecontext(&inside, function, 0);
    swapcontext(&outside, &inside);
    while (unused < stack_bytes && stack[unused] == PAINT)
        unused++;
    return stack_bytes - unused;
}

int main(int argc, char **argv)
{
    const size_t page = 4096, all = 64 * page;
    size_t most = 0;

    stack_bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : page;
    stack =
        mmap(NULL, page + all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || stack_bytes > all ||
        mprotect(stack + page, all, PROT_READ | PROT_WRITE) != 0)
        return 1;
    stack += page;

    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        size_t now = used(functions[i]);
        most = now > most ? now : most;
    }
    printf("%zu\n", most);
    return 0;
}
