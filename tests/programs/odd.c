/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs that are not as most are, for tests/e2e/odd-programs.
 *     odd segments       inner(), which outer() calls, allocates 777 bytes; then
 *                        prints "ready" and waits
 *     odd coroutines     coroutines on stacks that come and go at one address,
 *                        of different sizes, some with a word above their first
 *                        frame that only looks like a return address
 *     odd misaligned     calls the malloc family with a stack pointer that is 8
 *                        bytes off
 *     odd forked         a child that the kernel's call alone makes, without
 *                        handlers, has threads, and all allocate at once
 *     odd conversions N  N times iconv_open() and iconv_close(), which load and
 *                        unload libraries; prints the microseconds of each in
 *                        the first and in the last tenth
 */
#define _GNU_SOURCE
#include <iconv.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define KEEP(p) __asm__ volatile("" : "+r"(p) : : "memory")

NOINLINE void *inner(size_t bytes);
NOINLINE void *outer(size_t bytes);

NOINLINE void *inner(size_t bytes)
{
    void *p = malloc(bytes);
    KEEP(p);
    return p;
}

NOINLINE void *outer(size_t bytes)
{
    void *p = inner(bytes);
    KEEP(p);
    return p;
}

static int segments(void)
{
    void *p = outer(777);
    KEEP(p);
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}

/* --- coroutines --- */

static NOINLINE void *deep(int n)
{
    volatile char pad[1000];
    pad[0] = (char)n;
    void *p = n ? deep(n - 1) : malloc(100);
    pad[1] = pad[0];
    return p;
}

static NOINLINE __attribute__((used)) void never(void)
{
    volatile char large[8000];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = 1;
    _exit(77);
}

void change_stack(void **save, void *to);
__asm__(".text\n.globl change_stack\n.type change_stack, @function\n"
        "change_stack: push %rbp\npush %rbx\npush %r12\npush %r13\n"
        "push %r14\npush %r15\nmov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size change_stack, . - change_stack\n");

static ucontext_t back, here;
static void *main_stack, *other_stack;

static void first_kind(void)
{
    for (int i = 0; i < 200; i++)
        free(deep(i));
}

static void second_kind(void)
{
    for (int i = 0; i < 20; i++)
        free(deep(i));
    change_stack(&other_stack, main_stack);
}

static char *map_at(void *at, size_t bytes)
{
    char *p = mmap(at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

static int coroutines(void)
{
    const size_t large = 256 << 10, little = 64 << 10;
    void *at = (void *)0x10000000000;
    for (int round = 0; round < 3; round++) {
        char *a = map_at(at, large);
        getcontext(&here);
        here.uc_stack.ss_sp = a;
        here.uc_stack.ss_size = large;
        here.uc_link = &back;
        makecontext(&here, first_kind, 0);
        swapcontext(&back, &here);
        munmap(a, large);
        char *b = map_at(at, little);
        uint64_t *top = (uint64_t *)(b + little) - 10;
        memset(top, 0, 80);
        top[6] = (uintptr_t)second_kind;
        top[7] = (uintptr_t)never + 40;
        change_stack(&main_stack, top);
        munmap(b, little);
    }
    return puts("done"), 0;
}

/* --- a misaligned stack --- */

static NOINLINE void *call_misaligned(void *function, uintptr_t a, uintptr_t b)
{
    void *result;
    __asm__ volatile("mov %%rsp, %%rbx\nand $-16, %%rsp\nsub $8, %%rsp\n"
                     "call *%1\nmov %%rbx, %%rsp"
                     : "=a"(result)
                     : "r"(function), "D"(a), "S"(b)
                     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory",
                       "cc");
    return result;
}

static int misaligned(void)
{
    static void *p[3000];
    for (uintptr_t i = 0; i < 3000; i++)
        p[i] = call_misaligned((void *)malloc, i * 3, 0);
    for (uintptr_t i = 0; i < 3000; i++)
        p[i] = call_misaligned((void *)realloc, (uintptr_t)p[i], i * 50);
    for (uintptr_t i = 0; i < 3000; i++)
        call_misaligned((void *)free, (uintptr_t)p[i], 0);
    for (uintptr_t i = 0; i < 300; i++) {
        p[i] = call_misaligned((void *)calloc, i * 30, 10);
        p[i + 300] = call_misaligned((void *)aligned_alloc, 64, i * 64);
    }
    for (uintptr_t i = 0; i < 600; i++)
        call_misaligned((void *)free, (uintptr_t)p[i], 0);
    return puts("done"), 0;
}

/* --- a fork without handlers --- */

#define THREADS 4
#define KEPT 200

static pthread_barrier_t together;

/* Its blocks are its own: no other thread writes to them. */
static void *allocate_all_day(void *arg)
{
    unsigned char *kept[KEPT] = {NULL}, mark = (unsigned char)(uintptr_t)arg;
    pthread_barrier_wait(&together);
    for (size_t round = 0; round < 300000; round++) {
        size_t i = round * 7 % KEPT, bytes = i * 13 % 400 + 1;
        for (size_t k = 0; kept[i] && k < bytes; k++)
            if (kept[i][k] != mark)
                abort();
        free(kept[i]);
        kept[i] = memset(malloc(bytes), mark, bytes);
    }
    for (size_t i = 0; i < KEPT; i++)
        free(kept[i]);
    return NULL;
}

static int forked(void)
{
    pthread_t threads[THREADS];
    int status = 0;
    free(malloc(100));
    pid_t child = (pid_t)syscall(SYS_fork);
    if (child != 0)
        return waitpid(child, &status, 0) != child || status || puts("done") < 0;
    pthread_barrier_init(&together, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, allocate_all_day, (void *)(i + 1));
    allocate_all_day((void *)(uintptr_t)(THREADS + 1));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    _exit(0);
}

/* --- libraries that come and go --- */

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void convert(size_t i)
{
    static const char *const sets[] = {"ISO-8859-15", "UTF-16", "KOI8-R",
                                       "CP1252",      "EUC-JP", "BIG5",
                                       "ISO-2022-JP", "UTF-7",  "GBK"};
    iconv_t from = iconv_open("UTF-8", sets[i * 7 % 9]);
    iconv_t to = iconv_open(sets[i * 4 % 9], "UTF-8");
    char in[] = "hello", out[100], *p = in, *q = out;
    size_t left = 5, room = sizeof out;
    if (from == (iconv_t)-1 || to == (iconv_t)-1)
        exit(3);
    iconv(to, &p, &left, &q, &room);
    iconv_close(i % 2 ? from : to);
    iconv_close(i % 2 ? to : from);
}

static int conversions(size_t n)
{
    double start = now_us(), first = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == n / 10)
            first = now_us() - start;
        if (i == n - n / 10)
            last = now_us();
        convert(i);
    }
    last = now_us() - last;
    printf("%.0f %.0f\n", first / (double)(n / 10), last / (double)(n / 10));
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "segments") == 0)
        return segments();
    if (strcmp(what, "coroutines") == 0)
        return coroutines();
    if (strcmp(what, "misaligned") == 0)
        return misaligned();
    if (strcmp(what, "forked") == 0)
        return forked();
    if (strcmp(what, "conversions") == 0 && argc > 2)
        return conversions(strtoul(argv[2], NULL, 10));
    return 2;
}
