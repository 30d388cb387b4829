/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known_path.c - unwinding down to a frame that is known.
 *
 * A recursion that returns a few frames and calls others has most of its
 * callers in common with the stack that was captured before. The path keeps,
 * for each frame of that stack, the state of the unwinding when it was there:
 * pc, sp, and rbp or the place where it is saved. The next unwinding begins as
 * any, and compares its state with that of the path's frame at the same sp. An
 * unwinding depends on its state, the rules, and the words that it reads from
 * there on. So if the states are equal, and the words that led on from there
 * are what they were, it would lead to the same callers. They are compared in
 * the order in which they would be read; at one that differs, all before it
 * are known to be those that the unwinder would read. It then continues,
 * and tries again at a frame further out.
 *
 * rbp is a part of the state only as far as what follows depends on it: not,
 * if a frame further out has it from its own stack before it is used.
 *
 * The rest is as with the memo (capture.c). The rules hold as long as no object
 * was loaded: the path is dropped when that count changes. All is on the
 * thread's own stack, which is readable. What takes more than rules on rsp and
 * rbp (signal frames, guesses by frame pointer, other stacks, more frames than
 * are kept) is unwound as a whole by others.
 */
#include "heap/capture/known_path.h"

#include "heap/capture/rules.h"

/* Would the frame's step, and all that follow, read what they read?  0, or the
 * frame whose step would not. */
MT_READS_STACK static inline uint32_t
path_changed(const struct mt_stack_path *p, uint32_t i)
{
    const struct mt_path_frame *f = &p->frames[i];
    for (; i > 0; i--, f--) {
        const struct mt_path_frame *caller = f - 1;
        if (MT_UNLIKELY(f->reads_slot) &&
            *(const mt_any_word *)(uintptr_t)f->slot != f->rbp)
            return i;
        if (MT_UNLIKELY(f->also) &&
            *(const mt_any_word *)(uintptr_t)f->also != caller->sp)
            return i;
        if (*((const mt_any_word *)(uintptr_t)caller->sp - 1) != caller->pc)
            return i;
    }
    return 0;
}

struct path_state {
    uint64_t pc, sp, slot, rbp;
    uint64_t low, size; /* readable */
    bool of_start;      /* rbp is that of the start */
};

static inline bool state_is(const struct path_state *s,
                            const struct mt_path_frame *f)
{
    return s->sp == f->sp && s->pc == f->pc &&
           (!f->needs_rbp ||
            (s->slot == f->slot && (s->slot || s->rbp == f->rbp)));
}

MT_READS_STACK static inline bool path_read(const struct path_state *s,
                                            uint64_t address, uint64_t *value)
{
    if (address - s->low >= s->size || (address & 7))
        return false;
    *value = *(const mt_any_word *)(uintptr_t)address;
    return true;
}

static bool path_fetch_rbp(struct mt_stack_path *p, struct path_state *s,
                           struct mt_path_frame *f)
{
    if (s->slot) {
        if (!path_read(s, s->slot, &s->rbp))
            return false;
        f->rbp = s->rbp;
        f->reads_slot = true;
        s->slot = 0;
        s->of_start = false;
    } else if (s->of_start) {
        p->uses_rbp = true;
    }
    f->needs_rbp = true;
    return (s->rbp & 7) == 0;
}

/* To the caller by a rule that needs more than rsp. */
static MT_NOINLINE bool path_step_rbp(struct mt_stack_path *p,
                                      struct path_state *s,
                                      struct mt_path_frame *f, mt_rule rule,
                                      uint64_t *cfa)
{
    if (!path_fetch_rbp(p, s, f))
        return false;
    *cfa = s->rbp + (uint64_t)mt_rule_offset(rule);
    if (mt_rule_kind(rule) != MT_RULE_REALIGNED)
        return true;
    f->also = *cfa;
    f->keeps_rbp = false;
    s->slot = s->rbp;
    return path_read(s, f->also, cfa);
}

/* To the caller of the frame `f`, which the state is that of. False: not by
 * these rules. */
