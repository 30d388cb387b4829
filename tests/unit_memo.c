/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_memo.c - the verified memo, on stacks made to deceive it: the same
 * return address and stack pointer with different callers, recursion, alloca,
 * longjmp, signals, coroutines, code that is replaced. Every capture is
 * compared with an unwinding that knows nothing.
 */
#include "heap/capture/capture.h"
#include "heap/trace_region.h"
#include "heap/capture/stacks.h"
#include "heap/capture/unwind.h"
#include "tests/regs.h"
#include "tests/stack_is.h"
#include "tests/unit.h"

#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

TEST_REGS_DEFINE

#define KEEP_FRAME __asm__ volatile("" ::: "memory")
#define HIDE __attribute__((noinline))
#define UNUSED __attribute__((unused))
#define DEPTH 32

static struct mt_thread_record records[8];
static struct mt_capture *capture;
static uint64_t captures, wrong;
static bool has_memo = true; /* of which hits are expected */

static uint64_t random_number(void)
{
    static __thread uint64_t x = 88172645463325252u;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x;
}

static HIDE uint32_t capture_and_check(struct mt_capture *c)
{
    struct mt_regs regs;
    uint64_t frames[MT_DEPTH_MAX];
    struct mt_unwinding u = {.frames = frames,
                             .max_frames = memtrace_root->depth};
    test_regs(&regs);
    uint32_t id = mt_capture_stack(c, &regs, 10);
    mt_unwind(&u, &regs);
    const struct mt_stack_record *s = mt_stacks_record(id);
    bool same = id >= MT_STACK_FIRST && s->depth == u.n_frames &&
                s->flags == u.flags && stack_is(id, frames, u.n_frames);
    __atomic_fetch_add(&captures, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&wrong, !same, __ATOMIC_RELAXED);
    return id;
}

/* Callers of equal frames, so that what they call has the same return address
 * and stack pointer whichever of them it was. */
static HIDE void twin(unsigned way, unsigned depth);
static bool unchecked;      /* capture only: its own verification will do */
static uint64_t *outermost; /* words below it may be changed, if any */

/* Captures with a word of the callers' frames that is not what it was, and
 * again with what it was. */
static HIDE MT_READS_STACK void capture_changed(void)
{
    uint64_t *low = (uint64_t *)__builtin_frame_address(0) + 2;
    uint64_t n = (uint64_t)(outermost - low);
    volatile uint64_t *word = low + random_number() % n;
    uint64_t was = *word, other = low[random_number() % n];
    capture_and_check(capture);
    *word = random_number() & 7 ? other : was + 8;
    capture_and_check(capture);
    *word = was;
    capture_and_check(capture);
    KEEP_FRAME;
}

static HIDE void leaf(void)
{
    struct mt_regs regs;
    if (outermost) {
        capture_changed();
    } else if (unchecked) {
        test_regs(&regs);
        mt_capture_stack(capture, &regs, 10);
    } else {
        capture_and_check(capture);
    }
    KEEP_FRAME;
}

#define TWIN(n)                                                                \
    static HIDE void twin_##n(unsigned way, unsigned depth)                    \
    {                                                                          \
        volatile uint64_t pad[4] UNUSED;                                       \
        pad[0] = n;                                                            \
        twin(way >> 2, depth);                                                 \
        pad[1] = n;                                                            \
        KEEP_FRAME;                                                            \
    }
TWIN(0)
TWIN(1)
TWIN(2)
TWIN(3)

static HIDE void twin(unsigned way, unsigned depth)
{
    static void (*const twins[])(unsigned, unsigned) = {twin_0, twin_1, twin_2,
                                                        twin_3};
    if (depth == 0)
        leaf();
    else
        twins[way & 3](way, depth - 1);
    KEEP_FRAME;
}

static void expect_right(uint64_t before, uint64_t at_least)
{
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(captures - before >= at_least);
}

