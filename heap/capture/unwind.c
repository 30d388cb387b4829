/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unwind.c - unwinding by rsp and rbp.
 *
 * Nearly every frame's caller is found by one rule of rules.c: the CFA is at
 * a fixed distance from rsp or rbp, the return address below it. rbp is
 * followed lazily: a frame that saved it only moves the place where it is,
 * and it is read when a frame needs it. So the words that are read are those
 * that the result depends on, no others, which is what a memo of the result
 * wants. A frame that needs other registers, or an expression, makes
 * unwind_full.c do the whole stack again.
 */
#include "heap/capture/capture.h"
#include "heap/capture/unwind.h"
#include "heap/capture/unwind_full.h"
#include "heap/layout.h"

#include <string.h>

static inline bool fetch_rbp(struct mt_walk *w)
{
    struct mt_lazy_rbp *rbp = &w->rbp;
    if (rbp->slot) {
        if (!mt_walk_read(w, rbp->slot, &rbp->value))
            return false;
        rbp->slot = 0;
        rbp->of_start = false;
    } else if (rbp->of_start) {
        mt_walk_use_register(w, 6);
    }
    return (rbp->value & 7) == 0;
}

/* By frame pointer. */
static MT_COLD enum mt_walk_end guess_caller(struct mt_walk *w)
{
    if (!fetch_rbp(w) ||
        !mt_walk_frame_pointer(w, &w->pc, &w->sp, &w->rbp.value))
        return MT_WALK_INCOMPLETE;
    w->rbp.of_start = false;
    return mt_walk_add_frame(w, w->pc) ? MT_WALK_GOES_ON : MT_WALK_TRUNCATED;
}

/* To the caller of the frame at w->pc by any rule; MT_WALK_GOES_ON means to
 * continue. */
static MT_NOINLINE enum mt_walk_end unwind_step(struct mt_walk *w, mt_rule rule)
{
    unsigned slot = mt_rule_rbp_slot(rule);
    uint64_t cfa;
    switch (mt_rule_kind(rule)) {
    case MT_RULE_RSP:
        cfa = w->sp + (uint64_t)mt_rule_offset(rule);
        break;
    case MT_RULE_RBP:
        if (!fetch_rbp(w))
            return MT_WALK_INCOMPLETE;
        cfa = w->rbp.value + (uint64_t)mt_rule_offset(rule);
        break;
    case MT_RULE_REALIGNED:
        if (!fetch_rbp(w) ||
            !mt_walk_read(w, w->rbp.value + (uint64_t)mt_rule_offset(rule),
                          &cfa))
            return MT_WALK_INCOMPLETE;
        w->rbp.slot = w->rbp.value;
        break;
    case MT_RULE_OUTERMOST:
        return MT_WALK_COMPLETE;
    case MT_RULE_NO_DATA:
        return guess_caller(w);
    default:
        return MT_WALK_NEEDS_FULL;
    }
    if (slot)
        w->rbp.slot = cfa - 8 * (slot + 1);
    if (cfa <= w->sp || !mt_walk_read(w, cfa - 8, &w->pc))
        return MT_WALK_INCOMPLETE;
    w->sp = cfa;
    if (MT_UNLIKELY(!mt_plausible_pc(w->pc)))
        return w->pc == 0 ? MT_WALK_COMPLETE : MT_WALK_INCOMPLETE;
    return mt_walk_add_frame(w, w->pc) ? MT_WALK_GOES_ON : MT_WALK_TRUNCATED;
}

/* The first rule of the group of `pc`, which may be another's. */
static inline uint64_t first_rule(uint64_t pc,
                                  const struct mt_rule_table *table)
{
    uint64_t group = mt_rule_group(pc, table->group_mask);
    return mt_load_relaxed(&table->words[group * MT_RULE_GROUP]);
}

/* Does what step() does with everything in registers, for steps that need rsp
 * alone, in an unwinding with a log. Returns the rule that it stops at, 0 if
 * there is no room for more. */
MT_READS_STACK static MT_NOINLINE mt_rule rsp_steps(struct mt_walk *w)
{
    const struct mt_rule_table *table = w->table;
    const uint64_t high = w->high;
    const size_t first = w->u->n_frames;
    struct mt_read_log *read_log = w->u->read_log;
    uint64_t *const frame = w->u->frames;
    uint64_t *const addresses = read_log->addresses + read_log->n_words - first;
    uint64_t pc, sp, slot_at;
    size_t n, frames = first + read_log->max_words - read_log->n_words;
    mt_rule rule;
    if (frames > w->u->max_frames)
        frames = w->u->max_frames;
    if (w->sp - w->low >= high - w->low)
        return mt_rule_of(w->pc, table, &w->work);
again:
    pc = w->pc;
    sp = w->sp;
    slot_at = w->rbp.slot;
    rule = 0;
    for (n = first; n < frames; n++) {
        uint64_t word = first_rule(pc, table);
        if (MT_UNLIKELY(
                word >> MT_RULE_KIND_SHIFT !=
                (pc >> MT_RULE_LOW_BITS << MT_RULE_KIND_BITS | MT_RULE_RSP))) {
            if (!mt_plausible_pc(pc))
                break;
            word = rule = mt_rule_of(pc, table, &w->work);
            if (mt_rule_kind(rule) != MT_RULE_RSP)
                break;
        }
        /* The rule's offset is at least 8, so only the upper end has to be
         * checked. */
        uint64_t at = sp + 8 * (uint64_t)(uint16_t)word;
        if (MT_UNLIKELY(at > high)) {
            rule = (mt_rule)word & ((1u << MT_RULE_BITS) - 1);
            break;
        }
        pc = *((const mt_any_word *)(uintptr_t)at - 1);
        if (word & MT_RULE_SLOT_MASK)
            slot_at = at - 8 * (mt_rule_rbp_slot((mt_rule)word) + 1);
        addresses[n] = at - 8;
        frame[n] = pc;
        sp = at;
        rule = 0;
    }
    if (MT_UNLIKELY(!mt_plausible_pc(pc)) && n > first) {
        frames = n - 1; /* up to what that is returned to from */
        goto again;
    }
    w->pc = pc;
    w->sp = sp;
    w->rbp.slot = slot_at;
    w->u->n_frames = (unsigned)n;
    memcpy(read_log->values + read_log->n_words, frame + first,
           (n - first) * sizeof *frame);
    read_log->n_words += (uint32_t)(n - first);
    return rule;
}

