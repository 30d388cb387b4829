/* SPDX-License-Identifier: BSD-2-Clause
 *
 * boxload.c - a load with a ledger, for black boxes: `boxload THREADS FORKS
 * [raw]`.  Each thread allocates and frees blocks of its own at random, and
 * writes how many it has into a file that it shares (LEDGER in the environment),
 * one word for each thread, before each allocation and after each free.  The
 * main thread forks FORKS times; children do the same for a while and end with
 * 0, and 9 if their heap is not whole.  `raw`: their fork is a system call that
 * no handler sees; every other one allocates, and is to end by SIGSEGV.  Without FORKS it runs until it is
 * ended.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 64
#define SLOTS 4096

extern int memtrace_heap_check(void *) __attribute__((weak));

static volatile uint64_t *ledger;
static volatile int stop;

struct state {
    unsigned random, id;
    unsigned char *blocks[SLOTS];
    uint32_t sizes[SLOTS];
};

static __attribute__((noinline)) void *ledger_block(size_t bytes)
{
    return malloc(bytes);
}

/* One block more, or one fewer, whose bytes say whose it is. */
static void step(struct state *s, volatile uint64_t *count)
{
    s->random = s->random * 1103515245u + 12345u;
    unsigned i = (s->random >> 8) % SLOTS;
    uint32_t bytes = 16 + (s->random >> 20) % 500;
    if (s->blocks[i]) {
        unsigned char *b = s->blocks[i];
        if (b[0] != (unsigned char)i || b[s->sizes[i] - 1] != (unsigned char)i)
            _exit(9);
        free(b);
        s->blocks[i] = NULL;
        --*count;
        return;
    }
    ++*count;
    s->blocks[i] = ledger_block(bytes);
    s->sizes[i] = bytes;
    memset(s->blocks[i], (int)i, bytes);
}

static void *work(void *arg)
{
    struct state *s = arg;
    while (!stop)
        step(s, &ledger[s->id]);
    return NULL;
}

static void child(struct state *states, unsigned n)
{
    uint64_t own[MOST] = {0};
    for (unsigned k = 0; k < 3000; k++)
        step(&states[k % (n ? n : 1)], &own[k % MOST]);
    if (memtrace_heap_check && memtrace_heap_check(NULL) != 0)
        _exit(9);
    _exit(0);
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    unsigned forks = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    int raw = argc > 3 && strcmp(argv[3], "raw") == 0, bad = 0;
    pthread_t threads[MOST];
    const char *path = getenv("LEDGER");
    int file = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;

    if (n >= MOST || file < 0 || ftruncate(file, 4096) != 0)
        return 2;
    ledger = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    struct state *states = mmap(NULL, sizeof *states * (n + 1),
                                PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct state *childs = mmap(NULL, sizeof *states, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i <= n; i++)
        states[i] = (struct state){.random = i * 7919 + 1, .id = i};
    for (unsigned i = 1; i <= n; i++)
        pthread_create(&threads[i], NULL, work, &states[i]);
    for (unsigned i = 0; forks == 0 || i < forks; i++) {
        for (unsigned k = 0; k < 2000; k++)
            step(&states[0], &ledger[0]);
        if (forks == 0)
            continue;
        int status;
        pid_t pid = raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
        if (pid == 0 && raw) {
            if (i % 2)
                free(ledger_block(100));
            syscall(SYS_exit_group, 0);
        }
        if (pid == 0) {
            childs[0] = states[0];
            child(childs, 1);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid ||
            (raw && i % 2 ? WTERMSIG(status) != SIGSEGV : status != 0))
            bad++;
    }
    stop = 1;
    for (unsigned i = 1; i <= n; i++)
        pthread_join(threads[i], NULL);
    if (memtrace_heap_check && memtrace_heap_check(NULL) != 0)
        return 9;
    printf("%d bad children\n", bad);
    fflush(stdout);
    raise(SIGKILL);
    return bad;
}
