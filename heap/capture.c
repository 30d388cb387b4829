/* SPDX-License-Identifier: BSD-2-Clause
 *
 * capture.c - who is allocating: from registers to a stack's id.
 */
#include "internal.h"

#include "modules.h"
#include "stacks.h"
#include "unwind.h"

#define MAX_NESTED 2   /* signal handlers that may interrupt each other */
#define SMALL_DEPTH 64 /* frames kept where there is no buffer */

struct mt_capture {
    struct mt_thread_record *thread;
    uint32_t busy; /* captures under way: those below the top interrupted */
    uint64_t busy_sp[MAX_NESTED];
    struct mt_stack_ranges ranges;
    uint64_t frames[MAX_NESTED][MT_DEPTH_MAX];
};

const size_t mt_capture_bytes = sizeof(struct mt_capture);

/* 0 not started, 1 being started, 2 started */
static uint32_t started;

static MT_COLD void start(void)
{
    uint32_t state = 0;
    if (__atomic_compare_exchange_n(&started, &state, 1, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
        mt_modules_start();
        mt_stacks_start();
        mt_store_release(&started, 2);
    }
}

void mt_capture_init(struct mt_capture *c, struct mt_thread_record *thread)
{
    if (mt_load_acquire(&started) != 2)
        start();
    c->thread = thread;
}

void mt_capture_fold(struct mt_capture *c)
{
    (void)c;
}

void mt_capture_detach(struct mt_capture *c)
{
    mt_capture_fold(c);
    c->busy = 0;
    c->ranges = (struct mt_stack_ranges){0};
}

void mt_capture_fork_child(void)
{
    mt_rules_fork_child();
    mt_stacks_fork_child();
}

static uint32_t unwind_and_intern(struct mt_stack_ranges *ranges,
                                  uint64_t *frames, unsigned max,
                                  const struct mt_regs *regs)
{
    uint32_t depth = mt_load_relaxed(&memtrace_root->depth);
    struct mt_unwinding u = {.frames = frames, .ranges = ranges};
    u.max_frames = depth < 1 ? 1 : depth < max ? depth : max;
    mt_unwind(&u, regs);
    return mt_stacks_intern(frames, u.n_frames, u.flags);
}

static MT_COLD MT_NOINLINE uint32_t capture_small(const struct mt_regs *regs)
{
    uint64_t frames[SMALL_DEPTH];
    return unwind_and_intern(NULL, frames, SMALL_DEPTH, regs);
}

/* A signal handler left a capture that it had interrupted by longjmp(), if
 * the stack is now shorter than it was then. */
static bool abandoned(const struct mt_capture *c, uint64_t sp)
{
    uint32_t top = c->busy <= MAX_NESTED ? c->busy - 1 : MAX_NESTED - 1;
    uint64_t low = c->ranges.range[c->ranges.last].low;
    uint64_t high = c->ranges.range[c->ranges.last].high;
    return sp > c->busy_sp[top] && sp < high && c->busy_sp[top] >= low;
}

uint32_t mt_capture_stack(struct mt_capture *c, const struct mt_regs *regs,
                          uint64_t bytes)
{
    uint32_t id;
    if (MT_UNLIKELY(c && c->busy) && abandoned(c, regs->rsp))
        c->busy = 0;
    if (MT_UNLIKELY(!c || c->busy >= MAX_NESTED)) {
        id = capture_small(regs);
    } else {
        uint32_t level = c->busy;
        c->busy_sp[level] = regs->rsp;
        mt_store_relaxed(&c->busy, level + 1);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        id = unwind_and_intern(level ? NULL : &c->ranges, c->frames[level],
                               MT_DEPTH_MAX, regs);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        mt_store_relaxed(&c->busy, level);
    }
    mt_stacks_count(id, 1, bytes);
    return id;
}
