/* SPDX-License-Identifier: BSD-2-Clause
 *
 * idlestacks.c - blocks whose addresses are left on a stack that no thread
 * runs on any more.
 *
 *     idlestacks HOW MEMORY [exit]: HOW is one of
 *       finished   a coroutine that has returned: its blocks are not held
 *       jumped     one that was entered by setcontext() and left by longjmp():
 *                  held, but its context is still as it was made
 *       left       one that waits for its turn: held
 *       running    one that runs: held
 *       spoiled    one that has returned, and whose record is damaged: held
 *       signal     an alternate stack for signals: not held
 *       handler    one whose handler runs: held
 *       thread     the stack of a thread that was joined: not held
 *     MEMORY, where the stack lies: static, block or mapping.
 *
 * Prints "ready" and waits, or exits.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define STACK_BYTES 131072u
#define N 32

static char room[STACK_BYTES] __attribute__((aligned(4096)));
static void *memory;
static ucontext_t first, coroutine;
static jmp_buf creator, jumped;
static const char *how, *end;

NOINLINE static void *grab(void)
{
    void *block = calloc(1, 72);

    __asm__ volatile("" : : "r"(block) : "memory");
    return block;
}

NOINLINE static void leave(void)
{
    if (strcmp(end, "exit") == 0)
        exit(0);
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

/* What lies on the stack below this. */
NOINLINE static void use(void)
{
    void *volatile held[N];

    for (unsigned i = 0; i < N; i++)
        held[i] = grab();
    if (strcmp(how, "left") == 0)
        swapcontext(&coroutine, &first);
    if (strcmp(how, "jumped") == 0 && _setjmp(jumped) == 0)
        _longjmp(creator, 1);
    if (strcmp(how, "running") == 0 || strcmp(how, "handler") == 0)
        leave();
    if (held[0] == held[1])
        abort();
}

/* Its frame has a word that nothing is written to. */
static void begin(void)
{
    use();
    __asm__ volatile("" : : : "memory");
}

static void handler(int number)
{
    (void)number;
    use();
}

/* The C library's frames, as the thread ends, do not come that deep. */
static void *thread(void *argument)
{
    volatile char unused[16384];

    unused[0] = 0;
    use();
    return unused[0] ? NULL : argument;
}

NOINLINE static void run_coroutine(void)
{
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = memory;
    coroutine.uc_stack.ss_size = STACK_BYTES;
    coroutine.uc_link = &first;
    makecontext(&coroutine, begin, 0);
    if (strcmp(how, "jumped") != 0)
        swapcontext(&first, &coroutine);
    else if (_setjmp(creator) == 0)
        setcontext(&coroutine);
    if (strcmp(how, "spoiled") == 0)
        coroutine.uc_mcontext.fpregs = NULL;
}

NOINLINE static void run_signal(void)
{
    stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

NOINLINE static void run_thread(void)
{
    pthread_attr_t attributes;
    pthread_t id;

    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory, STACK_BYTES);
    if (pthread_create(&id, &attributes, thread, NULL) != 0)
        abort();
    pthread_join(id, NULL);
    pthread_attr_destroy(&attributes);
}

NOINLINE static void scrub(void)
{
    volatile char unused[16384];

    memset((void *)unused, 0, sizeof unused);
    __asm__ volatile("" : : "r"(unused) : "memory");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    how = argv[1];
    end = argc > 3 ? argv[3] : "wait";
    memory = room;
    if (strcmp(argv[2], "block") == 0)
        memory = aligned_alloc(4096, STACK_BYTES);
    else if (strcmp(argv[2], "mapping") == 0)
        memory = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (strcmp(how, "thread") == 0)
        run_thread();
    else if (strcmp(how, "signal") == 0 || strcmp(how, "handler") == 0)
        run_signal();
    else
        run_coroutine();
    scrub();
    leave();
}