static void same_start_other_callers(void)
{
    uint64_t before = captures;
    for (int i = 0; i < 60000; i++)
        twin((unsigned)random_number() & 0xfff, 6); /* 4096 stacks */
    for (int i = 0; i < 60000; i++)
        twin((unsigned)random_number(), 12); /* too many */
    mt_capture_merge_counts(capture);
    uint64_t hits = mt_capture_totals.hits;
    for (int i = 0; i < 60000; i++)
        twin((unsigned)random_number() & 3, (unsigned)i % 40);
    expect_right(before, 180000);
    mt_capture_merge_counts(capture);
    if (has_memo)
        CU_ASSERT(mt_capture_totals.hits - hits > 45000); /* of 160 stacks */
}

/* The stacks part 18 frames above the allocation, or 2, or between. */
static void other_callers_far_out(void)
{
    uint64_t before = captures, hits = 0;
    for (unsigned i = 0; i < 40000; i++) {
        if (i == 20000) { /* the memo has found that it pays */
            mt_capture_merge_counts(capture);
            hits = mt_capture_totals.hits;
        }
        unsigned far = (unsigned)random_number() & 63;
        unsigned near = (unsigned)random_number() & 3;
        twin(i & 1 ? far : near << 22, 12); /* 67 stacks */
    }
    expect_right(before, 40000);
    mt_capture_merge_counts(capture);
    if (has_memo)
        CU_ASSERT(mt_capture_totals.hits - hits > 19500);
}

static HIDE void frames_of(size_t bytes, unsigned depth)
{
    volatile char *p = alloca(bytes);
    p[0] = 1;
    if (depth == 0)
        leaf();
    else
        frames_of(16 * (1 + random_number() % 3), depth - 1);
    p[1] = 1;
    KEEP_FRAME;
}

static HIDE void aligned_frames(unsigned depth)
{
    volatile char line[64] UNUSED __attribute__((aligned(64)));
    line[0] = 1;
    if (depth == 0)
        frames_of(16, 1);
    else if (random_number() & 1)
        aligned_frames(depth - 1);
    else
        twin((unsigned)random_number(), depth - 1);
    line[1] = 1;
    KEEP_FRAME;
}

static void moving_frames(void)
{
    uint64_t before = captures;
    for (int i = 0; i < 40000; i++) {
        frames_of(16 * (1 + random_number() % 3), (unsigned)i % 7);
        aligned_frames((unsigned)random_number() % 4);
    }
    expect_right(before, 80000);
}

static HIDE void changed_words(void)
{
    uint64_t before = captures;
    outermost = __builtin_frame_address(0);
    for (int i = 0; i < 20000; i++) {
        twin((unsigned)random_number(), (unsigned)i % 8);
        aligned_frames((unsigned)random_number() % 4);
        frames_of(16 * (1 + random_number() % 3), (unsigned)i % 7);
    }
    outermost = NULL;
    expect_right(before, 180000);
}

static volatile int running; /* never negative */
static jmp_buf out;
static HIDE void jump_out(unsigned depth)
{
    if (depth > 0)
        jump_out(depth - 1);
    leaf();
    if (running >= 0)
        longjmp(out, 1);
}

static void jumps(void)
{
    uint64_t before = captures;
    for (volatile int i = 0; i < 20000; i++)
        if (setjmp(out) == 0)
            jump_out((unsigned)random_number() % 6);
        else
            twin((unsigned)random_number() & 15, 2);
    expect_right(before, 40000);
}

/* A timer that fires once, and again after each signal: where a handler takes
 * longer than its interval, one that repeats would leave the program no time.
 */
static const struct itimerval soon = {{0, 0}, {0, 70}}, off = {0};
static volatile sig_atomic_t rings;

static void on_alarm(int sig)
{
    (void)sig;
    capture_and_check(capture);
    if (random_number() & 1)
        twin((unsigned)random_number() & 255, 4);
    if (rings)
        setitimer(ITIMER_REAL, &soon, NULL);
}

