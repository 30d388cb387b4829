/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unwind_full.c - unwinding with all registers, for the stacks that rsp and
 * rbp alone don't unwind: signal frames, hand-written assembly, expressions.
 *
 * A register's value is followed lazily, as rbp's is in unwind.c.
 */
#include "heap/seldom.h"
#include "heap/capture/capture.h"
#include "heap/capture/unwind_full.h"

#include "heap/capture/cfi.h"

#include <string.h>

struct tracked {
    enum { LOST, VALUE, SLOT, START } where;
    uint64_t at; /* the value, the address of its slot, or its value */
};

struct full {
    struct mt_walk *w;
    struct tracked reg[MT_CFI_REGS];
};

static bool full_get(void *context, unsigned r, uint64_t *value)
{
    struct full *f = context;
    struct tracked *reg = &f->reg[r];
    if (reg->where == LOST)
        return false;
    if (reg->where == SLOT) {
        if (!mt_walk_read(f->w, reg->at, &reg->at))
            return false;
        reg->where = VALUE;
    } else if (reg->where == START) {
        mt_walk_use_register(f->w, r);
    }
    *value = reg->at;
    return true;
}

static bool read_word(void *context, uint64_t address, uint64_t *value)
{
    struct full *f = context;
    return mt_walk_read(f->w, address, value);
}

static void full_set(struct full *f, unsigned r, int where, uint64_t at)
{
    f->reg[r].where = where;
    f->reg[r].at = at;
}

static void set_start(struct full *f, const struct mt_regs *regs)
{
    memset(f->reg, 0, sizeof f->reg);
    full_set(f, MT_REG_RIP, VALUE, regs->rip); /* these two are in every key */
    full_set(f, MT_REG_RSP, VALUE, regs->rsp);
    full_set(f, MT_REG_RBP, START, regs->rbp);
    full_set(f, MT_REG_RBX, START, regs->rbx);
    full_set(f, MT_REG_R12, START, regs->r12);
    full_set(f, MT_REG_R13, START, regs->r13);
    full_set(f, MT_REG_R14, START, regs->r14);
    full_set(f, MT_REG_R15, START, regs->r15);
}

/* The caller's register `r`, by `row`, from the callee's in `f`. */
static bool full_restore(struct full *f, const struct mt_cfi_row *row,
                         unsigned r, uint64_t cfa, struct tracked *out)
{
    struct mt_expr_env env = {full_get, read_word, f};
    const uint8_t *expression = mt_cfi_expression(row, r);
    int64_t value = row->rules.value[r];
    *out = f->reg[r];
    switch (row->rules.how[r]) {
    case MT_CFI_SAME:
        if (r == MT_REG_RSP)
            *out = (struct tracked){VALUE, cfa};
        return true;
    case MT_CFI_UNDEFINED:
        out->where = LOST;
        return true;
    case MT_CFI_OFFSET:
        *out = (struct tracked){SLOT, cfa + (uint64_t)value};
        return true;
    case MT_CFI_VAL_OFFSET:
        *out = (struct tracked){VALUE, cfa + (uint64_t)value};
        return true;
    case MT_CFI_REGISTER:
        if ((uint64_t)value >= MT_CFI_REGS)
            return false;
        *out = f->reg[value];
        if (out->where == START) { /* it would be taken for register r's */
            out->where = VALUE;
            mt_walk_use_register(f->w, (unsigned)value);
        }
        return true;
    case MT_CFI_EXPRESSION:
        out->where = SLOT;
        return mt_expr_evaluate(expression, &cfa, &env, &out->at);
    case MT_CFI_VAL_EXPRESSION:
        out->where = VALUE;
        return mt_expr_evaluate(expression, &cfa, &env, &out->at);
    default:
        return false;
    }
}

static bool compute_cfa(struct full *f, const struct mt_cfi_row *row,
                        uint64_t *cfa)
{
    if (row->cfa_expression) {
        struct mt_expr_env env = {full_get, read_word, f};
        return mt_expr_evaluate(row->cfa_expression, NULL, &env, cfa);
    }
    if (!full_get(f, row->cfa_register, cfa))
        return false;
    *cfa += (uint64_t)row->cfa_offset;
    return true;
}

/* To the caller by `row`; false if its registers can't be had. */
static bool full_apply(struct full *f, const struct mt_cfi_row *row)
{
    struct tracked caller[MT_CFI_REGS];
    uint64_t cfa;
    if (!compute_cfa(f, row, &cfa))
        return false;
    for (unsigned r = 0; r < MT_CFI_REGS; r++)
        if (!full_restore(f, row, r, cfa, &caller[r]))
            caller[r].where = LOST;
    memcpy(f->reg, caller, sizeof caller);
    return true;
}

/* The caller of code without unwind data. */
static bool apply_frame_pointer(struct full *f)
{
    uint64_t rip, rsp, rbp;
    if (!full_get(f, MT_REG_RSP, &rsp) || !full_get(f, MT_REG_RBP, &rbp) ||
        !mt_walk_frame_pointer(f->w, &rip, &rsp, &rbp))
        return false;
    for (unsigned r = 0; r < MT_CFI_REGS; r++)
        f->reg[r].where = LOST;
    full_set(f, MT_REG_RIP, VALUE, rip);
    full_set(f, MT_REG_RSP, VALUE, rsp);
    full_set(f, MT_REG_RBP, VALUE, rbp);
    return true;
}

/* A signal's frame may be on a stack of its own. */
static void change_stack(struct full *f)
{
    struct mt_walk *w = f->w;
    uint64_t sp = f->reg[MT_REG_RSP].at;
    if (full_get(f, MT_REG_RSP, &sp) && sp - w->low >= w->high - w->low) {
        w->left_range = true;
        mt_walk_enter_stack(w, sp);
    }
}

enum mt_walk_end mt_walk_full(struct mt_walk *w)
{
    struct full f = {.w = w};
    const struct mt_cfi_row *row = &w->work.row;
    uint64_t pc = w->start->rip, sp, next_sp;
    bool called = true; /* else interrupted: pc is the next instruction */
    set_start(&f, w->start);
    for (;;) {
        enum mt_cfi_status status = mt_cfi_row_at(pc - called, &w->work);
        if (!full_get(&f, MT_REG_RSP, &sp))
            return MT_WALK_INCOMPLETE;
        if (status == MT_CFI_UNSUPPORTED)
            return MT_WALK_INCOMPLETE;
        if (status == MT_CFI_OK &&
            row->rules.how[MT_REG_RIP] == MT_CFI_UNDEFINED)
            return MT_WALK_COMPLETE;
        if (status == MT_CFI_NONE && called && mt_rules_outermost(pc, &w->work))
            return MT_WALK_COMPLETE;
        if (status == MT_CFI_OK ? !full_apply(&f, row)
                                : !apply_frame_pointer(&f))
            return MT_WALK_INCOMPLETE;
        called = !(status == MT_CFI_OK && row->signal_frame);
        if (!full_get(&f, MT_REG_RIP, &pc) ||
            !full_get(&f, MT_REG_RSP, &next_sp))
            return MT_WALK_INCOMPLETE;
        if (pc == 0)
            return MT_WALK_COMPLETE;
        if (!mt_plausible_pc(pc) || (called && next_sp <= sp))
            return MT_WALK_INCOMPLETE;
        if (!called)
            change_stack(&f);
        if (!mt_walk_add_frame(w, pc))
            return MT_WALK_TRUNCATED;
    }
}
