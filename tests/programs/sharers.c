/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sharers.c - another process shares this one's memory (clone with CLONE_VM),
 * and holds the block of keep(); those of lose() are lost.
 *
 *     sharers MODE
 *
 * MODE: register (only a register of it holds the block), stack (it runs on a
 * stack in a block, which only its stack pointer leads to), nested (it is the
 * child of a process that shares the memory, too), or traced (as register, and
 * this process traces it, so that nobody else can).
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define STACK_BYTES 65536u
#define LOST 10

static volatile uintptr_t hidden; /* the complement of an address */
static volatile int up;
static void *volatile sink;

static NOINLINE uintptr_t keep(void)
{
    return ~(uintptr_t)malloc(1000);
}

static NOINLINE void lose(void)
{
    for (int i = 0; i < LOST; i++)
        sink = malloc(200);
    sink = NULL;
}

static NOINLINE void scrub(void)
{
    volatile char below[16384];

    for (size_t i = 0; i < sizeof below; i++)
        below[i] = 0;
}

/* Nothing but the register has the address from now on. */
static NOINLINE void hold_in_register(void)
{
    register uintptr_t kept __asm__("r12") = ~hidden;

    hidden = 0;
    up = 1;
    __asm__ volatile("1: mov $34, %%eax\n\t" /* pause() */
                     "syscall\n\t"
                     "jmp 1b"
                     :
                     : "r"(kept)
                     : "rax", "rcx", "r11", "memory");
}

static int hold(void *unused)
{
    (void)unused;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    hold_in_register();
    return 0;
}

static pid_t start(int (*run)(void *), int in_block)
{
    char *stack = in_block ? malloc(STACK_BYTES)
                           : mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return clone(run, stack + STACK_BYTES, CLONE_VM | SIGCHLD, NULL);
}

static int start_another(void *unused)
{
    (void)unused;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (start(hold, 0) < 0)
        return 1;
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "register";
    pid_t child;

    hidden = keep();
    lose();
    child = start(strcmp(mode, "nested") == 0 ? start_another : hold,
                  strcmp(mode, "stack") == 0);
    if (child < 0)
        return 1;
    while (!up)
        usleep(1000);
    if (strcmp(mode, "traced") == 0 &&
        ptrace(PTRACE_SEIZE, child, NULL, NULL) != 0)
        return 77;
    scrub();
    printf("ready %d\n", (int)child);
    fflush(stdout);
    getchar();
    kill(child, SIGKILL);
    return 0;
}
