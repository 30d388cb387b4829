/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_unwind.c - unwinding, compared with libgcc's backtrace() at the same
 * place, on all kinds of stacks.
 */
#include "config.h"
#include "heap/trace_region.h"
#include "heap/capture/unwind.h"
#include "tests/regs.h"
#include "tests/unit.h"

#include <alloca.h>
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

TEST_REGS_DEFINE

#define MAX 200
#ifdef __clang__
#define HIDE __attribute__((noinline))
#else
#define HIDE __attribute__((noinline, noclone))
#endif
#define KEEP_FRAME __asm__ volatile("" ::: "memory")

static struct mt_stack_ranges ranges;
static uint64_t got[MAX];
static unsigned got_n, got_flags, checks, mismatches;
static volatile unsigned sink;

static void unwind(struct mt_stack_ranges *r, const struct mt_regs *regs,
                   unsigned max)
{
    struct mt_unwinding u = {.frames = got, .max_frames = max, .ranges = r};
    mt_unwind(&u, regs);
    got_n = u.n_frames;
    got_flags = u.flags;
}

/* Compares both unwinders from here. The innermost frame is this function's
 * own, at two places in it. */
static HIDE bool check_here(void)
{
    struct mt_regs regs;
    void *want[MAX];
    uint64_t pcs[MAX]; /* a signal may interrupt this and come here again */
    bool same = true;
    int n = backtrace(want, MAX);
    test_regs(&regs);
    for (int i = 0; i < 3; i++) {
        struct mt_unwinding u = {
            .frames = pcs, .max_frames = MAX, .ranges = i ? &ranges : NULL};
        mt_unwind(&u, &regs);
        /* AddressSanitizer's own backtrace() adds a frame. */
        int k = 1;
        while (k < n - 1 && k < 3 && (uint64_t)(uintptr_t)want[k] != pcs[1])
            k++;
        bool right = u.n_frames == (unsigned)(n - k + 1) && u.flags == 0 &&
                     memcmp(pcs + 1, want + k, 8 * (size_t)(n - k)) == 0;
        if (!right && mismatches < 2) {
            printf("  flags %u\n", u.flags);
            for (int f = 0; f < n || f < (int)u.n_frames; f++)
                printf("  %p %p\n", f < n ? want[f] : NULL,
                       f < (int)u.n_frames ? (void *)(uintptr_t)pcs[f] : NULL);
        }
        same = same && right;
    }
    checks++;
    mismatches += !same;
    return same;
}

static HIDE int recurse(int n)
{
    int r = n == 0 ? check_here() : recurse(n - 1);
    KEEP_FRAME;
    return r;
}

static void plain(void)
{
    CU_ASSERT(check_here());
    for (int depth = 0; depth < 150; depth += 7)
        CU_ASSERT(recurse(depth));
}

static HIDE int with_alloca(size_t n)
{
    volatile char *p = alloca(n);
    p[0] = 1;
    int r = check_here();
    p[n - 1] = (char)r;
    return r;
}

static void variable_frames(void)
{
    for (size_t n = 1; n < 300000; n = n * 3 + 1)
        CU_ASSERT(with_alloca(n));
}

static HIDE int realigned(int n)
{
    volatile char line[256] __attribute__((aligned(64)));
    line[0] = (char)n;
    int r = n == 0 ? check_here() : realigned(n - 1);
    KEEP_FRAME;
    return r + line[1] - line[1];
}

static HIDE int realigned_alloca(size_t n)
{
    volatile char line[128] __attribute__((aligned(128)));
    volatile char *p = alloca(n);
    line[0] = p[0] = 1;
    int r = realigned(2);
    KEEP_FRAME;
    return r + line[0] - p[0];
}

static void realigned_frames(void)
{
    CU_ASSERT(realigned(0));
    CU_ASSERT(realigned(5));
    CU_ASSERT_EQUAL(realigned_alloca(1000), 1);
}

