/* SPDX-License-Identifier: BSD-2-Clause
 *
 * annotated.c - code annotated for LeakSanitizer:
 *
 *     annotated WORD...
 *
 * ignore: a list of 3 blocks whose head is ignored. scope: 4 blocks, large and
 * small, in a scope. nested: 2 in a scope after an inner one, 1 after it, not
 * ignored. thread: 1 by a thread, while another is in a scope, not ignored.
 * region: 1 that only a lost block, registered as a root region, holds.
 * unregistered: the same, not registered any more. reused: an ignored block
 * that is freed, and one that is lost in its place. plain: 1, not ignored.
 * recoverable, check: the checks of that name; then 5 is the status.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From <sanitizer/lsan_interface.h>; weak, as in code that is also built
 * without a sanitizer. */
#define WEAK __attribute__((weak))
WEAK void __lsan_ignore_object(const void *p);
WEAK void __lsan_disable(void);
WEAK void __lsan_enable(void);
WEAK void __lsan_register_root_region(const void *p, size_t size);
WEAK void __lsan_unregister_root_region(const void *p, size_t size);
WEAK void __lsan_do_leak_check(void);
WEAK int __lsan_do_recoverable_leak_check(void);

static void *volatile kept;

#define HIDDEN __attribute__((noinline))

HIDDEN static void *lose(size_t bytes)
{
    void *block = malloc(bytes);

    kept = block;
    return block;
}

HIDDEN static void ignore(void)
{
    void *list = NULL;

    for (int i = 0; i < 3; i++) {
        void **node = lose(24);
        *node = list;
        list = node;
    }
    __lsan_ignore_object(list);
}

HIDDEN static void scope(void)
{
    __lsan_disable();
    lose(40);
    lose(4000);
    lose(400000);
    kept = calloc(10, 10);
    __lsan_enable();
}

HIDDEN static void nested(void)
{
    __lsan_disable();
    __lsan_disable();
    lose(51);
    __lsan_enable();
    lose(52);
    __lsan_enable();
    lose(53);
}

static void *loser(void *unused)
{
    lose(60);
    kept = NULL;
    return unused;
}

HIDDEN static void thread(void)
{
    pthread_t other;

    __lsan_disable();
    pthread_create(&other, NULL, loser, NULL);
    pthread_join(other, NULL);
    __lsan_enable();
}

HIDDEN static void region(int registered)
{
    void **arena = lose(70000);

    arena[100] = lose(71);
    __lsan_register_root_region(arena, 70000);
    if (!registered)
        __lsan_unregister_root_region(arena, 70000);
}

HIDDEN static void reused(void)
{
    void *first = lose(80);

    __lsan_ignore_object((char *)first + 8);
    free(first);
    lose(80);
}

HIDDEN static void wipe(void)
{
    volatile char junk[16384];

    kept = NULL;
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = 0;
    __asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\t"
                     "xor %%edx, %%edx\n\txor %%esi, %%esi\n\t"
                     "xor %%edi, %%edi\n\txor %%r8d, %%r8d\n\t"
                     "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\t"
                     "xor %%r11d, %%r11d"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
                       "r11", "cc");
}

HIDDEN static int obey(const char *word)
{
    if (strcmp(word, "ignore") == 0)
        ignore();
    else if (strcmp(word, "scope") == 0)
        scope();
    else if (strcmp(word, "nested") == 0)
        nested();
    else if (strcmp(word, "thread") == 0)
        thread();
    else if (strcmp(word, "region") == 0)
        region(1);
    else if (strcmp(word, "unregistered") == 0)
        region(0);
    else if (strcmp(word, "reused") == 0)
        reused();
    else if (strcmp(word, "plain") == 0)
        lose(90);
    else if (strcmp(word, "recoverable") == 0)
        return __lsan_do_recoverable_leak_check() ? 5 : 0;
    else if (strcmp(word, "check") == 0)
        __lsan_do_leak_check();
    return 0;
}

int main(int argc, char **argv)
{
    int status = 0;

    if (__lsan_disable == NULL) {
        puts("no annotations");
        return 77;
    }
    for (int i = 1; i < argc; i++) {
        status |= obey(argv[i]);
        wipe();
    }
    return status;
}
