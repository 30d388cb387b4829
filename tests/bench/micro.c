/* SPDX-License-Identifier: BSD-2-Clause
 *
 * micro DEPTH STACKS THREADS MILLISECONDS [random]: the cost of a pair of
 * malloc and free, called from STACKS call stacks of DEPTH frames (and a few of
 * a thread's start below them).
 *
 * The stacks form a tree, as those of programs do: they share their outermost
 * frames and part further in.  They are visited in a scattered order, the same
 * one over and over, or with `random` in none.  Every
 * other chunk of visits makes the same calls without the pair; the medians of
 * the two kinds of chunk, subtracted, are the pair.  Prints nanoseconds:
 *     cpu_pair cpu_visit wall_pair pairs
 * cpu by the threads' own clocks, the mean of the threads; cpu_visit is what
 * was subtracted.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_DEPTH = 128,
    SITES = 4, /* call sites of a function; see WALK */
    FUNCTIONS = 16,
    CHOICES = SITES * FUNCTIONS,
    CHUNK = 2048,
    MAX_CHUNKS = 4096,
    MAX_THREADS = 16,
};

struct walk {
    unsigned depth; /* walking functions on the stack; the leaf is one more */
    int pair;       /* allocate at the leaf? */
    uint32_t size;
    uint8_t path[MAX_DEPTH]; /* per level: function and call site */
};

typedef uintptr_t walker(struct walk *, unsigned level);
static walker *const walkers[FUNCTIONS];

static uintptr_t __attribute__((noinline)) leaf(struct walk *w)
{
    uintptr_t sum = w->size;
    if (w->pair) {
        char *block = malloc(w->size);
        if (block == NULL)
            abort();
        *(volatile char *)block = 1;
        sum += (uintptr_t)block;
        free(block);
    }
    __asm__ volatile("" : "+r"(sum)); /* no tail call, nothing left out */
    return sum;
}

static uintptr_t step(struct walk *w, unsigned level);
static inline __attribute__((always_inline)) uintptr_t step(struct walk *w,
                                                            unsigned level)
{
    uintptr_t sum = level == w->depth
                        ? leaf(w)
                        : walkers[w->path[level] / SITES](w, level + 1);
    __asm__ volatile("" : "+r"(sum));
    return sum;
}

/* A function with frames of its own size and four places to call from; each
 * adds another number, so that the compiler cannot make one of them. */
#define SITE(n)                                                                \
    case n:                                                                    \
        sum = step(w, level);                                                  \
        __asm__ volatile("nop # site " #n : "+r"(sum));                        \
        return sum + pad[0] + n;
#define WALK(n)                                                                \
    static uintptr_t __attribute__((noinline))                                 \
    walk_##n(struct walk *w, unsigned level)                                   \
    {                                                                          \
        uintptr_t sum;                                                         \
        volatile char pad[8 + 24 * (n % 7)];                                   \
        pad[0] = n;                                                            \
        switch (w->path[level - 1] % SITES) {                                  \
            SITE(0)                                                            \
            SITE(1)                                                            \
            SITE(2)                                                            \
        default:                                                               \
            SITE(3)                                                            \
        }                                                                      \
    }
#define EIGHT(X, a, b, c, d, e, f, g, h) X(a) X(b) X(c) X(d) X(e) X(f) X(g) X(h)
#define EACH(X)                                                                \
    EIGHT(X, 0, 1, 2, 3, 4, 5, 6, 7) EIGHT(X, 8, 9, 10, 11, 12, 13, 14, 15)
EACH(WALK)
#define NAME(n) walk_##n,
static walker *const walkers[FUNCTIONS] = {EACH(NAME)};

/* share[level]: how many stacks there are by that level, as a fraction of
 * all, times 2^32. */
struct plan {
    unsigned depth, milliseconds;
    uint32_t stacks, stride;
    int random;
    uint64_t share[MAX_DEPTH];
};
static struct plan plan;

static void visit(struct walk *w, uint32_t stack)
{
    for (unsigned level = 0; level < w->depth; level++) {
        uint32_t branch = (uint32_t)((stack * plan.share[level]) >> 32);
        w->path[level] = (uint8_t)((branch + 7 * level) % CHOICES);
    }
    w->size = 16 + 16 * (stack % 7);
    walkers[w->path[0] / SITES](w, 1);
}

static double now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *value, size_t n)
{
    qsort(value, n, sizeof *value, by_value);
    return value[n / 2];
}

struct worker {
    pthread_t thread;
    double cpu_pair, cpu_visit, wall_pair;
    size_t chunks;
    struct walk walk;
    uint64_t at; /* the stack visited last, or the state of a generator */
    double cpu[2][MAX_CHUNKS], wall[2][MAX_CHUNKS]; /* [pair?] */
};

