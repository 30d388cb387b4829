/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rootcases.cc - programs where it matters which memory is searched: stacks of
 * several kinds, addresses just after blocks, addresses that are used again.
 * Lost blocks come from lose(), kept ones from keep().
 */
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#define NOINLINE __attribute__((noinline))

static void *volatile sink;

NOINLINE static void *keep(size_t bytes)
{
    void *block = malloc(bytes);
    memset(block, 0, bytes);
    return block;
}

NOINLINE static void *lose(size_t bytes)
{
    void *block = malloc(bytes);
    memset(block, 0, bytes);
    return block;
}

NOINLINE static void wipe()
{
    volatile char bytes[65536];
    memset((void *)bytes, 0, sizeof bytes);
}

NOINLINE static void forget(size_t bytes)
{
    sink = lose(bytes);
    sink = nullptr;
}

/* --- ends of blocks --- */

static std::vector<std::vector<char>> *full;
static std::vector<std::deque<long>> *queues;
struct range {
    char *end, *start;
};
static struct range *ranges;

NOINLINE static void ends(size_t bytes)
{
    full = new std::vector<std::vector<char>>;
    queues = new std::vector<std::deque<long>>;
    ranges = (struct range *)calloc(100, sizeof *ranges);
    for (int i = 0; i < 100; i++) {
        full->emplace_back(bytes);
        forget(bytes);
        queues->emplace_back(std::deque<long>(10));
        forget(512);
        ranges[i].start = (char *)keep(bytes);
        ranges[i].end = ranges[i].start + bytes;
        forget(bytes);
    }
}

/* The same for those who use all that a block has. */
NOINLINE static void usable(size_t bytes)
{
    ranges = (struct range *)calloc(100, sizeof *ranges);
    for (int i = 0; i < 100; i++) {
        ranges[i].start = (char *)keep(bytes);
        ranges[i].end = ranges[i].start + malloc_usable_size(ranges[i].start);
        forget(bytes);
    }
}

/* Pointers in all the room that malloc_usable_size() gives. */
static void ***volatile offers;

NOINLINE static void offered(size_t bytes)
{
    offers = (void ***)keep(100 * sizeof *offers);
    for (int i = 0; i < 100; i++) {
        void **table = (void **)keep(bytes);
        table[malloc_usable_size(table) / sizeof *table - 1] = keep(48);
        offers[i] = table;
    }
}

/* --- addresses that were freed --- */

NOINLINE static void reused(size_t bytes)
{
    for (int i = 0; i < 200; i++) {
        free(keep(bytes));
        if (i % 2)
            forget(bytes);
    }
}

/* --- what blocks held before --- */

static void **volatile holders;

NOINLINE static void stale()
{
    holders = (void **)keep(100 * sizeof *holders);
    for (int i = 0; i < 100; i++) {
        void *volatile *old = (void *volatile *)keep(200);
        old[10] = lose(64);
        old[24] = lose(64); /* after what the next one asks for */
        free((void *)old);
        holders[i] = malloc(195);
    }
}

/* --- stacks of threads --- */

static pthread_barrier_t all_there;

NOINLINE static void below()
{
    void *volatile words[200];
    for (auto &word : words)
        word = lose(100);
    (void)words[199];
}

NOINLINE static void deep()
{
    volatile char space[40000];
    space[0] = space[39999] = 1;
    below();
    space[1] = 1;
}

NOINLINE static void *wait_here(void *)
{
    void *volatile held = keep(100);
    deep();
    pthread_barrier_wait(&all_there);
    for (;;)
        pause();
    return held;
}

NOINLINE static void *end_here(void *)
{
    deep();
    return nullptr;
}

