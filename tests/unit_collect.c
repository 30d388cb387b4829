/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_collect.c - the bound of the stack table: what is given back, and that
 * no block is ever shown another's stack.
 *
 * Every block holds what a recursion of its own knows of its callers: a hash of
 * the return addresses of the functions below. It is compared with the frames
 * that the trace has of the block, of which inner ones may be missing if the
 * stack is flagged so.
 */
#include "heap/alloc.h"
#include "heap/capture/capture_fast.h"
#include "heap/capture/frame_tree.h"
#include "heap/capture/unwind.h"
#include "heap/memtrace.h"
#include "tests/regs.h"
#include "tests/stack_is.h"
#include "tests/unit.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

TEST_REGS_DEFINE

#define LIMIT (UINT64_C(256) << 10)
#define DEPTH 40
#define KEPT 64
#define MAGIC UINT64_C(0x6b656570)

/* The way to an allocation: return addresses, outermost first. */
struct way {
    uint64_t magic, n, pcs[DEPTH];
};

struct walker {
    uint64_t seed;
    struct way way;
    void *kept[KEPT];
    uint64_t allocations;
};

static uint64_t checked, coarse, wrong;

static uint64_t walker_random(struct walker *w)
{
    w->seed ^= w->seed << 13, w->seed ^= w->seed >> 7, w->seed ^= w->seed << 17;
    return w->seed;
}

/* What the block holds is no longer true when it is allocated again. */
static void way_free(void *p)
{
    struct way *block = p;
    if (block)
        __atomic_store_n(&block->magic, 0, __ATOMIC_SEQ_CST);
    memtrace_free(block);
}

static void walk_on(struct walker *w, unsigned depth);

#define STEP(name)                                                             \
    static __attribute__((noinline)) void name(struct walker *w,               \
                                               unsigned depth)                 \
    {                                                                          \
        w->way.pcs[w->way.n++] =                                               \
            (uint64_t)(uintptr_t)__builtin_return_address(0);                  \
        walk_on(w, depth);                                                     \
        w->way.n--;                                                            \
        __asm__ volatile("" ::: "memory");                                     \
    }
STEP(step_a)
STEP(step_b)
STEP(step_c)

/* Allocates at every step; most blocks are freed at once, some are kept. */
static __attribute__((noinline)) void walk_on(struct walker *w, unsigned depth)
{
    static void (*const steps[])(struct walker *, unsigned) = {step_a, step_b,
                                                               step_c};
    struct way *block = memtrace_alloc(NULL, sizeof *block);
    uint64_t r = walker_random(w);
    *block = w->way;
    __atomic_store_n(&block->magic, MAGIC, __ATOMIC_RELEASE);
    w->allocations++;
    if (r % 50 == 0) {
        void **kept = &w->kept[r / 50 % KEPT];
        way_free(*kept);
        *kept = block;
    } else {
        way_free(block);
    }
    if (depth > 0)
        steps[r / 4096 % 3](w, depth - 1);
    __asm__ volatile("" ::: "memory");
}

static void walk(struct walker *w, uint64_t allocations)
{
    uint64_t until = w->allocations + allocations;
    w->way.n = 0;
    while (w->allocations < until)
        step_a(w, (unsigned)(walker_random(w) >> 20) % (DEPTH - 1));
}

static void walker_clear(struct walker *w)
{
    for (unsigned i = 0; i < KEPT; i++)
        way_free(w->kept[i]);
    memset(w->kept, 0, sizeof w->kept);
}

/* The return addresses of the way alternate with those into walk_on(): each is
 * a frame of the stack, in order, from the outermost that are known. */
static bool block_is_right(const struct way *way,
                           const struct memtrace_block *b, bool is_coarse)
{
    unsigned at = b->depth;
    uint64_t found = 0;
    while (found < way->n && at > 0)
        if (b->stack[--at] == way->pcs[found])
            found++;
    return is_coarse || found == way->n;
}