static inline uint32_t next_stack(struct worker *me, int random)
{
    if (random) {
        me->at ^= me->at << 13;
        me->at ^= me->at >> 7;
        me->at ^= me->at << 17;
        return (uint32_t)((me->at >> 32) * plan.stacks >> 32);
    }
    me->at += plan.stride;
    if (me->at >= plan.stacks)
        me->at -= plan.stacks;
    return (uint32_t)me->at;
}

static void __attribute__((noinline))
run_chunk(struct worker *me, int pair, uint32_t visits, int random)
{
    me->walk.pair = pair;
    for (uint32_t n = visits; n--;)
        visit(&me->walk, next_stack(me, random));
}

/* The first turn visits every stack, so that none is new later; then turns
 * without and with the pair.  One call for all: its address is on the stack. */
static void *work(void *arg)
{
    struct worker *me = arg;
    double end = 0;
    uint64_t start = plan.random ? 88172645463325252u : 0;
    volatile size_t turn; /* else a compiler may make two loops of this */
    for (turn = 0; me->chunks < MAX_CHUNKS; turn++) {
        int pair = turn % 2 == 0;
        double cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
        double wall = now_ns(CLOCK_MONOTONIC);
        me->at = turn ? start : 0;
        run_chunk(me, pair, turn ? CHUNK : plan.stacks, turn && plan.random);
        if (turn == 0) {
            end = now_ns(CLOCK_MONOTONIC) + plan.milliseconds * 1e6;
            continue;
        }
        me->wall[pair][me->chunks] = now_ns(CLOCK_MONOTONIC) - wall;
        me->cpu[pair][me->chunks] = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
        if (!pair)
            continue;
        start = me->at; /* both turns of a chunk visit the same stacks */
        if (++me->chunks >= 3 && now_ns(CLOCK_MONOTONIC) > end)
            break;
    }
    me->cpu_visit = median(me->cpu[0], me->chunks) / CHUNK;
    me->cpu_pair = median(me->cpu[1], me->chunks) / CHUNK - me->cpu_visit;
    me->wall_pair =
        (median(me->wall[1], me->chunks) - median(me->wall[0], me->chunks)) /
        CHUNK;
    return NULL;
}

/* n^(part/whole), without libm; enough digits for the shape of a tree. */
static double root_power(double n, unsigned part, unsigned whole)
{
    double low = 1, high = n, wanted = 1;
    for (unsigned i = 0; i < 60; i++) {
        double middle = (low + high) / 2, power = 1;
        for (unsigned k = 0; k < whole && power <= n; k++)
            power *= middle;
        if (power < n)
            low = middle;
        else
            high = middle;
    }
    for (unsigned i = 0; i < part; i++)
        wanted *= high;
    return wanted;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    return b ? gcd(b, a % b) : a;
}

static int make_plan(char **argv)
{
    plan.depth = (unsigned)atoi(argv[1]);
    plan.stacks = (uint32_t)atoi(argv[2]);
    plan.milliseconds = (unsigned)atoi(argv[4]);
    plan.random = argv[5] != NULL && strcmp(argv[5], "random") == 0;
    if (plan.depth < 2 || plan.depth > MAX_DEPTH || plan.stacks < 1)
        return 0;
    unsigned levels = plan.depth - 1;
    double most = 1;
    for (unsigned level = 0; level < levels; level++) {
        double here = root_power(plan.stacks, level + 1, levels);
        most *= CHOICES;
        if (here > plan.stacks || level + 1 == levels)
            here = plan.stacks;
        plan.share[level] = (uint64_t)(here / plan.stacks * 4294967296.0);
    }
    plan.stride = plan.stacks / 5 * 3 + 1;
    while (gcd(plan.stride, plan.stacks) != 1)
        plan.stride++;
    plan.stride %= plan.stacks;
    return most >= plan.stacks;
}

int main(int argc, char **argv)
{
    static struct worker workers[MAX_THREADS];
    int threads = argc == 5 || argc == 6 ? atoi(argv[3]) : 0;
    if (threads < 1 || threads > MAX_THREADS || !make_plan(argv)) {
        fputs("usage: micro DEPTH STACKS THREADS MILLISECONDS [random]\n",
              stderr);
        return 2;
    }
    for (int i = 0; i < threads; i++) {
        workers[i].walk.depth = plan.depth - 1;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return 1;
    }
    double cpu_pair = 0, cpu_visit = 0, wall_pair = 0;
    size_t pairs = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        cpu_pair += workers[i].cpu_pair / threads;
        cpu_visit += workers[i].cpu_visit / threads;
        wall_pair += workers[i].wall_pair / threads;
        pairs += workers[i].chunks * CHUNK + plan.stacks;
    }
    printf("%.2f %.2f %.2f %zu\n", cpu_pair, cpu_visit, wall_pair, pairs);
    return 0;
}