static int compare(const void *a, const void *b)
{
    check_here();
    return *(const int *)a - *(const int *)b;
}

static void callbacks(void)
{
    int numbers[] = {5, 3, 9, 1, 7, 2};
    int *big = malloc(600 * sizeof *big), key = 7;
    unsigned before = mismatches;
    qsort(numbers, 6, sizeof *numbers, compare);
    CU_ASSERT_PTR_NOT_NULL(bsearch(&key, numbers, 6, sizeof *numbers, compare));
    for (int i = 0; i < 600; i++)
        big[i] = i * 7919 % 600;
    qsort(big, 600, sizeof *big, compare);
    free(big);
    CU_ASSERT_EQUAL(mismatches, before);
}

/* A timer that fires once, and again after each signal: where a handler takes
 * longer than its interval, one that repeats would leave the program no time.
 */
static const struct itimerval soon = {{0, 0}, {0, 50}}, off = {0};
static volatile sig_atomic_t rings;

static void on_signal(int sig)
{
    check_here();
    if (sig == SIGALRM && rings)
        setitimer(ITIMER_REAL, &soon, NULL);
}

static void install(int sig, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(sig, &action, NULL);
}

static void signal_frame(void)
{
    unsigned before = mismatches, count = checks;
    install(SIGUSR1, 0);
    raise(SIGUSR1);
    CU_ASSERT_EQUAL(mismatches, before);
    CU_ASSERT_EQUAL(checks, count + 1);
}

static void alternate_stack(void)
{
    stack_t stack = {.ss_size = 64 << 10};
    unsigned before = mismatches, count = checks;
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, NULL);
    install(SIGUSR1, SA_ONSTACK);
    for (int i = 0; i < 10; i++) {
        raise(SIGUSR1);
        check_here();
    }
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    munmap(stack.ss_sp, stack.ss_size);
    CU_ASSERT_EQUAL(mismatches, before);
    CU_ASSERT_EQUAL(checks, count + 20);
}

/* At any instruction: prologues, epilogues, the C library's assembly. */
static void interrupted_anywhere(void)
{
    static char from[5000], to[5000], text[200];
    unsigned before = mismatches, count = checks;
#ifndef HAVE__DL_FIND_OBJECT
    unit_skip("glibc's backtrace() takes a lock here, as a handler may not");
    return;
#endif
    install(SIGALRM, SA_RESTART);
    rings = 1;
    setitimer(ITIMER_REAL, &soon, NULL);
    for (int i = 0; checks < count + 2000 && i < 20000000; i++) {
        memcpy(to, from, sizeof to - (size_t)i % 100);
        snprintf(text, sizeof text, "%d %s %g", i, "text", i / 7.0);
        sink += (unsigned)strlen(text) + (unsigned)realigned_alloca(100);
        sink += (unsigned)atoi(text);
    }
    rings = 0;
    setitimer(ITIMER_REAL, &off, NULL);
    install(SIGALRM, 0);
    CU_ASSERT_EQUAL(mismatches, before);
    CU_ASSERT(checks >= count + 2000);
}

static void *thread_main(void *unused)
{
    static struct mt_stack_ranges own;
    struct mt_regs regs;
    test_regs(&regs);
    unwind(&own, &regs, MAX);
    (void)unused;
    return check_here() ? &own : NULL;
}

static void threads(void)
{
    pthread_t thread;
    void *result = NULL;
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, thread_main, NULL), 0);
    pthread_join(thread, &result);
    CU_ASSERT_PTR_NOT_NULL(result);
}

static ucontext_t outer, inner;

static void coroutine(void)
{
    for (int i = 0; i < 3; i++) {
        recurse(i + 3);
        swapcontext(&inner, &outer);
    }
}

