/* SPDX-License-Identifier: BSD-2-Clause
 *
 * walk.c - the state of an unwinding, and which memory it may read.
 *
 * Which memory may be read: unwind data leads from one live frame to the
 * next, so what lies between the lowest and the highest frame of a stack
 * that was unwound without a guess is mapped for as long as the stack is in
 * use. That range is remembered; the kernel is asked about a word outside of
 * it, and the range grows only when the unwinding ends well. A chain of frame
 * pointers is a guess, and so is what comes after a frame that was overwritten:
 * neither makes a range grow, nor reads unasked.
 */
#include "heap/capture/walk.h"

#define PAGE UINT64_C(4096)
#define MAX_FRAME_BYTES (UINT64_C(1) << 20) /* of a frame-pointer step */
#define MAX_DEEPER (UINT64_C(1) << 20)      /* asked for in one go */
#define MAX_STACK_GAP (UINT64_C(1) << 24)   /* between frames of a stack */

static bool walk_readable(uint64_t address, uint64_t bytes)
{
    return mt_os_readable((const void *)(uintptr_t)address, bytes);
}

void mt_walk_enter_stack(struct mt_walk *w, uint64_t sp)
{
    struct mt_stack_ranges *s = w->u->ranges;
    w->low = sp & ~(PAGE - 1); /* the page that holds a live frame */
    w->high = w->low + PAGE;
    if (!walk_readable(sp, 8))
        w->high = w->low;
    if (!s)
        return;
    for (unsigned i = 0; i < MT_STACK_RANGES; i++) {
        uint64_t low = s->range[i].low, high = s->range[i].high;
        if (sp - low < high - low) {
            s->last = i;
            w->low = low;
            w->high = high;
            return;
        }
        /* The same stack, deeper than before, if nothing lies between. */
        if (sp < low && low - sp <= MAX_DEEPER && walk_readable(sp, low - sp)) {
            s->last = i;
            s->range[i].low = w->low;
            w->high = high;
            return;
        }
    }
    s->last = s->replace;
    s->replace = (s->replace + 1) % MT_STACK_RANGES;
    s->range[s->last].low = w->low;
    s->range[s->last].high = w->high;
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
    if (s && start->rsp - s->range[s->last].low <
                 s->range[s->last].high - s->range[s->last].low) {
        w->low = s->range[s->last].low;
        w->high = s->range[s->last].high;
    } else {
        mt_walk_enter_stack(w, start->rsp);
    }
}

void mt_walk_extend_range(struct mt_walk *w)
{
    struct mt_stack_ranges *s = w->u->ranges;
    if (!s || (w->u->flags & MT_STACK_FRAME_POINTER) ||
        w->low != s->range[s->last].low)
        return;
    uint64_t high = s->range[s->last].high;
    if (w->top > high && walk_readable(high, w->top - high))
        s->range[s->last].high = w->top;
    else if (w->top > high)
        w->left_range = true;
}
