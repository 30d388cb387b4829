/* SPDX-License-Identifier: BSD-2-Clause
 *
 * otherstacks.c - threads that run on another stack than their own.  Below the
 * frames that they have left, 200 addresses of lose() are on their stack, and
 * as many on the other one; keep()'s blocks are held by frames that they come
 * back to.
 *
 *     otherstacks CASE MEMORY [thread] [exit]
 *
 * CASE: handler, nested (a handler interrupts another one), fault (the handler
 * of a call to nowhere), coroutine, two (a coroutine has switched to another
 * one), longjmp (a coroutine that was made by swapcontext(), and then entered
 * by longjmp() from a deeper frame: no context says where the thread is).
 * MEMORY, where the other stack lies: mapping, static, block, or local, in a
 * variable of the thread.
 */
#define _GNU_SOURCE
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

#define NOINLINE __attribute__((noinline))
#define STACK_BYTES 131072u
#define LOST 200
#define KEPT 10

static const char *which, *memory;
static int at_end;
static char room[2 * STACK_BYTES];
static ucontext_t first, second, third;
static jmp_buf creator, entered;
static void *volatile sink;

NOINLINE static void *keep(void)
{
    void *block = calloc(1, 72);

    __asm__ volatile("" : : "r"(block) : "memory");
    return block;
}

NOINLINE static void *lose(void)
{
    void *block = calloc(1, 104);

    __asm__ volatile("" : : "r"(block) : "memory");
    return block;
}

NOINLINE static void litter(void)
{
    void *volatile words[LOST];

    for (int i = 0; i < LOST; i++)
        words[i] = lose();
    if (words[0] == words[1])
        abort();
}

/* Leaves 200 addresses below all that its caller calls next. */
NOINLINE static void deep(void)
{
    volatile char unused[20000];

    unused[0] = unused[sizeof unused - 1] = 0;
    litter();
    unused[1] = 0;
}

static void leave(void)
{
    if (at_end)
        exit(0);
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

/* Calls a function below a frame that holds blocks. */
NOINLINE static void hold(void (*function)(void))
{
    void *volatile held[KEPT];

    for (int i = 0; i < KEPT; i++)
        held[i] = keep();
    function();
    for (int i = 0; i < KEPT; i++)
        free(held[i]);
}

static void *other_stack(void *local)
{
    if (strcmp(memory, "local") == 0)
        return local;
    if (strcmp(memory, "static") == 0)
        return room;
    if (strcmp(memory, "block") == 0)
        return malloc(2 * STACK_BYTES);
    return mmap(NULL, 2 * STACK_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* --- handlers --- */

static void raise_second(void)
{
    raise(SIGUSR2);
}

static void stay(void)
{
    deep();
    hold(leave);
}

static void handler(int number)
{
    if (number == SIGUSR1 && strcmp(which, "nested") == 0)
        hold(raise_second);
    else
        stay();
}

static void raise_first(void)
{
    raise(SIGUSR1);
}

static void call_nothing(void)
{
    void (*volatile nothing)(void) = NULL;

    nothing();
    sink = NULL;
}

NOINLINE static void run_handler(void *where)
{
    stack_t stack = {.ss_sp = where, .ss_size = STACK_BYTES};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    deep();
    hold(strcmp(which, "fault") == 0 ? call_nothing : raise_first);
}

/* --- coroutines --- */

static void make(ucontext_t *context, char *where, void (*function)(void))
{
    getcontext(context);
    context->uc_stack.ss_sp = where;
    context->uc_stack.ss_size = STACK_BYTES;
    context->uc_link = &first;
    makecontext(context, function, 0);
}

static void to_second(void)
{
    swapcontext(&first, &second);
}

static void to_third(void)
{
    swapcontext(&second, &third);
}

static void pass_on(void)
{
    deep();
    hold(to_third);
}

static void enter_later(void)
{
    if (_setjmp(entered) == 0)
        _longjmp(creator, 1);
    stay();
}

static void enter(void)
{
    if (_setjmp(creator) == 0)
        _longjmp(entered, 1);
}

/* The context that is left lies in a frame that is dead after that. */
NOINLINE static void create(void)
{
    ucontext_t here;

    if (_setjmp(creator) == 0)
        swapcontext(&here, &second);
}

/* The frames of enter() lie below, and do not write to all of create()'s. */
NOINLINE static void enter_deeper(void)
{
    volatile char unused[8192];

    unused[0] = unused[sizeof unused - 1] = 0;
    hold(enter);
    unused[1] = 0;
}

NOINLINE static void run_coroutine(char *where)
{
    if (strcmp(which, "longjmp") == 0) {
        make(&second, where, enter_later);
        create();
        enter_deeper();
    } else if (strcmp(which, "two") == 0) {
        make(&second, where, pass_on);
        make(&third, where + STACK_BYTES, stay);
        deep();
        hold(to_second);
    } else {
        make(&second, where, stay);
        deep();
        hold(to_second);
    }
}

NOINLINE static void *run(void *unused)
{
    char local[2 * STACK_BYTES];
    char *where = other_stack(local);
    int waits = strcmp(which, "handler") == 0 || strcmp(which, "nested") == 0 ||
                strcmp(which, "fault") == 0;

    sink = where; /* a block is held */
    if (waits)
        run_handler(where);
    else
        run_coroutine(where);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t id;
    int other = 0;

    if (argc < 3)
        return 2;
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    which = argv[1];
    memory = argv[2];
    for (int i = 3; i < argc; i++) {
        other |= strcmp(argv[i], "thread") == 0;
        at_end |= strcmp(argv[i], "exit") == 0;
    }
    if (!other) {
        run(NULL);
        return 0;
    }
    pthread_create(&id, NULL, run, NULL);
    pthread_join(id, NULL);
    return 0;
}