static int check_block(const struct memtrace_block *b, void *arg)
{
    const struct way *way = b->address;
    bool is_coarse = false;
    (void)arg;
    if (b->requested != sizeof *way || way->magic != MAGIC)
        return 0;
    const mt_span *span = mt_span_of((uintptr_t)b->address);
    uint64_t tag = mt_tags(span)[mt_block_index(span, (uintptr_t)b->address)];
    if (MT_TAG_STACK(tag) >= MT_STACK_FIRST)
        is_coarse =
            mt_stacks_record(MT_TAG_STACK(tag))->flags & MT_STACK_COARSE;
    else
        wrong++;
    checked++;
    coarse += is_coarse;
    wrong += !block_is_right(way, b, is_coarse);
    return 0;
}

static void check_all(void)
{
    checked = coarse = wrong = 0;
    memtrace_heap_walk(NULL, check_block, NULL);
    CU_ASSERT(checked > 0);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(memtrace_root->stacks_bytes <= memtrace_root->stacks_limit);
    CU_ASSERT_EQUAL(memtrace_root->overflow_allocs, 0);
}

static void begin(uint64_t limit)
{
    memtrace_root->stacks_limit = limit;
    memtrace_root->depth = 200;
}

/* Far more stacks than there is room for, few of which are needed. */
static void recursion(void)
{
    struct walker w = {.seed = 88172645463325252};
    begin(LIMIT);
    uint64_t dropped = memtrace_root->dropped_stacks;
    for (int i = 0; i < 20; i++) {
        walk(&w, 20000);
        check_all();
    }
    CU_ASSERT(memtrace_root->dropped_stacks > dropped + 100000);
    CU_ASSERT(checked >= KEPT);
    CU_ASSERT(coarse <= checked / 2);
    walker_clear(&w);
}

/* Allocations are counted, on stacks or as those of stacks that are gone. */
static void counts(void)
{
    struct walker w = {.seed = 12345};
    uint64_t sums[2], before = 0;
    begin(LIMIT);
    for (int i = 0; i < 2; i++) {
        mt_capture_merge_counts(mt_tls->capture);
        sums[i] = memtrace_root->dropped_allocs;
        uint64_t n = memtrace_root->sections[MT_SECTION_STACKS].used /
                     sizeof(struct mt_stack_record);
        for (uint32_t id = MT_STACK_FIRST; id < n; id++)
            if (mt_stacks_record(id)->state != MT_TREE_FREE)
                sums[i] += mt_stacks_record(id)->allocs;
        before = i ? before : w.allocations;
        if (i == 0)
            walk(&w, 100000);
    }
    CU_ASSERT_EQUAL(sums[1] - sums[0], w.allocations - before);
    walker_clear(&w);
}

enum { THREADS = 4 };
static void *thread_walk(void *arg)
{
    struct walker *w = arg;
    for (int i = 0; i < 10; i++)
        walk(w, 10000);
    return NULL;
}