static void coroutines(void)
{
    unsigned before = mismatches;
    size_t bytes = 64 << 10;
    char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* Nothing can be read above it. */
    CU_ASSERT_EQUAL(mprotect(stack + bytes - 4096, 4096, PROT_NONE), 0);
    getcontext(&inner);
    inner.uc_stack.ss_sp = stack;
    inner.uc_stack.ss_size = bytes - 4096;
    inner.uc_link = &outer;
    makecontext(&inner, coroutine, 0);
    for (int i = 0; i < 3; i++) {
        swapcontext(&outer, &inner);
        recurse(3);
    }
    munmap(stack, bytes);
    CU_ASSERT_EQUAL(mismatches, before);
}

static HIDE void depth_test(void)
{
    struct mt_regs regs;
    test_regs(&regs);
    unwind(&ranges, &regs, MAX);
    unsigned all = got_n;
    CU_ASSERT(all > 4);
    CU_ASSERT_EQUAL(got_flags, 0);
    for (unsigned max = 1; max < all; max++) {
        unwind(&ranges, &regs, max);
        CU_ASSERT_EQUAL(got_n, max);
        CU_ASSERT_EQUAL(got_flags, MT_STACK_TRUNCATED);
    }
    unwind(&ranges, &regs, all);
    CU_ASSERT_EQUAL(got_n, all);
    CU_ASSERT_EQUAL(got_flags, 0);
}

static struct mt_regs jit_regs;
static HIDE void called_by_jit(void)
{
    test_regs(&jit_regs);
    unwind(&ranges, &jit_regs, MAX);
}

static void *code(const void *bytes, size_t n)
{
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, bytes, n);
    return p;
}

static void without_unwind_data(void)
{
    /* push %rbp; mov %rsp, %rbp; sub $48, %rsp; call *%rdi; leave; ret */
    static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83,
                                           0xec, 0x30, 0xff, 0xd7, 0xc9, 0xc3};
    void (*f)(void (*)(void)) =
        (void (*)(void (*)(void)))(uintptr_t)code(framed, sizeof framed);
    f(called_by_jit);
    CU_ASSERT_EQUAL(got_flags, MT_STACK_FRAME_POINTER);
    CU_ASSERT_EQUAL(got[1], (uintptr_t)f + 10);
    CU_ASSERT(got_n > 4);
    munmap((void *)(uintptr_t)f, 4096);
}

/* Whatever is in rbp and on the stack, nothing unmapped is read. */
static void garbage(void)
{
    static const uint64_t values[] = {0,
                                      1,
                                      8,
                                      4096,
                                      0x7fffffffffff,
                                      UINT64_C(0x800000000000),
                                      ~UINT64_C(7),
                                      ~UINT64_C(0)};
    size_t bytes = 16384;
    uint64_t *stack = mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = 88172645463325252u;
    mprotect((char *)stack + bytes, 4096, PROT_NONE);
    struct mt_stack_ranges r = {0};
    for (int round = 0; round < 200000; round++) {
        uint64_t *sp = stack + 2048 - 64;
        for (int i = 0; i < 64; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            uint64_t kind = seed >> 60;
            sp[i] = kind < 5    ? (uint64_t)(uintptr_t)sp + (seed >> 20 & 1023)
                    : kind < 8  ? values[seed >> 8 & 7]
                    : kind < 14 ? (uint64_t)(uintptr_t)snprintf + (seed & 0xfff)
                                : seed;
        }
        struct mt_regs regs = {.rip = sp[0] >> 4 ? sp[0] : 77,
                               .rsp = (uint64_t)(uintptr_t)(sp + 1),
                               .rbp = sp[3],
                               .rbx = sp[4]};
        unwind(round & 1 ? &r : NULL, &regs, 32);
    }
    munmap(stack, bytes + 4096);
    CU_ASSERT_EQUAL(got_flags & ~7u, 0);
}

