/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_signals.c - a capture that is interrupted, by a capture, at every one of
 * its instructions (the processor's trap flag raises SIGTRAP after each), and
 * one that is left in the middle, by a handler's siglongjmp(). Other captures
 * are right all the same.
 */
#include "heap/capture/capture.h"
#include "heap/trace_region.h"
#include "heap/capture/stacks.h"
#include "heap/capture/unwind.h"
#include "tests/regs.h"
#include "tests/stack_is.h"
#include "tests/unit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

TEST_REGS_DEFINE

#define KEEP_FRAME __asm__ volatile("" ::: "memory")
#define HIDE __attribute__((noinline))
#define DEPTH 32

static struct mt_thread_record record;
static struct mt_capture *capture;
static uint64_t traps, wrong;

static bool is_right(uint32_t id, const struct mt_regs *regs)
{
    uint64_t frames[DEPTH];
    struct mt_unwinding u = {.frames = frames, .max_frames = DEPTH};
    mt_unwind(&u, regs);
    const struct mt_stack_record *s = mt_stacks_record(id);
    return id >= MT_STACK_FIRST && s->depth == u.n_frames &&
           s->flags == u.flags && stack_is(id, frames, u.n_frames);
}

static inline void set_trap_flag(void)
{
    __asm__ volatile("sub $128, %%rsp\n\tpushf\n\torl $0x100, (%%rsp)\n\tpopf\n"
                     "\tadd $128, %%rsp" ::
                         : "cc", "memory");
}

static inline void clear_trap_flag(void)
{
    __asm__ volatile(
        "sub $128, %%rsp\n\tpushf\n\tandl $~0x100, (%%rsp)\n\tpopf\n"
        "\tadd $128, %%rsp" ::
            : "cc", "memory");
}

static bool trapping; /* the next capture that leaf() makes */

static HIDE void leaf(void)
{
    struct mt_regs regs;
    test_regs(&regs);
    bool trap = trapping;
    if (trap)
        set_trap_flag();
    uint32_t id = mt_capture_stack(capture, &regs, 10);
    if (trap)
        clear_trap_flag();
    wrong += !is_right(id, &regs);
    KEEP_FRAME;
}

/* 4 to the power of `depth` stacks, whose frames have equal sizes. */
static HIDE void branch(unsigned way, unsigned depth);
#define BRANCH(n)                                                              \
    static HIDE void branch_##n(unsigned way, unsigned depth)                  \
    {                                                                          \
        branch(way >> 2, depth);                                               \
        KEEP_FRAME;                                                            \
    }
BRANCH(0)
BRANCH(1)
BRANCH(2)
BRANCH(3)

static HIDE void branch(unsigned way, unsigned depth)
{
    static void (*const to[])(unsigned, unsigned) = {branch_0, branch_1,
                                                     branch_2, branch_3};
    if (depth == 0)
        leaf();
    else
        to[way & 3](way, depth - 1);
    KEEP_FRAME;
}

static void without_traps(unsigned way, unsigned depth)
{
    bool was = trapping;
    trapping = false;
    branch(way, depth);
    trapping = was;
}

static void capture_at_trap(int sig)
{
    (void)sig;
    traps++;
    without_traps((unsigned)traps & 15, (unsigned)rand() % 4);
}

static void handle(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGTRAP, &action, NULL);
}

static void interrupted(void)
{
    unsigned rounds = getenv("MT_LONG") ? 100 : 25;
    handle(capture_at_trap);
    for (unsigned i = 0; i < rounds; i++) { /* new stacks, then known ones */
        trapping = true;
        branch(i % 50, 4);
        trapping = false;
        without_traps(i % 50, 4);
    }
    printf("  %u captures interrupted captures\n", (unsigned)traps);
    CU_ASSERT(traps > 10000);
    CU_ASSERT_EQUAL(wrong, 0);
}

static sigjmp_buf out;
static unsigned traps_left;

static void leave_at_trap(int sig)
{
    (void)sig;
    if (--traps_left != 0)
        return;
    without_traps(3, 3);
    siglongjmp(out, 1);
}

/* Makes a capture that leaves at its instruction number `traps_left`, if it has
 * that many. */
static bool leave(unsigned way)
{
    volatile bool left_it = true;
    if (sigsetjmp(out, 1) == 0) {
        trapping = true;
        branch(way, 6);
        left_it = false;
    }
    trapping = false;
    return left_it;
}

static unsigned n_stacks(void)
{
    return (unsigned)(memtrace_root->sections[MT_SECTION_STACKS].used /
                      sizeof(struct mt_stack_record));
}

static void left(void)
{
    unsigned leaves = 0, late = 0;
    handle(leave_at_trap);
    srand(1);
    for (unsigned i = 0; i < 4096; i++) {
        unsigned n = n_stacks(), power = 1u << (31 - __builtin_clz(n));
        if (i % 16 == 0) {
            traps_left = 1 + (unsigned)rand() % 1000;
            leaves += leave(i);
        } else if (n - power < 48 && n > 64) {
            /* About here the table is made larger. */
            traps_left = 2000 + (unsigned)rand() % 3000;
            late += leave(i);
        }
        without_traps(i, 6);
        without_traps(i / 2, 6);
    }
    CU_ASSERT(leaves > 100);
    CU_ASSERT(late > 0);
    CU_ASSERT_EQUAL(wrong, 0);
}

static const struct unit_test tests[] = {
    /* First: it knows when the table grows. */
    {"captures left at any instruction", left},
    {"captures interrupted at every instruction", interrupted},
};

int main(int argc, char **argv)
{
    if (!mt_region_start())
        return 1;
    mt_string_add("", 0);
    memtrace_root->stacks_limit = UINT64_C(1) << 32; /* no bound */
    mt_stacks_trigger = UINT64_MAX; /* no collection */
    memtrace_root->depth = DEPTH;
    capture =
        mt_section_alloc(MT_SECTION_PRIVATE, (mt_capture_bytes + 7) & ~7ul);
    if (!capture)
        return 1;
    mt_capture_init(capture, &record);
    return unit_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