static void by_threads(void)
{
    static struct walker walkers[THREADS];
    pthread_t threads[THREADS];
    begin(LIMIT);
    uint32_t round = memtrace_root->stacks_round;
    for (int t = 0; t < THREADS; t++) {
        walkers[t].seed = 1000003ul * (unsigned)(t + 1);
        pthread_create(&threads[t], NULL, thread_walk, &walkers[t]);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    /* Where other processes held up one of them, few collections ended. */
    for (int i = 0; i < 200 && memtrace_root->stacks_round <= round + 2; i++)
        walk(&walkers[0], 10000);
    CU_ASSERT(memtrace_root->stacks_round > round + 2);
    check_all();
    for (int t = 0; t < THREADS; t++)
        walker_clear(&walkers[t]);
}

static uint32_t reserving;

static void *reserve_too_much(void *unused)
{
    (void)unused;
    while (__atomic_load_n(&reserving, __ATOMIC_RELAXED))
        if (mt_tree_reserve(LIMIT, false))
            return &reserving;
    return NULL;
}

/* A reservation that does not fit takes no room while that is found out. */
static void reservations(void)
{
    uint64_t *taken = &memtrace_root->stacks_bytes;
    unsigned refused = 0;
    void *fitted = NULL;
    pthread_t thread;
    begin(*taken + LIMIT);
    mt_tree_reserve(1, true); /* so that all LIMIT bytes do not fit */
    reserving = 1;
    pthread_create(&thread, NULL, reserve_too_much, NULL);
    for (int i = 0; i < 3000000; i++) {
        if (mt_tree_reserve(16, true))
            __atomic_fetch_sub(taken, 16, __ATOMIC_RELAXED);
        else
            refused++;
    }
    __atomic_store_n(&reserving, 0, __ATOMIC_RELAXED);
    pthread_join(thread, &fitted);
    CU_ASSERT_PTR_NULL(fitted);
    CU_ASSERT_EQUAL(refused, 0);
    __atomic_fetch_sub(taken, 1, __ATOMIC_RELAXED);
}

/* Captures alone, without blocks: they may be interrupted and left anywhere. */
static __attribute__((noinline)) void capture_on(uint64_t *seed, unsigned depth)
{
    struct mt_regs regs;
    uint64_t frames[MT_DEPTH_MAX];
    struct mt_unwinding u = {.frames = frames, .max_frames = 200};
    test_regs(&regs);
    uint32_t id = mt_capture_hold(mt_tls->capture, &regs, 10);
    mt_unwind(&u, &regs);
    unsigned missing = 0;
    if (id >= MT_STACK_FIRST && mt_stacks_record(id)->depth < u.n_frames)
        missing = u.n_frames - mt_stacks_record(id)->depth;
    if (id < MT_STACK_FIRST ||
        !stack_is(id, frames + missing, u.n_frames - missing) ||
        (missing && !(mt_stacks_record(id)->flags & MT_STACK_COARSE)))
        __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    mt_capture_release(mt_tls->capture, regs.rsp);
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    if (depth > 0)
        switch (*seed >> 33 & 3) {
        case 0:
            capture_on(seed, depth - 1);
            break;
        case 1:
            capture_on(seed, depth - 1);
            __asm__ volatile("nop" ::: "memory");
            break;
        default:
            capture_on(seed, depth - 1);
            __asm__ volatile("nop; nop" ::: "memory");
        }
    __asm__ volatile("" ::: "memory");
}

/* Handlers that capture, at any moment; some of them jump out. */
static uint64_t handler_seed = 4711;
static sigjmp_buf out;
static volatile sig_atomic_t n_signals, jumping, armed;

static void on_alarm(int number)
{
    (void)number;
    n_signals = n_signals + 1;
    for (int i = 0; i < 4; i++)
        capture_on(&handler_seed, (unsigned)(handler_seed >> 40) % 30);
    if (jumping && n_signals % 4 == 0)
        siglongjmp(out, 1);
}

static void with_signals(bool jumps)
{
    static uint64_t seed = 777;
    struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval once = {{0, 0}, {0, 700}};
    begin(LIMIT);
    memtrace_free(memtrace_alloc(NULL, 16));
    sigaction(SIGALRM, &action, NULL);
    n_signals = 0;
    wrong = 0;
    jumping = jumps;
    static uint32_t round;
    round = memtrace_root->stacks_round;
    sigsetjmp(out, 1);
    armed = -1;
    /* A slow machine makes few captures between two signals. */
    while (n_signals < 100 ||
           (memtrace_root->stacks_round == round && n_signals < 100000)) {
        if (armed != n_signals) {
            armed = n_signals;
            setitimer(ITIMER_REAL, &once, NULL);
        }
        capture_on(&seed, (unsigned)(seed >> 40) % DEPTH);
    }
    jumping = 0;
    for (int i = 0; i < 1000; i++)
        capture_on(&seed, (unsigned)(seed >> 40) % DEPTH);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(memtrace_root->stacks_round > round);
    CU_ASSERT(memtrace_root->stacks_bytes <= memtrace_root->stacks_limit);
}

static void signals(void)
{
    with_signals(false);
}

static void jumps(void)
{
    with_signals(true);
}

static void *fork_beside(void *arg)
{
    uint64_t *bad = arg;
    for (int i = 0; i < 5; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            static struct walker w;
            w.seed = 31 + (unsigned)i;
            walk(&w, 10000);
            checked = wrong = 0;
            memtrace_heap_walk(NULL, check_block, NULL);
            _exit(wrong || !checked);
        }
        waitpid(child, &status, 0);
        *bad += status != 0;
    }
    return NULL;
}