/* Without a table of rules. */
static MT_COLD enum mt_walk_end walk_slowly(struct mt_walk *w)
{
    enum mt_walk_end end = MT_WALK_GOES_ON;
    while (end == MT_WALK_GOES_ON)
        end = unwind_step(w, mt_rules_compile(w->pc, NULL, &w->work));
    return end;
}

/* Does what step() does for up to `frames` steps by rbp, in code that keeps
 * frame pointers. Returns the rule that it stops at, 0 at `frames`; whatever is
 * not plain is left to step(). */
MT_READS_STACK static MT_NOINLINE mt_rule rbp_steps(struct mt_walk *w,
                                                    size_t frames)
{
    const struct mt_rule_table *table = w->table;
    struct mt_read_log *read_log = w->u->read_log;
    const uint64_t low = w->low, size = w->high - low;
    uint64_t *const frame = w->u->frames;
    size_t n = w->u->n_frames;
    uint64_t pc = w->pc, sp = w->sp, rbp = w->rbp.value;
    uint64_t slot_at = w->rbp.slot;
    mt_rule rule = 0;
    for (; n < frames; n++) {
        rule = mt_rule_of(pc, table, &w->work);
        unsigned slot = mt_rule_rbp_slot(rule);
        if (mt_rule_kind(rule) != MT_RULE_RBP ||
            (slot_at && (slot_at - low >= size || (slot_at & 7))))
            break;
        uint64_t base =
            slot_at ? *(const mt_any_word *)(uintptr_t)slot_at : rbp;
        uint64_t at = base + (uint64_t)mt_rule_offset(rule);
        if ((base & 7) || at <= sp || at - 8 - low >= size)
            break;
        uint64_t next = *((const mt_any_word *)(uintptr_t)at - 1);
        if (!mt_plausible_pc(next))
            break;
        if (read_log) {
            if (read_log->n_words + 2 > read_log->max_words)
                break;
            if (slot_at) {
                read_log->addresses[read_log->n_words] = slot_at;
                read_log->values[read_log->n_words++] = base;
            } else if (w->rbp.of_start) {
                mt_walk_use_register(w, 6);
            }
            read_log->addresses[read_log->n_words] = at - 8;
            read_log->values[read_log->n_words++] = next;
        }
        if (slot_at)
            w->rbp.of_start = false;
        rbp = base;
        slot_at = slot ? at - 8 * (slot + 1) : 0;
        frame[n] = pc = next;
        sp = at;
        rule = 0;
    }
    w->pc = pc;
    w->sp = sp;
    w->rbp.value = rbp;
    w->rbp.slot = slot_at;
    w->u->n_frames = (unsigned)n;
    return rule;
}

enum mt_walk_end mt_walk_fast(struct mt_walk *w)
{
    struct mt_unwinding *u = w->u;
    enum mt_walk_end end = MT_WALK_GOES_ON;
    if (w->sp & 7)
        return MT_WALK_INCOMPLETE;
    if (!w->table)
        return walk_slowly(w);
    while (end == MT_WALK_GOES_ON) {
        mt_rule rule =
            u->read_log ? rsp_steps(w) : mt_rule_of(w->pc, w->table, &w->work);
        if (mt_rule_kind(rule) == MT_RULE_RBP) {
            unsigned before = u->n_frames;
            rule = rbp_steps(w, u->max_frames);
            if (u->n_frames > before && mt_rule_kind(rule) == MT_RULE_RSP)
                continue;
        }
        end =
            unwind_step(w, rule ? rule : mt_rule_of(w->pc, w->table, &w->work));
    }
    return end;
}

void mt_walk_finish(struct mt_walk *w, enum mt_walk_end end)
{
    struct mt_unwinding *u = w->u;
    if (MT_UNLIKELY(end == MT_WALK_NEEDS_FULL)) {
        mt_walk_begin(w, u, w->start);
        end = mt_walk_full(w);
    }
    if (end == MT_WALK_TRUNCATED)
        u->flags |= MT_STACK_TRUNCATED;
    else if (MT_UNLIKELY(end == MT_WALK_INCOMPLETE))
        u->flags |= MT_STACK_INCOMPLETE;
    if (MT_UNLIKELY(w->top) && end != MT_WALK_INCOMPLETE)
        mt_walk_extend_range(w);
    if (MT_UNLIKELY(w->left_range) && u->read_log)
        u->read_log->overflow = true;
}

void mt_unwind(struct mt_unwinding *u, const struct mt_regs *regs)
{
    struct mt_walk w;
    mt_walk_begin(&w, u, regs);
    mt_walk_finish(&w, mt_walk_fast(&w));
}