static void interrupted(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    uint64_t before = captures;
    sigaction(SIGALRM, &action, NULL);
    rings = 1;
    setitimer(ITIMER_REAL, &soon, NULL);
    for (int i = 0; i < 150000; i++)
        twin((unsigned)random_number() & 0xfff, 6);
    rings = 0;
    setitimer(ITIMER_REAL, &off, NULL);
    signal(SIGALRM, SIG_IGN);
    expect_right(before, 150000);
    CU_ASSERT(captures - before > 150000);
}

static sigjmp_buf handler_out;
static void leave_handler(int sig)
{
    (void)sig;
    capture_and_check(capture);
    siglongjmp(handler_out, 1);
}

/* The interrupted capture is never finished. */
static void abandoned(void)
{
    struct sigaction action = {.sa_handler = leave_handler};
    struct itimerval once = {{0, 0}, {0, 40}};
    uint64_t before = captures;
    sigaction(SIGALRM, &action, NULL);
    for (volatile int i = 0; i < 300; i++) {
        if (sigsetjmp(handler_out, 1) == 0) {
            setitimer(ITIMER_REAL, &once, NULL);
            for (;;)
                twin((unsigned)random_number() & 0xfff, 6);
        }
        for (int k = 0; k < 20; k++)
            twin((unsigned)random_number() & 0xfff, 6);
    }
    expect_right(before, 6000);
}

static ucontext_t scheduler, routine[3];
static void routine_main(void)
{
    for (;;) {
        twin((unsigned)random_number() & 63, 3);
        swapcontext(&routine[running], &scheduler);
    }
}

static void coroutines(void)
{
    enum { BYTES = 64 << 10 };
    uint64_t before = captures;
    for (int round = 0; round < 50; round++) {
        char *stacks = mmap(NULL, 3 * BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < 3; i++) {
            getcontext(&routine[i]);
            routine[i].uc_stack.ss_sp = stacks + i * BYTES;
            routine[i].uc_stack.ss_size = BYTES - (size_t)round * 512;
            makecontext(&routine[i], routine_main, 0);
        }
        for (int i = 0; i < 300; i++) {
            running = (int)(random_number() % 3);
            swapcontext(&scheduler, &routine[running]);
            twin((unsigned)random_number() & 15, 2);
        }
        munmap(stacks, 3 * BYTES);
    }
    expect_right(before, 30000);
}

/* Two pages have the same bytes of code at one address, called by the same
 * code: a result for one is not believed for the other. */
static void code_without_unwind_data(void)
{
    /* push %rbp; mov %rsp, %rbp; sub $n, %rsp; call *%rdi; leave; ret */
    unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83,
                            0xec, 0x30, 0xff, 0xd7, 0xc9, 0xc3};
    uint64_t before = captures;
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 20000; i++) {
        unsigned at = (unsigned)(random_number() % 16) * 16;
        code[7] = (unsigned char)(16 * (1 + random_number() % 7));
        memcpy(page + at, code, sizeof code);
        void (*f)(void (*)(void)) =
            (void (*)(void (*)(void)))(uintptr_t)(page + at);
        f(leaf);
    }
    munmap(page, 4096);
    expect_right(before, 20000);
}

static void depth_changes(void)
{
    uint64_t before = captures;
    for (uint32_t depth = 1; depth < 30; depth++) {
        memtrace_root->depth = depth;
        for (int i = 0; i < 50; i++) {
            struct mt_regs regs;
            test_regs(&regs);
            uint32_t id = mt_capture_stack(capture, &regs, 1);
            CU_ASSERT(mt_stacks_record(id)->depth <= depth);
        }
    }
    memtrace_root->depth = DEPTH;
    leaf();
    expect_right(before, 1);
}

static struct mt_capture *new_capture(int n)
{
    struct mt_capture *c =
        mt_section_alloc(MT_SECTION_PRIVATE, (mt_capture_bytes + 7) & ~7ul);
    if (c)
        mt_capture_init(c, &records[n]);
    return c;
}

static HIDE void thread_frames(struct mt_capture *c, unsigned depth)
{
    volatile char pad[32] UNUSED;
    pad[0] = 1;
    if (depth == 0)
        capture_and_check(c);
    else
        thread_frames(c, depth - 1);
    pad[1] = 1;
    KEEP_FRAME;
}