/* Children go on with what a fork left in the middle. */
static void forks(void)
{
    struct walker w = {.seed = 99};
    uint64_t bad = 0;
    pthread_t thread;
    begin(LIMIT);
    fork_beside(&bad);
    pthread_create(&thread, NULL, fork_beside, &bad);
    while (pthread_tryjoin_np(thread, NULL) != 0)
        walk(&w, 2000);
    CU_ASSERT_EQUAL(bad, 0);
    check_all();
    walker_clear(&w);
}

/* So many stacks are needed that not all have room: none is lost. */
static void too_many(void)
{
    enum { N = 3000 };
    static void *blocks[N];
    struct walker w = {.seed = 5};
    begin(LIMIT);
    uint64_t before = memtrace_root->overflow_allocs;
    for (int i = 0; i < N; i++) {
        walk(&w, 1);
        unsigned slot = (unsigned)i % KEPT;
        blocks[i] = w.kept[slot];
        w.kept[slot] = NULL;
    }
    for (int i = 0; i < 20; i++)
        walk(&w, 1000);
    check_all();
    CU_ASSERT_EQUAL(memtrace_root->overflow_allocs, before);
    for (int i = 0; i < N; i++)
        way_free(blocks[i]);
    walker_clear(&w);
    /* With room again, stacks are whole again, when other processes let the
     * collections end. */
    for (int i = 0; i < 200 && (i < 10 || coarse == checked); i++) {
        walk(&w, 10000);
        check_all();
    }
    CU_ASSERT(coarse < checked);
    walker_clear(&w);
}

/* Nodes that are live while others come and go. */
enum { LIVE = 6000, GONE = 40000, ADDED = 30000, NODES_OF_PAGE = 256 };
static uint32_t live_nodes[LIVE], added_nodes[ADDED];
static char *guarded; /* a page of nodes, with one that is live */

static uint32_t node_of(unsigned number)
{
    return mt_tree_child(0, (uint64_t)(number + 1) << 12, false);
}

/* Comes when the node of that page is copied. */
static void add_beside(int number)
{
    (void)number;
    mprotect(guarded, 4096, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < ADDED; i++)
        added_nodes[i] = node_of(i);
}

static int copied_and_filled(unsigned which)
{
    struct sigaction action = {.sa_handler = add_beside};
    unsigned number = ADDED;
    uint32_t last = 0;
    begin(UINT64_C(6) << 20);
    memtrace_free(memtrace_alloc(NULL, 16)); /* there is a tree by now */
    sigaction(SIGSEGV, &action, NULL);
    for (unsigned i = 0; i < LIVE; i++)
        live_nodes[i] = node_of(number++);
    for (unsigned i = 0; i < GONE || last % NODES_OF_PAGE != 255; i++)
        last = node_of(number++);
    live_nodes[0] = node_of(number + which);
    mt_tree_condemn();
    for (unsigned i = 0; i < LIVE; i++)
        mt_tree_mark(live_nodes[i]);
    if (!mt_tree_sweep())
        return 1;
    guarded = (char *)mt_tree_node(live_nodes[0]);
    mprotect(guarded, 4096, PROT_NONE);
    mt_tree_reindex();
    mt_tree_release();
    if (!added_nodes[0] || live_nodes[0] != node_of(number + which))
        return 2;
    for (unsigned i = 1; i < LIVE; i++)
        if (node_of(ADDED + i) != live_nodes[i])
            return 3;
    for (unsigned i = 0; i < ADDED; i++)
        if (!added_nodes[i] || node_of(i) != added_nodes[i])
            return 4;
    return 0;
}

/* While live nodes are copied to a smaller index, more come than that has room
 * for, when a part of them is copied: each is found again. */
static void filled_while_copied(void)
{
    for (unsigned i = 0; i < 16; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0)
            _exit(copied_and_filled(i));
        waitpid(child, &status, 0);
        CU_ASSERT_EQUAL(status, 0);
    }
}

static const struct unit_test tests[] = {
    {"an index that fills while nodes are copied", filled_while_copied},
    {"a recursion stays within the bound", recursion},
    {"allocations of stacks that are gone are counted", counts},
    {"threads", by_threads},
    {"a reservation that does not fit takes no room", reservations},
    {"signal handlers", signals},
    {"signal handlers that jump out", jumps},
    {"children of forks", forks},
    {"more stacks in use than there is room for", too_many},
};

int main(int argc, char **argv)
{
    memtrace_heap_trace(NULL, 1);
    return unit_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
