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

MT_READS_STACK static inline bool word_is(uint64_t address, uint64_t value)
{
    return *(const mt_any_word *)(uintptr_t)address == value;
}

/* Is the frame's return address where it was read? */
MT_READS_STACK static inline bool path_returns(const struct mt_path_frame *f)
{
    return word_is(f->sp - 8, f->pc);
}

/* Would the frame's step, and all that follow, read what they read?  0, or a
 * frame whose step would not. */
MT_READS_STACK static inline uint32_t
path_changed(const struct mt_stack_path *p, uint32_t i)
{
    const struct mt_path_frame *f = &p->frames[i], *first = p->frames;
    for (; f - first >= 4; f -= 4)
        if (!path_returns(f - 1) || !path_returns(f - 2) ||
            !path_returns(f - 3) || !path_returns(f - 4))
            break;
    for (; f != first; f--)
        if (!path_returns(f - 1))
            return (uint32_t)(f - first);
    uint32_t n = first[i].n_words;
    while (n && word_is(p->words[n - 1].address, p->words[n - 1].value))
        n--;
    while (n && first[i - 1].n_words >= n)
        i--;
    return n ? i : 0;
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
           (!(f->flags & MT_PATH_NEEDS_RBP) ||
            ((s->slot != 0) == (f->flags & MT_PATH_IN_SLOT) &&
             (s->slot ? s->slot : s->rbp) == f->rbp));
}

MT_READS_STACK static inline bool path_read(const struct path_state *s,
                                            uint64_t address, uint64_t *value)
{
    if (address - s->low >= s->size || (address & 7))
        return false;
    *value = *(const mt_any_word *)(uintptr_t)address;
    return true;
}

/* The step from the frame read a word. */
static inline void path_note(struct mt_stack_path *p, struct mt_path_frame *f,
                             uint64_t address, uint64_t value)
{
    p->fresh_words[MT_PATH_WORDS - ++p->n_fresh_words] =
        (struct mt_path_word){.address = address, .value = value};
    f->n_words++;
}

static bool path_fetch_rbp(struct mt_stack_path *p, struct path_state *s,
                           struct mt_path_frame *f)
{
    if (s->slot) {
        if (!path_read(s, s->slot, &s->rbp))
            return false;
        path_note(p, f, s->slot, s->rbp);
        s->slot = 0;
        s->of_start = false;
    } else if (s->of_start) {
        p->uses_rbp = true;
    }
    f->flags |= MT_PATH_NEEDS_RBP;
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
    uint64_t at = s->rbp + (uint64_t)mt_rule_offset(rule);
    *cfa = at;
    if (mt_rule_kind(rule) != MT_RULE_REALIGNED)
        return true;
    if (!path_read(s, at, cfa))
        return false;
    path_note(p, f, at, *cfa);
    f->flags &= ~MT_PATH_KEEPS_RBP;
    s->slot = s->rbp;
    return true;
}

/* To the caller of the frame `f`, which the state is that of. False: not by
 * these rules. */
static inline bool path_step(struct mt_stack_path *p, struct path_state *s,
                             struct mt_path_frame *f, mt_rule rule)
{
    uint64_t cfa = s->sp + (uint64_t)mt_rule_offset(rule), pc;
    unsigned slot = mt_rule_rbp_slot(rule);
    if (mt_rule_kind(rule) != MT_RULE_RSP &&
        ((mt_rule_kind(rule) != MT_RULE_RBP &&
          mt_rule_kind(rule) != MT_RULE_REALIGNED) ||
         !path_step_rbp(p, s, f, rule, &cfa)))
        return false;
    if (slot) {
        f->flags &= ~MT_PATH_KEEPS_RBP;
        s->slot = cfa - 8 * (slot + 1);
    }
    if (MT_UNLIKELY(cfa <= s->sp || !path_read(s, cfa - 8, &pc) ||
                    !mt_plausible_pc(pc)))
        return false;
    s->pc = pc;
    s->sp = cfa;
    return true;
}