static inline bool path_step(struct mt_stack_path *p, struct path_state *s,
                             struct mt_path_frame *f, mt_rule rule)
{
    uint64_t cfa = s->sp + (uint64_t)mt_rule_offset(rule), pc;
    unsigned slot = mt_rule_rbp_slot(rule);
    f->keeps_rbp = slot == 0;
    if (mt_rule_kind(rule) != MT_RULE_RSP &&
        ((mt_rule_kind(rule) != MT_RULE_RBP &&
          mt_rule_kind(rule) != MT_RULE_REALIGNED) ||
         !path_step_rbp(p, s, f, rule, &cfa)))
        return false;
    if (slot)
        s->slot = cfa - 8 * (slot + 1);
    if (MT_UNLIKELY(cfa <= s->sp || !path_read(s, cfa - 8, &pc) ||
                    !mt_plausible_pc(pc)))
        return false;
    s->pc = pc;
    s->sp = cfa;
    return true;
}

static bool path_walk(struct mt_stack_path *p, const struct mt_regs *start,
                      uint64_t low, uint64_t high, unsigned max,
                      struct mt_cfi_work *work)
{
    const struct mt_rule_table *table = mt_rules_current();
    struct path_state s = {start->rip, start->rsp, 0,   start->rbp,
                           low,        high - low, true};
    uint32_t known = p->n, n = 0; /* frames that may be come to; fresh ones */
    p->uses_rbp = false;
    if (!table || (s.sp & 7))
        return false;
    for (;;) {
        const struct mt_path_frame *f = &p->frames[known];
        while (known && f[-1].sp < s.sp)
            known--, f--;
        if (known && state_is(&s, f - 1)) {
            bool uses_rbp = f[-1].needs_rbp && s.slot == 0 && s.of_start;
            uint32_t changed = path_changed(p, known - 1);
            if (changed == 0) {
                p->uses_rbp |= uses_rbp;
                break;
            }
            known = changed;
        }
        if (n == max)
            return false;
        struct mt_path_frame *fresh = &p->fresh[n++];
        *fresh = (struct mt_path_frame){
            .pc = s.pc, .sp = s.sp, .slot = s.slot, .rbp = s.rbp};
        mt_rule rule = mt_rule_of(s.pc, table, work);
        if (MT_UNLIKELY(mt_rule_kind(rule) == MT_RULE_OUTERMOST)) {
            known = 0;
            break;
        }
        if (!path_step(p, &s, fresh, rule))
            return false;
    }
    p->n_shared = known;
    p->n_fresh = n;
    return known + n <= max;
}

bool mt_path_walk(struct mt_stack_path *p, const struct mt_regs *start,
                  uint64_t low, uint64_t high, unsigned max,
                  struct mt_cfi_work *work)
{
    if (MT_UNLIKELY(p->resting)) {
        p->resting--;
        return false;
    }
    if (path_walk(p, start, low, high, max, work)) {
        p->failed = 0;
        return true;
    }
    p->failed += p->failed < MT_PATH_REST;
    p->resting = p->failed;
    return false;
}

void mt_path_take(struct mt_stack_path *p)
{
    struct mt_path_frame *to = &p->frames[p->n_shared];
    bool needs_rbp = p->n_shared && to[-1].needs_rbp;
    for (uint32_t i = p->n_fresh; i-- > 0; to++) {
        *to = p->fresh[i];
        needs_rbp = to->needs_rbp || (to->keeps_rbp && needs_rbp);
        to->needs_rbp = needs_rbp;
    }
}

static inline void path_log(struct mt_read_log *log, uint64_t address,
                            uint64_t value)
{
    log->addresses[log->n_words] = address;
    log->values[log->n_words++] = value;
}

void mt_path_read_log(const struct mt_stack_path *p, uint32_t n,
                      struct mt_read_log *log)
{
    log->n_words = 0;
    log->registers = p->uses_rbp ? 1u << 6 : 0;
    log->overflow = false;
    for (uint32_t i = n; i-- > 1;) {
        const struct mt_path_frame *f = &p->frames[i];
        if (log->n_words + 3 > log->max_words) {
            log->overflow = true;
            return;
        }
        if (f->reads_slot)
            path_log(log, f->slot, f->rbp);
        if (f->also)
            path_log(log, f->also, f[-1].sp);
        path_log(log, f[-1].sp - 8, f[-1].pc);
    }
}