static void *thread_main(void *c)
{
    for (int i = 0; i < 20000; i++)
        thread_frames(c, (unsigned)random_number() % 50);
    mt_capture_detach(c);
    return NULL;
}

static void threads(void)
{
    pthread_t thread[3];
    uint64_t before = captures;
    struct mt_capture *c[3];
    for (int i = 0; i < 3; i++)
        c[i] = new_capture(i + 1);
    for (int round = 0; round < 2; round++) { /* the second takes the firsts' */
        for (int i = 0; i < 3; i++)
            pthread_create(&thread[i], NULL, thread_main, c[i]);
        for (int i = 0; i < 3; i++)
            pthread_join(thread[i], NULL);
    }
    expect_right(before, 120000);
}

/* Records and counters together hold every capture. */
static uint64_t counted(void)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_STACKS];
    uint64_t sum = memtrace_root->dropped_allocs; /* of stacks given back */
    for (uint32_t i = 0; i < s->used / sizeof(struct mt_stack_record); i++)
        if (mt_stacks_record(i)->state != MT_TREE_FREE)
            sum += mt_stacks_record(i)->allocs;
    for (int t = 0; t < 8; t++) {
        const struct mt_counter_record *c =
            (void *)(uintptr_t)records[t].counters;
        for (uint32_t i = 0; c && i < records[t].n_counters; i++)
            sum += c[i].allocs;
    }
    return sum;
}

static void counters_add_up(void)
{
    uint64_t before = counted();
    for (int i = 0; i < 30000; i++)
        twin((unsigned)random_number(), 5);
    CU_ASSERT_EQUAL(counted(), before + 30000);
    mt_capture_merge_counts(capture);
    CU_ASSERT_EQUAL(counted(), before + 30000);
    CU_ASSERT_EQUAL(memtrace_root->overflow_allocs, 0);
}

static void verify_mode(void)
{
    struct mt_capture_totals was = mt_capture_totals;
    mt_capture_verify = 1;
    for (int i = 0; i < 50000; i++)
        twin((unsigned)random_number() & 0x3f, 3);
    mt_capture_verify = 0;
    CU_ASSERT(mt_capture_totals.verified > was.verified + 40000);
    CU_ASSERT_EQUAL(mt_capture_totals.mismatches, 0);
}

/* Every kind of stack above, over and over, every hit verified. */
static void hundred_million(void)
{
    const uint64_t wanted = 100000000;
    struct mt_capture_totals was = mt_capture_totals;
    if (!getenv("MT_LONG")) {
        unit_skip("for check-long");
        return;
    }
    mt_capture_verify = 1;
    unchecked = true;
    while (mt_capture_totals.verified - was.verified < wanted) {
        for (int i = 0; i < 20000; i++) {
            twin((unsigned)random_number() & 0x3ff, 5);
            twin((unsigned)random_number() & 0x3, (unsigned)i % 30);
        }
        for (int i = 0; i < 200; i++)
            frames_of(16 * (1 + random_number() % 3), (unsigned)i % 7);
    }
    mt_capture_verify = 0;
    unchecked = false;
    printf("  %llu hits verified, %llu mismatches\n",
           (unsigned long long)(mt_capture_totals.verified - was.verified),
           (unsigned long long)mt_capture_totals.mismatches);
    CU_ASSERT_EQUAL(mt_capture_totals.mismatches, 0);
    CU_ASSERT_EQUAL(wrong, 0);
}

/* 3,000 stacks take more than a memo may have of a process with a small heap. */
static void many_stacks(void)
{
    struct mt_capture *usual = capture;
    struct mt_capture_totals was = {0};
    struct mt_heap_record *h = mt_section_alloc(MT_SECTION_HEAPS, sizeof *h);
    h->span_bytes_peak = 8 << 20;
    capture = new_capture(6);
    for (int i = 0; i < 90000; i++) {
        if (i == 60000)
            was = mt_capture_sum();
        twin((unsigned)(random_number() % 3000), 6);
    }
    CU_ASSERT(mt_capture_sum().hits - was.hits > 28500 && wrong == 0);
    capture = usual;
}

