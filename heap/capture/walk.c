/* SPDX-License-Identifier: BSD-2-Clause
 *
 * walk.c - the state of an unwinding, and which memory it may read.
 *
 * Which memory may be read.  A thread's own stack exists as long as the thread,
 * and its upper end is known: the memory between that and a live frame was
 * found readable once, and stays so.  No other stack can be relied on: a
 * program may unmap a coroutine's stack, and map a smaller one in its place,
 * between two captures.  The kernel is asked about each page of such a stack
 * above the one that holds the live frame, whenever it is unwound or compared
 * with a memo.  So it is about words that a guess leads to: by frame pointers,
 * or after a frame that was overwritten.
 */
#include "heap/capture/capture.h"
#include "heap/capture/walk.h"
#include "heap/layout.h"
#include "heap/os.h"

#include <unistd.h>

#define PAGE UINT64_C(4096)
#define MAX_FRAME_BYTES (UINT64_C(1) << 20) /* of a frame-pointer step */
#define MAX_DEEPER (UINT64_C(1) << 20)      /* asked for in one go, */
#define MAX_FIRST (UINT64_C(1) << 24)       /* and at first */
#define MAX_STACK_GAP (UINT64_C(1) << 24)   /* between frames of a stack */

static bool walk_readable(uint64_t address, uint64_t bytes)
{
    return mt_os_readable((const void *)(uintptr_t)address, bytes);
}

static uint64_t thread_pointer(void)
{
    uint64_t tp;
    __asm__("mov %%fs:0, %0" : "=r"(tp));
    return tp;
}

static uint64_t main_thread; /* its thread pointer, or 0 */

/* While the library is loaded. */
static __attribute__((constructor)) void find_main_thread(void)
{
    if (mt_os_tid() == mt_os_pid())
        main_thread = thread_pointer();
}

extern void *__libc_stack_end;

/* The stack of a thread ends with what its thread pointer points to, but for
 * the main thread's. */
static uint64_t own_stack_end(void)
{
    uint64_t tp = thread_pointer();
    uint64_t end =
        tp == main_thread ? (uint64_t)(uintptr_t)__libc_stack_end : tp;
    return (end & ~(PAGE - 1)) + PAGE;
}

/* Is `sp` on the thread's own stack?  If so, all above it is in the range. */
static bool enter_own_stack(struct mt_stack_ranges *s, uint64_t sp)
{
    uint64_t low = s->range[0].low, high = s->range[0].high;
    uint64_t most = high ? MAX_DEEPER : MAX_FIRST;
    if (high == 0)
        low = high = own_stack_end();
    if (sp - low < high - low)
        return true;
    if (sp >= low || low - sp > most || !walk_readable(sp, low - sp))
        return false;
    s->range[0].low = sp & ~(PAGE - 1);
    s->range[0].high = high;
    return true;
}

/* The entry of the stack that `sp` is on, or a new one. */
static unsigned other_stack(struct mt_stack_ranges *s, uint64_t sp)
{
    uint64_t page = sp & ~(PAGE - 1);
    for (unsigned i = 1; i < MT_STACK_RANGES; i++) {
        uint64_t low = s->range[i].low, high = s->range[i].high;
        if (sp - low < high - low)
            return i;
        if (sp < low && low - sp <= MAX_DEEPER) {
            s->range[i].low = page;
            return i;
        }
    }
    s->replace = s->replace % (MT_STACK_RANGES - 1) + 1;
    s->range[s->replace].low = page;
    s->range[s->replace].high = page + PAGE;
    return s->replace;
}

void mt_walk_enter_stack(struct mt_walk *w, uint64_t sp)
{
    struct mt_stack_ranges *s = w->u->ranges;
    if (s && enter_own_stack(s, sp)) {
        s->last = 0;
        w->low = s->range[0].low;
        w->high = s->range[0].high;
        return;
    }
    w->low = sp & ~(PAGE - 1);
    w->high = walk_readable(sp, 8) ? w->low + PAGE : w->low;
    if (s)
        s->last = other_stack(s, sp);
}

uint64_t mt_walk_ask_room(const struct mt_stack_ranges *s, uint64_t sp)
{
    for (unsigned i = 1; i < MT_STACK_RANGES; i++) {
        uint64_t low = s->range[i].low, high = s->range[i].high;
        uint64_t end = ((sp - 8) & ~(PAGE - 1)) + PAGE; /* the live frame's */
        if (sp - low >= high - low)
            continue;
        if (high > end + MT_WALK_ROOM)
            high = end + MT_WALK_ROOM;
        while (end < high && walk_readable(end, 8))
            end += PAGE;
        return end > sp ? end - sp : 0;
    }
    return 0;
}

bool mt_walk_admit(struct mt_walk *w, uint64_t address)
{
    uint64_t page = address & ~(PAGE - 1);
    if ((address & 7) || (page != w->page && !walk_readable(address, 8))) {
        w->left_range = true; /* it may be readable the next time */
        return false;
    }
    w->page = page;
    if (address < w->high || address - w->high > MAX_STACK_GAP) {
        w->left_range = true;
        return true;
    }
    if (page == w->high)
        w->high = page + PAGE;
    if (page + PAGE > w->top)
        w->top = page + PAGE;
    return true;
}

bool mt_walk_frame_pointer(struct mt_walk *w, uint64_t *rip, uint64_t *rsp,
                           uint64_t *rbp)
{
    uint64_t at = *rbp, next_rip, next_rbp;
    w->u->flags |= MT_STACK_FRAME_POINTER;
    if (at < *rsp || at - *rsp > MAX_FRAME_BYTES ||
        !mt_walk_read(w, at, &next_rbp) || !mt_walk_read(w, at + 8, &next_rip))
        return false;
    if (!mt_plausible_pc(next_rip))
        return false;
    *rip = next_rip;
    *rsp = at + 16;
    *rbp = next_rbp;
    return true;
}

void mt_walk_begin(struct mt_walk *w, struct mt_unwinding *u,
                   const struct mt_regs *start)
{
    w->u = u;
    w->start = start;
    w->page = 1;
    w->top = 0;
    w->left_range = false;
    w->pc = u->frames[0] = start->rip;
    w->sp = start->rsp;
    w->rbp = (struct mt_lazy_rbp){start->rbp, 0, true};
    w->table = mt_rules_current();
    u->n_frames = 1;
    u->flags = 0;
    if (u->read_log) {
        u->read_log->n_words = 0;
        u->read_log->registers = 0;
        u->read_log->overflow = false;
    }
    struct mt_stack_ranges *s = u->ranges;
    if (s &&
        start->rsp - s->range[0].low < s->range[0].high - s->range[0].low) {
        s->last = 0;
        w->low = s->range[0].low;
        w->high = s->range[0].high;
    } else {
        mt_walk_enter_stack(w, start->rsp);
    }
}

void mt_walk_extend_range(struct mt_walk *w)
{
    struct mt_stack_ranges *s = w->u->ranges;
    bool guessed = w->u->flags & MT_STACK_FRAME_POINTER;
    if (s && s->last != 0 && !guessed && !w->left_range &&
        w->top > s->range[s->last].high)
        s->range[s->last].high = w->top;
}