/* States that are remembered and restored, within one another. */
void remembers(void);
__asm__(".text\n.globl remembers\n.type remembers, @function\n"
        "remembers:\n.cfi_startproc\n"
        "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
        "push %rbp\n.cfi_def_cfa_offset 24\n.cfi_offset rbp, -24\n"
        "sub $8, %rsp\n.cfi_def_cfa_offset 32\ncall compare_here\n"
        ".cfi_remember_state\n"
        "sub $16, %rsp\n.cfi_def_cfa_offset 48\ncall compare_here\n"
        ".cfi_remember_state\n"
        "sub $32, %rsp\n.cfi_def_cfa_offset 80\ncall compare_here\n"
        "mov %rsp, %rbp\n.cfi_def_cfa rbp, 80\ncall compare_here\n"
        "add $32, %rsp\n"
        ".cfi_restore_state\ncall compare_here\n"
        ".cfi_remember_state\n.cfi_restore_state\ncall compare_here\n"
        "add $16, %rsp\n"
        ".cfi_restore_state\ncall compare_here\n"
        ".cfi_remember_state\n"
        "mov 8(%rsp), %rbp\n.cfi_restore rbp\n"
        "mov 16(%rsp), %rbx\n.cfi_restore rbx\ncall compare_here\n"
        ".cfi_restore_state\n"
        "add $8, %rsp\n.cfi_def_cfa_offset 24\n"
        "pop %rbp\n.cfi_restore rbp\n.cfi_def_cfa_offset 16\n"
        "call compare_here\n"
        "pop %rbx\n.cfi_restore rbx\n.cfi_def_cfa_offset 8\n"
        "jmp compare_here\n"
        ".cfi_endproc\n.size remembers, .-remembers\n");

static HIDE __attribute__((used, force_align_arg_pointer)) void
compare_here(void) __asm__("compare_here");
static void compare_here(void)
{
    check_here();
    KEEP_FRAME;
}

static HIDE void remembered_states(void)
{
    unsigned before = mismatches;
    checks = 0;
    remembers();
    CU_ASSERT_EQUAL(checks, 10);
    CU_ASSERT_EQUAL(mismatches, before);
}

static void rules_of_a_table(void)
{
    /* All of the rules that the table has must be those compiled afresh. */
    const struct mt_rule_table *t = mt_rules_current();
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    struct mt_cfi_work work;
    unsigned n = 0;
    for (uint64_t g = 0; g <= t->group_mask; g++)
        for (unsigned i = 0; i < MT_RULE_GROUP; i++) {
            uint64_t word = t->words[g * MT_RULE_GROUP + i];
            if (!word)
                continue;
            uint64_t high = word >> MT_RULE_BITS << MT_RULE_LOW_BITS;
            uint64_t low = (mt_rule_group(high, 127) ^ g) & 127;
            CU_ASSERT_EQUAL(mt_rule_of(high | low, t, &work), word & 0xffffff);
            CU_ASSERT_EQUAL(mt_rules_compile(high | low, NULL, &work),
                            word & 0xffffff);
            n++;
        }
    CU_ASSERT(n > 30);
}

static const struct unit_test tests[] = {
    {"unwind functions that keep no frame pointer", plain},
    {"unwind through alloca", variable_frames},
    {"unwind realigned stacks", realigned_frames},
    {"unwind through callbacks of the C library", callbacks},
    {"unwind a signal handler", signal_frame},
    {"unwind from an alternate signal stack", alternate_stack},
    {"unwind from any instruction", interrupted_anywhere},
    {"unwind a thread", threads},
    {"unwind coroutines", coroutines},
    {"cut at the depth that is asked for", depth_test},
    {"code without unwind data by frame pointer", without_unwind_data},
    {"unwind where states are remembered", remembered_states},
    {"garbage on the stack", garbage},
    {"rules in the table are right", rules_of_a_table},
};

int main(int argc, char **argv)
{
    void *warm[4];
    backtrace(warm, 4); /* loads libgcc_s */
    if (!mt_region_start())
        return 1;
    return unit_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