static bool path_walk(struct mt_stack_path *p, const struct mt_regs *start,
                      uint64_t low, uint64_t high, struct mt_cfi_work *work)
{
    const struct mt_rule_table *table = mt_rules_current();
    struct path_state s = {start->rip, start->rsp, 0,   start->rbp,
                           low,        high - low, true};
    uint32_t known = p->n, n = 0; /* frames that may be come to; fresh ones */
    p->uses_rbp = false;
    p->n_fresh_words = 0;
    if (!table || (s.sp & 7))
        return false;
    for (;;) {
        const struct mt_path_frame *f = &p->frames[known];
        while (known && f[-1].sp < s.sp)
            known--, f--;
        if (known && state_is(&s, f - 1)) {
            bool uses_rbp =
                (f[-1].flags & MT_PATH_NEEDS_RBP) && s.slot == 0 && s.of_start;
            uint32_t changed = path_changed(p, known - 1);
            if (changed == 0) {
                p->uses_rbp |= uses_rbp;
                break;
            }
            known = changed;
        }
        if (n == MT_DEPTH_MAX)
            return false;
        struct mt_path_frame *fresh = &p->fresh[MT_DEPTH_MAX - ++n];
        *fresh = (struct mt_path_frame){
            .pc = s.pc,
            .sp = s.sp,
            .rbp = s.slot ? s.slot : s.rbp,
            .flags = MT_PATH_KEEPS_RBP | (s.slot ? MT_PATH_IN_SLOT : 0),
        };
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
    return known + n <= MT_DEPTH_MAX;
}

bool mt_path_walk(struct mt_stack_path *p, const struct mt_regs *start,
                  uint64_t low, uint64_t high, struct mt_cfi_work *work)
{
    if (MT_UNLIKELY(p->resting)) {
        p->resting--;
        return false;
    }
    if (path_walk(p, start, low, high, work)) {
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
    const struct mt_path_frame *from = &p->fresh[MT_DEPTH_MAX - p->n_fresh];
    const struct mt_path_word *word =
        &p->fresh_words[MT_PATH_WORDS - p->n_fresh_words];
    unsigned needs_rbp = p->n_shared ? to[-1].flags & MT_PATH_NEEDS_RBP : 0;
    unsigned n_words = p->n_shared ? to[-1].n_words : 0;
    for (; from != p->fresh + MT_DEPTH_MAX; from++, to++) {
        unsigned flags = from->flags;
        if (!(flags & MT_PATH_KEEPS_RBP))
            needs_rbp = 0;
        flags |= needs_rbp;
        needs_rbp = flags & MT_PATH_NEEDS_RBP;
        to->pc = from->pc;
        to->sp = from->sp;
        to->rbp = from->rbp;
        to->flags = (uint8_t)flags;
        for (unsigned n = from->n_words; n; n--)
            p->words[n_words++] = *word++;
        to->n_words = (uint16_t)n_words;
    }
}

static inline void path_log(struct mt_read_log *log, uint64_t address,
                            uint64_t value)
{
    log->addresses[log->n_words] = address;
    log->values[log->n_words++] = value;
}

/* Where callers are left out, the step to them was taken: there are some. */
void mt_path_read_log(const struct mt_stack_path *p, struct mt_read_log *log)
{
    uint32_t first = p->first ? p->first : 1, n = p->n > first ? p->n : first;
    uint32_t words = p->frames[n - 1].n_words;
    uint32_t n_others = words - p->frames[first - 1].n_words;
    log->n_words = 0;
    log->registers = p->uses_rbp ? 1u << 6 : 0;
    log->overflow = n - first + n_others > log->max_words;
    for (uint32_t i = log->overflow ? 0 : n; i-- > first;) {
        const struct mt_path_frame *caller = &p->frames[i - 1];
        for (; words > caller->n_words; words--)
            path_log(log, p->words[words - 1].address,
                     p->words[words - 1].value);
        path_log(log, caller->sp - 8, caller->pc);
    }
}