NOINLINE static void threads(const char *how)
{
    const size_t bytes = 1 << 20;
    bool ended = strcmp(how, "ended") == 0,
         joinable = strcmp(how, "zombies") == 0;
    pthread_attr_t attr;
    pthread_t ids[5];
    char *own = (char *)mmap(nullptr, 5 * bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    pthread_barrier_init(&all_there, nullptr, 6);
    pthread_attr_init(&attr);
    if (strcmp(how, "unguarded") == 0 || ended)
        pthread_attr_setguardsize(&attr, 0);
    pthread_attr_setstacksize(&attr, bytes);
    for (int i = 0; i < 5; i++) {
        if (strcmp(how, "own") == 0)
            pthread_attr_setstack(&attr, own + i * bytes, bytes);
        pthread_create(&ids[i], &attr, ended || joinable ? end_here : wait_here,
                       nullptr);
    }
    if (ended)
        for (pthread_t id : ids)
            pthread_join(id, nullptr);
    else if (joinable)
        usleep(300000);
    else
        pthread_barrier_wait(&all_there);
    memset(ids, 0, sizeof ids);
}

/* --- stacks of the program's own --- */

enum { FIBERS = 4, FIBER_BYTES = 262144 };
static uintptr_t fibers[FIBERS], home;
static volatile int which;

extern "C" void change(uintptr_t *save, uintptr_t to);
__asm__(".text\n.globl change\nchange:\n"
        " push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        " mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
        " pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n ret\n");

static void ready()
{
    wipe();
    puts("ready");
    fflush(stdout);
}

NOINLINE static void fiber()
{
    int i = which;
    void *volatile mine = keep(500);
    change(&fibers[i], home);
    if (i == FIBERS - 1) {
        ready();
        for (;;)
            pause();
    }
    free(mine);
}

NOINLINE static void coroutines()
{
    char *slab =
        (char *)mmap(nullptr, FIBERS * FIBER_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < FIBERS; i++) {
        uintptr_t *top = (uintptr_t *)(slab + (i + 1) * FIBER_BYTES) - 2;
        top[0] = (uintptr_t)fiber;
        fibers[i] = (uintptr_t)(top - 6);
        which = i;
        change(&home, fibers[i]);
    }
    which = FIBERS - 1;
    change(&home, fibers[FIBERS - 1]);
}

/* --- memory that looks like a thread's record --- */

struct looks_like {
    void *table[1000];
    void *nil[8] __attribute__((aligned(64)));
};
static struct looks_like *looks;

NOINLINE static void sentinel()
{
    looks = (struct looks_like *)mmap(nullptr, sizeof *looks,
                                      PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (auto &word : looks->nil)
        word = looks->nil;
    for (int i = 0; i < 100; i++)
        looks->table[i] = keep(300);
}

/* --- addresses that are in no memory --- */

/* The addresses of two blocks are in a vector register, and nowhere else; the
 * code that follows would store it. */
NOINLINE static void vectors()
{
    static void *words[2];
    words[0] = keep(200);
    words[1] = keep(200);
    ready();
    __asm__ volatile("movdqa (%0), %%xmm8\n pxor %%xmm0, %%xmm0\n"
                     "movdqa %%xmm0, (%0)\n xor %%eax, %%eax\n"
                     "xor %%ecx, %%ecx\n xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n xor %%edi, %%edi\n"
                     "1: pause\n jmp 1b\n movdqa %%xmm8, (%0)" ::"r"(words)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "xmm0", "xmm8",
                       "memory");
}

/* They were left there, and nothing follows that stores them. */
NOINLINE static void stale_vectors()
{
    static void *words[2];
    words[0] = lose(200);
    words[1] = lose(200);
    ready();
    __asm__ volatile("movdqa (%0), %%xmm8\n pxor %%xmm0, %%xmm0\n"
                     "movdqa %%xmm0, (%0)\n xor %%eax, %%eax\n"
                     "xor %%ecx, %%ecx\n xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n xor %%edi, %%edi\n"
                     "1: pause\n jmp 1b\n .skip 256, 0x90" ::"r"(words)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "xmm0", "xmm8",
                       "memory");
}

/* A system call keeps vector registers, but nobody uses what they hold. */
NOINLINE static void idle_vectors()
{
    static void *words[2];
    words[0] = lose(200);
    words[1] = lose(200);
    ready();
    __asm__ volatile("movdqa (%0), %%xmm8\n pxor %%xmm0, %%xmm0\n"
                     "movdqa %%xmm0, (%0)\n xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n xor %%edi, %%edi\n"
                     "1: mov $34, %%eax\n syscall\n jmp 1b" ::"r"(words)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r11", "xmm0", "xmm8",
                       "memory");
}

/* Copies of memory go through vector registers. */
NOINLINE static void moving()
{
    std::vector<void *> all;
    for (int i = 0; i < 400; i++)
        all.push_back(keep(72));
    ready();
    for (;;) {
        void *last = all.back();
        all.pop_back();
        all.insert(all.begin(), last);
    }
}

NOINLINE static void queue_signals()
{
    for (int i = 0; i < 40; i++) {
        union sigval value;
        value.sival_ptr = keep(100);
        if (i % 2)
            pthread_sigqueue(pthread_self(), SIGRTMIN + 3, value);
        else
            sigqueue(getpid(), SIGRTMIN + 3, value);
    }
}

NOINLINE static void queued()
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    queue_signals();
}

/* --- variables that nobody has written to --- */

static char untouched[65536];

NOINLINE static void bare()
{
    forget(100);
    sink = untouched;
}

/* --- a first thread that has ended --- */

static void *outlive(void *)
{
    usleep(100000);
    wipe();
    exit(0);
}

NOINLINE static void leave()
{
    void *volatile words[4] = {lose(100), lose(100), lose(100), lose(100)};
    pthread_t id;
    pthread_create(&id, nullptr, outlive, nullptr);
    pthread_exit((void *)words[0] == nullptr ? (void *)1 : nullptr);
}

/* Cases without an argument. */
static const struct {
    const char *name;
    void (*function)();
} plain[] = {{"coroutines", coroutines},
             {"sentinel", sentinel},
             {"leave", leave},
             {"vectors", vectors},
             {"idle_vectors", idle_vectors},
             {"stale_vectors", stale_vectors},
             {"moving", moving},
             {"queued", queued},
             {"bare", bare}};

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t bytes = argc > 2 ? strtoul(argv[2], nullptr, 0) : 0;

    if (strcmp(what, "ends") == 0)
        ends(bytes);
    else if (strcmp(what, "offered") == 0)
        offered(bytes);
    else if (strcmp(what, "usable") == 0)
        usable(bytes);
    else if (strcmp(what, "reused") == 0)
        reused(bytes);
    else if (strcmp(what, "threads") == 0 && argc > 2)
        threads(argv[2]);
    else if (strcmp(what, "stale") == 0) {
        stale();
        wipe();
        return 0;
    }
    for (auto &one : plain)
        if (strcmp(what, one.name) == 0)
            one.function();
    ready();
    for (;;)
        pause();
}
