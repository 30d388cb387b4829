/* SPDX-License-Identifier: BSD-2-Clause
 *
 * walk.h - the state of one unwinding, and the steps that both ways to unwind
 * share: which memory may be read, and what was read of it.
 */
#ifndef MT_WALK_H
#define MT_WALK_H

#include "heap/capture/capture.h"
#include "heap/capture/read_log.h"
#include "heap/capture/rules.h"
#include "heap/layout.h"

/* Stacks that one thread runs on. The first is its own: [low, high) is readable
 * while it lives. The others, alternate ones for signals and those of
 * coroutines, were mapped at some time. */
#define MT_STACK_RANGES 4
struct mt_stack_ranges {
    struct {
        uint64_t low, high;
    } range[MT_STACK_RANGES];
    unsigned last, replace; /* found last; replaced next */
};

struct mt_unwinding {
    uint64_t *frames;               /* out: return addresses, innermost first */
    unsigned max_frames;            /* at least 1 */
    unsigned n_frames;              /* out: at least 1 */
    unsigned flags;                 /* out: MT_STACK_* */
    struct mt_stack_ranges *ranges; /* or NULL: nothing is known */
    struct mt_read_log *read_log;   /* or NULL: not wanted */
};

/* The place of rbp: in `value`, or still in the slot where a callee saved
 * it. */
struct mt_lazy_rbp {
    uint64_t value, slot; /* slot 0: `value` */
    bool of_start;        /* `value` is the start register's */
};

struct mt_walk {
    struct mt_unwinding *u;
    const struct mt_regs *start;
    uint64_t low, high; /* readable: the stack that is being unwound */
    uint64_t page;      /* the page last found readable elsewhere, or 1 */
    uint64_t top;       /* end of the highest page found readable above */
    bool left_range;    /* a word was read that is on another stack */
    uint64_t pc, sp;    /* walk_fast: the frame it is at */
    struct mt_lazy_rbp rbp;
    const struct mt_rule_table *table;
    struct mt_cfi_work work;
};

enum mt_walk_end {
    MT_WALK_COMPLETE,   /* at the outermost frame */
    MT_WALK_TRUNCATED,  /* there are more frames */
    MT_WALK_INCOMPLETE, /* cannot continue */
    MT_WALK_NEEDS_FULL, /* of mt_walk_fast: to be done by mt_walk_full */
    MT_WALK_GOES_ON     /* within unwind.c: there was another frame */
};

/* Begins at `start`, with one frame. */
void mt_walk_begin(struct mt_walk *w, struct mt_unwinding *u,
                   const struct mt_regs *start);
/* The unwinding ended well: what it found readable belongs to its stack, if
 * nothing was guessed. */
MT_COLD void mt_walk_extend_range(struct mt_walk *w);

/* Makes [low, high) what is known to be readable of the stack that `sp` is on.
 */
void mt_walk_enter_stack(struct mt_walk *w, uint64_t sp);
/* Readable bytes above `sp`, on another stack than the thread's own: as many as
 * unwindings found there before, and MT_WALK_ROOM at most. Asks the kernel. */
#define MT_WALK_ROOM (UINT64_C(1) << 16)
MT_COLD MT_REALIGN uint64_t mt_walk_ask_room(const struct mt_stack_ranges *,
                                             uint64_t sp);
/* Is the word at `address`, which is not in [low, high), readable? */
MT_COLD bool mt_walk_admit(struct mt_walk *w, uint64_t address);

MT_READS_STACK static inline bool
mt_walk_read(struct mt_walk *w, uint64_t address, uint64_t *value)
{
    if (MT_UNLIKELY(address - w->low >= w->high - w->low || (address & 7)))
        if (!mt_walk_admit(w, address))
            return false;
    *value = *(const volatile uint64_t *)(uintptr_t)address;
    struct mt_read_log *read_log = w->u->read_log;
    if (read_log) {
        if (MT_LIKELY(read_log->n_words < read_log->max_words)) {
            read_log->addresses[read_log->n_words] = address;
            read_log->values[read_log->n_words++] = *value;
        } else {
            read_log->overflow = true;
        }
    }
    return true;
}

static inline void mt_walk_use_register(struct mt_walk *w, unsigned reg)
{
    if (w->u->read_log)
        w->u->read_log->registers |= 1u << reg;
}

/* False: the log is full. */
static inline bool mt_walk_add_frame(struct mt_walk *w, uint64_t pc)
{
    if (w->u->n_frames == w->u->max_frames)
        return false;
    w->u->frames[w->u->n_frames++] = pc;
    return true;
}

/* The frame-pointer step, for code without unwind data: the caller's rip,
 * rsp and rbp by rbp, if they are plausible. */
bool mt_walk_frame_pointer(struct mt_walk *w, uint64_t *rip, uint64_t *rsp,
                           uint64_t *rbp);

/* Can this be a return address? */
static inline bool mt_plausible_pc(uint64_t pc)
{
    return pc >= 4096 && pc < UINT64_C(1) << 47;
}

#endif
