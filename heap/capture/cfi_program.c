/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cfi_program.c - the instructions of a CIE and an FDE.
 *
 * Coroutines and signal handlers have stacks of a few KiB, so that no state is
 * pushed: where one is remembered, what follows up to its restoring is skipped
 * if that comes before the address that is asked for.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/capture/cfi.h"

#define MAX_REMEMBERED 8 /* states, within one another */

enum {
    CFA_ADVANCE_LOC = 0x40, /* the upper two bits */
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,
    CFA_NOP = 0x00,
    CFA_SET_LOC = 0x01,
    CFA_ADVANCE_LOC1 = 0x02,
    CFA_ADVANCE_LOC2 = 0x03,
    CFA_ADVANCE_LOC4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER_STATE = 0x0a,
    CFA_RESTORE_STATE = 0x0b,
    CFA_DEF_CFA = 0x0c,
    CFA_DEF_CFA_REGISTER = 0x0d,
    CFA_DEF_CFA_OFFSET = 0x0e,
    CFA_DEF_CFA_EXPRESSION = 0x0f,
    CFA_EXPRESSION = 0x10,
    CFA_OFFSET_EXTENDED_SF = 0x11,
    CFA_DEF_CFA_SF = 0x12,
    CFA_DEF_CFA_OFFSET_SF = 0x13,
    CFA_VAL_OFFSET = 0x14,
    CFA_VAL_OFFSET_SF = 0x15,
    CFA_VAL_EXPRESSION = 0x16,
    CFA_GNU_ARGS_SIZE = 0x2e,
    CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

static bool run_one(struct mt_cfi_state *s);

static bool set_rule(struct mt_cfi_state *s, uint64_t reg, enum mt_cfi_how how,
                     int64_t value)
{
    if (reg >= MT_CFI_REGS || !s->row)
        return true; /* vector and mask registers: nothing of ours needs them */
    s->row->rules.how[reg] = (uint8_t)how;
    s->row->rules.value[reg] = (int32_t)value;
    return value == (int32_t)value;
}

static bool restore_rule(struct mt_cfi_state *s, uint64_t reg)
{
    if (reg >= MT_CFI_REGS || !s->initial)
        return set_rule(s, reg, MT_CFI_SAME, 0);
    return set_rule(s, reg, s->initial->how[reg], s->initial->value[reg]);
}

/* Skips an expression; returns where it (its length) begins. */
static const uint8_t *read_expression(struct mt_cfi_state *s)
{
    const uint8_t *begin = s->code.at;
    mt_read_skip(&s->code, mt_read_uleb(&s->code));
    return begin;
}

static bool set_expression(struct mt_cfi_state *s, uint64_t reg,
                           enum mt_cfi_how how)
{
    const uint8_t *at = read_expression(s);
    return set_rule(s, reg, how, s->row ? at - s->row->expressions : 0);
}

/* Up to the address, but in what is skipped no further than to the restoring
 * of what was remembered first. */
static bool run_on(struct mt_cfi_state *s)
{
    while (s->code.at < s->code.end && s->location <= s->address &&
           (s->row || s->n_remembered))
        if (!run_one(s) || s->code.bad)
            return false;
    return true;
}

static MT_NOINLINE bool cfi_remember(struct mt_cfi_state *s)
{
    if (s->n_remembered == MAX_REMEMBERED)
        return false;
    if (s->row) {
        struct mt_cfi_row *row = s->row;
        struct mt_cursor code = s->code;
        uint64_t location = s->location;
        unsigned n = s->n_remembered;
        s->row = NULL;
        s->n_remembered = 1;
        bool ok = run_on(s), skipped = s->n_remembered == 0;
        s->row = row;
        s->n_remembered = n;
        if (skipped || !ok)
            return ok;
        s->code = code;
        s->location = location;
    }
    s->n_remembered++;
    return true;
}

/* If a state is to take effect again, it was skipped to. */
static bool cfi_restore(struct mt_cfi_state *s)
{
    if (s->row)
        return false;
    s->n_remembered--;
    return true;
}

/* The register must be one that is tracked; CFA by any other is an error. */
static bool define_cfa(struct mt_cfi_state *s, uint64_t reg, int64_t offset)
{
    if (!s->row)
        return true;
    s->row->cfa_register = (uint8_t)reg;
    s->row->cfa_offset = offset;
    s->row->cfa_expression = NULL;
    return reg < MT_CFI_REGS;
}

static bool move_cfa(struct mt_cfi_state *s, int64_t offset)
{
    if (s->row)
        s->row->cfa_offset = offset;
    return true;
}

/* Whatever the numbers are: they may be anything. */
static int64_t factored(const struct mt_cfi_state *s, uint64_t n)
{
    return (int64_t)(n * (uint64_t)s->cie->data_align);
}

static bool run_cfa(struct mt_cfi_state *s, uint8_t op)
{
    struct mt_cursor *c = &s->code;
    const uint8_t *at;
    uint64_t reg;
    switch (op) {
    case CFA_DEF_CFA:
        reg = mt_read_uleb(c);
        return define_cfa(s, reg, (int64_t)mt_read_uleb(c));
    case CFA_DEF_CFA_SF:
        reg = mt_read_uleb(c);
        return define_cfa(s, reg, factored(s, (uint64_t)mt_read_sleb(c)));
    case CFA_DEF_CFA_REGISTER:
        reg = mt_read_uleb(c);
        return define_cfa(s, reg, s->row ? s->row->cfa_offset : 0);
    case CFA_DEF_CFA_OFFSET:
        return move_cfa(s, (int64_t)mt_read_uleb(c));
    case CFA_DEF_CFA_OFFSET_SF:
        return move_cfa(s, factored(s, (uint64_t)mt_read_sleb(c)));
    case CFA_DEF_CFA_EXPRESSION:
        at = read_expression(s);
        if (s->row)
            s->row->cfa_expression = at;
        return true;
    default:
        return false;
    }
}

static bool run_rule(struct mt_cfi_state *s, uint8_t op)
{
    struct mt_cursor *c = &s->code;
    uint64_t reg = mt_read_uleb(c);
    switch (op) {
    case CFA_OFFSET_EXTENDED:
        return set_rule(s, reg, MT_CFI_OFFSET, factored(s, mt_read_uleb(c)));
    case CFA_OFFSET_EXTENDED_SF:
        return set_rule(s, reg, MT_CFI_OFFSET,
                        factored(s, (uint64_t)mt_read_sleb(c)));
    case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
        return set_rule(s, reg, MT_CFI_OFFSET,
                        factored(s, 0 - mt_read_uleb(c)));
    case CFA_VAL_OFFSET:
        return set_rule(s, reg, MT_CFI_VAL_OFFSET,
                        factored(s, mt_read_uleb(c)));
    case CFA_VAL_OFFSET_SF:
        return set_rule(s, reg, MT_CFI_VAL_OFFSET,
                        factored(s, (uint64_t)mt_read_sleb(c)));
    case CFA_RESTORE_EXTENDED:
        return restore_rule(s, reg);
    case CFA_UNDEFINED:
        return set_rule(s, reg, MT_CFI_UNDEFINED, 0);
    case CFA_SAME_VALUE:
        return set_rule(s, reg, MT_CFI_SAME, 0);
    case CFA_REGISTER:
        return set_rule(s, reg, MT_CFI_REGISTER, (int64_t)mt_read_uleb(c));
    case CFA_EXPRESSION:
        return set_expression(s, reg, MT_CFI_EXPRESSION);
    case CFA_VAL_EXPRESSION:
        return set_expression(s, reg, MT_CFI_VAL_EXPRESSION);
    default:
        return false;
    }
}

static void cfi_advance(struct mt_cfi_state *s, uint64_t delta)
{
    s->location += delta * s->cie->code_align;
}

/* One instruction; false if it isn't known. */
static bool run_one(struct mt_cfi_state *s)
{
    struct mt_cursor *c = &s->code;
    uint8_t op = mt_read_u8(c);
    uint8_t low = op & 0x3f;
    switch (op & 0xc0) {
    case CFA_ADVANCE_LOC:
        cfi_advance(s, low);
        return true;
    case CFA_OFFSET:
        return set_rule(s, low, MT_CFI_OFFSET, factored(s, mt_read_uleb(c)));
    case CFA_RESTORE:
        return restore_rule(s, low);
    }
    switch (op) {
    case CFA_NOP:
        return true;
    case CFA_SET_LOC:
        s->location = mt_cfi_pointer(c, s->cie->pointer_encoding, 0);
        return true;
    case CFA_ADVANCE_LOC1:
        cfi_advance(s, mt_read_unsigned(c, 1));
        return true;
    case CFA_ADVANCE_LOC2:
        cfi_advance(s, mt_read_unsigned(c, 2));
        return true;
    case CFA_ADVANCE_LOC4:
        cfi_advance(s, mt_read_unsigned(c, 4));
        return true;
    case CFA_REMEMBER_STATE:
        return cfi_remember(s);
    case CFA_RESTORE_STATE:
        return cfi_restore(s);
    case CFA_GNU_ARGS_SIZE:
        mt_read_uleb(c);
        return true;
    }
    if (op >= CFA_DEF_CFA && op <= CFA_DEF_CFA_EXPRESSION)
        return run_cfa(s, op);
    if (op == CFA_DEF_CFA_SF || op == CFA_DEF_CFA_OFFSET_SF)
        return run_cfa(s, op);
    return run_rule(s, op);
}

bool mt_cfi_run(struct mt_cfi_work *work, uint64_t address)
{
    const struct mt_cfi_cie *cie = &work->cie;
    struct mt_cfi_row *row = &work->row;
    struct mt_cfi_state *s = &work->state;
    memset(row, 0, sizeof *row);
    row->expressions = work->program;
    row->signal_frame = cie->signal_frame;
    memset(s, 0, sizeof *s);
    s->cie = cie;
    s->row = row;
    s->address = UINT64_MAX;
    s->code.at = cie->program;
    s->code.end = cie->program_end;
    if (!run_on(s))
        return false;
    work->initial = row->rules;
    s->initial = &work->initial;
    s->n_remembered = 0;
    s->location = work->begin;
    s->address = address;
    s->code.at = work->program;
    s->code.end = work->end;
    return run_on(s);
}