/* Without a memo every stack is unwound, down to a frame that is known. */
static void without_memo(void)
{
    struct mt_capture *with_memo = capture;
    uint32_t kib = mt_memo_kib;
    uint64_t paths;
    struct mt_capture_totals was = mt_capture_totals;
    mt_memo_kib = 0;
    capture = new_capture(5);
    mt_memo_kib = kib;
    has_memo = false;
    mt_capture_verify = 1;
    memtrace_root->depth = MT_DEPTH_MAX;
    same_start_other_callers();
    other_callers_far_out();
    moving_frames();
    memtrace_root->depth = 13; /* of more frames: most stacks are cut */
    paths = mt_capture_totals.paths;
    same_start_other_callers();
    CU_ASSERT(mt_capture_totals.paths - paths > 170000);
    mt_capture_verify = 0;
    changed_words();
    memtrace_root->depth = DEPTH;
    jumps();
    abandoned();
    coroutines();
    code_without_unwind_data();
    counters_add_up();
    has_memo = true;
    capture = with_memo;
    CU_ASSERT(mt_capture_totals.paths - was.paths > 200000);
    CU_ASSERT_EQUAL(mt_capture_totals.mismatches, 0);
}

static void after_fork(void)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        mt_capture_detach(capture);
        uint64_t before = captures;
        for (int i = 0; i < 20000; i++)
            twin((unsigned)random_number() & 0xfff, 6);
        _exit(wrong == 0 && captures == before + 20000 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
}

/* Last: nothing more can be added after it. */
static void full_table(void)
{
    struct mt_section_record *s = &memtrace_root->sections[MT_SECTION_STACKS];
    uint64_t before = counted(), overflow = memtrace_root->overflow_allocs;
    uint64_t reserved = s->reserved, dropped = memtrace_root->dropped_allocs;
    s->reserved = s->used + 10 * sizeof(struct mt_stack_record);
    for (int i = 0; i < 2000; i++) {
        struct mt_regs regs;
        test_regs(&regs);
        regs.rip += (uint64_t)i * 3;
        mt_capture_stack(capture, &regs, 5);
    }
    overflow = memtrace_root->overflow_allocs - overflow;
    dropped = memtrace_root->dropped_allocs - dropped;
    /* Few records were left: all others gave back stacks, or found no room. */
    CU_ASSERT(overflow + dropped > 1000);
    CU_ASSERT_EQUAL(memtrace_root->overflow_bytes, overflow * 5);
    CU_ASSERT_EQUAL(counted() + overflow, before + 2000);
    s->reserved = reserved;
}

static const struct unit_test tests[] = {
    {"the same start, other callers", same_start_other_callers},
    {"other callers, far out", other_callers_far_out},
    {"frames that move", moving_frames},
    {"words of the stack that change", changed_words},
    {"longjmp", jumps},
    {"captures interrupted by captures", interrupted},
    {"captures interrupted and abandoned", abandoned},
    {"coroutines", coroutines},
    {"code without unwind data that is replaced", code_without_unwind_data},
    {"another depth", depth_changes},
    {"threads", threads},
    {"counters and records add up", counters_add_up},
    {"verification of every hit", verify_mode},
    {"a hundred million hits verified", hundred_million},
    {"many stacks that repeat", many_stacks},
    {"known frames instead of a memo", without_memo},
    {"the child of a fork", after_fork},
    {"a full table counts what it can't hold", full_table},
};

int main(int argc, char **argv)
{
    if (!mt_region_start())
        return 1;
    mt_string_add("", 0);
    memtrace_root->stacks_limit = UINT64_C(1) << 32; /* no bound */
    mt_stacks_trigger = UINT64_MAX;                  /* no collection */
    memtrace_root->depth = DEPTH;
    capture = new_capture(0);
    return capture ? unit_run(tests, sizeof tests / sizeof *tests, argc, argv)
                   : 1;
}
