/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nowhere.c - blocks whose addresses are in no memory of the process: in a
 * vector register, or with the kernel.  They come from keep(); see e2e/nowhere.
 *
 *     nowhere CASE
 *
 * Prints its process id and "ready", and waits.  With a pipe and a socket, it
 * prints "whole" after a line of input if all is still there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define NOT_HERE 77

/* Two addresses, in the place of the register that a case uses. */
static void *words[8] __attribute__((aligned(64)));

NOINLINE static void *keep_bytes(size_t bytes)
{
    char *block = malloc(bytes);
    memset(block, 0, bytes);
    return block;
}

NOINLINE static void *keep(void)
{
    return keep_bytes(200);
}

NOINLINE static void ready(void)
{
    volatile char wiped[65536];
    memset((char *)wiped, 0, sizeof wiped);
    printf("%d\nready\n", getpid());
    fflush(stdout);
}

/* Memory has them no longer, nor do other registers. */
#define SPIN(load, store)                                                      \
    __asm__ volatile(load "\n pxor %%xmm0, %%xmm0\n"                           \
                          "movdqa %%xmm0, (%0)\n movdqa %%xmm0, 16(%0)\n"      \
                          "movdqa %%xmm0, 32(%0)\n movdqa %%xmm0, 48(%0)\n"    \
                          "xor %%eax, %%eax\n xor %%ecx, %%ecx\n"              \
                          "xor %%edx, %%edx\n xor %%esi, %%esi\n"              \
                          "xor %%edi, %%edi\n 1: pause\n jmp 1b\n" store       \
                     :                                                         \
                     : "r"(words)                                              \
                     : "rax", "rcx", "rdx", "rsi", "rdi", "xmm0", "xmm8",      \
                       "memory")

NOINLINE static void in_xmm(void)
{
    words[0] = keep();
    words[1] = keep();
    ready();
    SPIN("movdqa (%0), %%xmm8", "movdqa %%xmm8, (%0)");
}

NOINLINE static void in_ymm(void)
{
    if (!__builtin_cpu_supports("avx"))
        exit(NOT_HERE);
    words[2] = keep();
    words[3] = keep();
    ready();
    SPIN("vmovdqa (%0), %%ymm8", "vmovdqa %%ymm8, (%0)");
}

NOINLINE static void in_zmm(void)
{
    if (!__builtin_cpu_supports("avx512f"))
        exit(NOT_HERE);
    words[6] = keep();
    words[7] = keep();
    ready();
    SPIN("vmovdqa64 (%0), %%zmm20", "vmovdqa64 %%zmm20, (%0)");
}

NOINLINE static void queued(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = keep()});
    pthread_sigqueue(pthread_self(), SIGRTMIN + 3,
                     (union sigval){.sival_ptr = keep()});
}

NOINLINE static void polled(void)
{
    int poll = epoll_create1(0);

    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {EPOLLIN, {keep()}};
        epoll_ctl(poll, EPOLL_CTL_ADD, eventfd(0, 0), &event);
    }
}

NOINLINE static void timed(void)
{
    for (int i = 0; i < 2; i++) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                                 .sigev_signo = SIGUSR1,
                                 .sigev_value = {.sival_ptr = keep()}};
        const struct itimerspec later = {{0, 0}, {3600, 0}};
        timer_t timer;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
            timer_settime(timer, 0, &later, NULL);
    }
}

/* --- descriptors --- */

struct message {
    char kind;
    void *block;
} __attribute__((packed));

static int ends[4]; /* of a pipe and of a pair of sockets */

NOINLINE static void send_block(int end)
{
    struct message message = {'b', keep()};

    if (write(end, &message, sizeof message) != sizeof message)
        exit(1);
    memset(&message, 0, sizeof message);
    __asm__ volatile("" : : "r"(&message) : "memory");
}

NOINLINE static void receive_block(int end)
{
    struct message message = {0, NULL};

    if (read(end, &message, sizeof message) != sizeof message ||
        message.kind != 'b')
        exit(1);
    free(message.block);
}

NOINLINE static void passed(void)
{
    if (pipe(ends) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends + 2) != 0)
        exit(1);
    send_block(ends[1]);
    send_block(ends[3]);
    ready();
    if (getchar() == EOF)
        exit(1);
    receive_block(ends[0]);
    receive_block(ends[2]);
    puts("whole");
    fflush(stdout);
}

static volatile int has_own;

static void *own_descriptors(void *unused)
{
    if (unshare(CLONE_FILES) != 0)
        exit(NOT_HERE);
    polled();
    has_own = 1;
    for (;;)
        pause();
    return unused;
}

/* A thread has an epoll that the others do not have. */
NOINLINE static void polled_apart(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, own_descriptors, NULL);
    while (!has_own)
        usleep(1000);
}

NOINLINE static void notified(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1,
                             .sigev_value = {.sival_ptr = keep()}};
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};
    char name[64];
    mqd_t queue;

    snprintf(name, sizeof name, "/memtrace-%d", getpid());
    queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
    mq_unlink(name);
    if (queue == (mqd_t)-1 || mq_notify(queue, &event) != 0)
        exit(NOT_HERE);
    memset(&event, 0, sizeof event);
    __asm__ volatile("" : : "r"(&event) : "memory");
}

/* Alternate stacks of two threads; one of them is in use no more. */
NOINLINE static void set_stack(int flags)
{
    stack_t stack = {
        .ss_sp = keep_bytes(32768), .ss_size = 32768, .ss_flags = 0};

    if (sigaltstack(&stack, NULL) != 0)
        exit(1);
    stack.ss_flags = flags;
    if (flags && sigaltstack(&stack, NULL) != 0)
        exit(1);
    memset(&stack, 0, sizeof stack);
    __asm__ volatile("" : : "r"(&stack) : "memory");
}

static void *stack_of_thread(void *unused)
{
    set_stack(0);
    has_own = 1;
    for (;;)
        pause();
    return unused;
}

NOINLINE static void stacked(void)
{
    pthread_t thread;

    set_stack(SS_DISABLE);
    set_stack(0);
    pthread_create(&thread, NULL, stack_of_thread, NULL);
    while (!has_own)
        usleep(1000);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } cases[] = {{"xmm", in_xmm},        {"ymm", in_ymm},
                 {"zmm", in_zmm},        {"queued", queued},
                 {"epoll_ctl", polled},  {"timer_create", timed},
                 {"passed", passed},     {"polled_apart", polled_apart},
                 {"notified", notified}, {"stacked", stacked}};

    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0)
            cases[i].function();
#ifdef LOSE
    *(void *volatile *)words = keep();
    words[0] = NULL;
#endif
    ready();
    for (;;)
        pause();
}
