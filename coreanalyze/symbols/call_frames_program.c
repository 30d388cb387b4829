/* SPDX-License-Identifier: BSD-2-Clause
 *
 * call_frames_program.c - runs the instructions of call frame information,
 * and steps from a frame to its caller by the row that they make.
 */
#include "coreanalyze/symbols/call_frames_program.h"

#include <string.h>

#define MAX_REMEMBERED 16
#define MAX_INSTRUCTIONS 100000u

enum {
    CFA_ADVANCE = 0x40, /* the two upper bits; the lower six are a number */
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,
    CFA_NOP = 0x00,
    CFA_SET_LOC = 0x01,
    CFA_ADVANCE1 = 0x02,
    CFA_ADVANCE2 = 0x03,
    CFA_ADVANCE4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER = 0x0a,
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
    CFA_ARGS_SIZE = 0x2e,
};

struct machine {
    const struct mt_frame_cie *cie;
    struct mt_byte_cursor code;
    struct mt_frame_row row, initial, remembered[MAX_REMEMBERED];
    unsigned n_remembered;
    uint64_t at, wanted; /* offsets in the code */
};

static uint64_t row_leb(struct machine *m)
{
    return mt_take_leb(&m->code, false);
}

static int64_t row_scaled(struct machine *m, bool is_signed)
{
    return (int64_t)(mt_take_leb(&m->code, is_signed) *
                     (uint64_t)m->cie->data_align);
}

static void row_set_rule(struct machine *m, uint64_t column,
                         enum mt_frame_how how, int64_t value)
{
    if (column < MT_N_COLUMNS)
        m->row.column[column] =
            (struct mt_frame_rule){.how = how, .value = value};
}

static void row_set_expression(struct machine *m, struct mt_frame_rule *rule,
                               enum mt_frame_how how)
{
    uint64_t bytes = row_leb(m);

    if (!mt_take_room(&m->code, bytes))
        return;
    if (rule)
        *rule = (struct mt_frame_rule){how, 0, m->code.at, (size_t)bytes};
    m->code.at += bytes;
}

static struct mt_frame_rule *row_rule_of(struct machine *m, uint64_t column)
{
    return column < MT_N_COLUMNS ? &m->row.column[column] : NULL;
}

static void row_restore_rule(struct machine *m, uint64_t column)
{
    if (column < MT_N_COLUMNS)
        m->row.column[column] = m->initial.column[column];
}

static void row_define_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
    m->row.cfa =
        (struct mt_frame_rule){.how = MT_FRAME_OFFSET, .value = offset};
    m->row.cfa_register = reg;
}

/* False for an instruction that is not known. */
static bool row_run_cfa(struct machine *m, uint8_t op)
{
    uint64_t reg;

    switch (op) {
    case CFA_DEF_CFA:
        reg = row_leb(m);
        row_define_cfa(m, reg, (int64_t)row_leb(m));
        return true;
    case CFA_DEF_CFA_SF:
        reg = row_leb(m);
        row_define_cfa(m, reg, row_scaled(m, true));
        return true;
    case CFA_DEF_CFA_REGISTER:
        m->row.cfa_register = row_leb(m);
        return m->row.cfa.how == MT_FRAME_OFFSET;
    case CFA_DEF_CFA_OFFSET:
        m->row.cfa.value = (int64_t)row_leb(m);
        return m->row.cfa.how == MT_FRAME_OFFSET;
    case CFA_DEF_CFA_OFFSET_SF:
        m->row.cfa.value = row_scaled(m, true);
        return m->row.cfa.how == MT_FRAME_OFFSET;
    case CFA_DEF_CFA_EXPRESSION:
        row_set_expression(m, &m->row.cfa, MT_FRAME_EXPR);
        return true;
    case CFA_REMEMBER:
        if (m->n_remembered == MAX_REMEMBERED)
            return false;
        m->remembered[m->n_remembered++] = m->row;
        return true;
    case CFA_RESTORE_STATE:
        if (m->n_remembered == 0)
            return false;
        m->row = m->remembered[--m->n_remembered];
        return true;
    case CFA_ARGS_SIZE:
        row_leb(m);
        return true;
    default:
        return op == CFA_NOP;
    }
}

static bool row_run_rule(struct machine *m, uint8_t op)
{
    uint64_t column;

    if (op < CFA_OFFSET_EXTENDED || op == CFA_REMEMBER ||
        op == CFA_RESTORE_STATE ||
        (op >= CFA_DEF_CFA && op <= CFA_DEF_CFA_EXPRESSION) ||
        op == CFA_DEF_CFA_SF || op == CFA_DEF_CFA_OFFSET_SF ||
        op > CFA_VAL_EXPRESSION)
        return row_run_cfa(m, op);
    column = row_leb(m);
    switch (op) {
    case CFA_OFFSET_EXTENDED:
    case CFA_OFFSET_EXTENDED_SF:
        row_set_rule(m, column, MT_FRAME_SAVED,
                     row_scaled(m, op == CFA_OFFSET_EXTENDED_SF));
        return true;
    case CFA_VAL_OFFSET:
    case CFA_VAL_OFFSET_SF:
        row_set_rule(m, column, MT_FRAME_OFFSET,
                     row_scaled(m, op == CFA_VAL_OFFSET_SF));
        return true;
    case CFA_RESTORE_EXTENDED:
        row_restore_rule(m, column);
        return true;
    case CFA_UNDEFINED:
        row_set_rule(m, column, MT_FRAME_UNDEFINED, 0);
        return true;
    case CFA_SAME_VALUE:
        row_set_rule(m, column, MT_FRAME_SAME, 0);
        return true;
    case CFA_REGISTER:
        row_set_rule(m, column, MT_FRAME_REGISTER, (int64_t)row_leb(m));
        return true;
    case CFA_EXPRESSION:
        row_set_expression(m, row_rule_of(m, column), MT_FRAME_SAVED_EXPR);
        return true;
    default:
        row_set_expression(m, row_rule_of(m, column), MT_FRAME_EXPR);
        return true;
    }
}

/* Moves on in the code; true if the wanted instruction is passed. */
static bool row_advance(struct machine *m, uint64_t by)
{
    m->at += by * m->cie->code_align;
    return m->at > m->wanted;
}

static bool row_run_program(struct machine *m)
{
    for (unsigned i = 0; i < MAX_INSTRUCTIONS; i++) {
        bool passed = false, ok = true;
        uint8_t op;
        if (m->code.bad || m->code.at == m->code.end)
            return !m->code.bad;
        op = (uint8_t)mt_take(&m->code, 1);
        switch (op & 0xc0) {
        case CFA_ADVANCE:
            passed = row_advance(m, op & 0x3f);
            break;
        case CFA_OFFSET:
            row_set_rule(m, op & 0x3f, MT_FRAME_SAVED, row_scaled(m, false));
            break;
        case CFA_RESTORE:
            row_restore_rule(m, op & 0x3f);
            break;
        default:
            if (op >= CFA_ADVANCE1 && op <= CFA_ADVANCE4)
                passed = row_advance(
                    m, mt_take(&m->code, 1u << (op - CFA_ADVANCE1)));
            else
                ok = op != CFA_SET_LOC && row_run_rule(m, op);
        }
        if (!ok)
            return false;
        if (passed)
            return !m->code.bad;
    }
    return false;
}

bool mt_frame_program(const struct mt_frame_cie *cie,
                      const struct mt_byte_cursor *fde, uint64_t offset,
                      struct mt_frame_row *row)
{
    struct machine m;

    /* Not the rows that may be remembered: these are large. */
    m.cie = cie;
    m.code = cie->program;
    m.at = 0;
    m.wanted = offset;
    m.n_remembered = 0;
    memset(&m.row, 0, sizeof m.row);
    m.initial = m.row;
    if (!row_run_program(&m))
        return false;
    m.initial = m.row;
    m.code = *fde;
    m.at = 0;
    if (!row_run_program(&m))
        return false;
    m.row.signal_frame = row->signal_frame;
    *row = m.row;
    return true;
}

/* --- from a frame to its caller --- */

static bool row_find_value(const struct mt_frame_rule *rule, unsigned column,
                           uint64_t cfa, const struct mt_frame_memory *memory,
                           const struct mt_frame_state *state, uint64_t *value)
{
    uint64_t number = (uint64_t)rule->value;

    switch (rule->how) {
    case MT_FRAME_SAME:
        number = column;
        /* fall through */
    case MT_FRAME_REGISTER:
        if (number >= MT_N_COLUMNS || !(state->known >> number & 1))
            return false;
        *value = state->value[number];
        return true;
    case MT_FRAME_SAVED:
        return memory->read_word(memory->context, cfa + number, value);
    case MT_FRAME_OFFSET:
        *value = cfa + number;
        return true;
    case MT_FRAME_SAVED_EXPR:
        return mt_frame_expression(rule->expression, rule->bytes, &cfa, state,
                                   memory, value) &&
               memory->read_word(memory->context, *value, value);
    case MT_FRAME_EXPR:
        return mt_frame_expression(rule->expression, rule->bytes, &cfa, state,
                                   memory, value);
    default:
        return false;
    }
}

bool mt_frame_step(const struct mt_frame_row *row,
                   const struct mt_frame_memory *memory,
                   struct mt_frame_state *state)
{
    struct mt_frame_state caller = {.known = 0};
    uint64_t cfa;

    if (row->cfa.how == MT_FRAME_EXPR) {
        if (!mt_frame_expression(row->cfa.expression, row->cfa.bytes, NULL,
                                 state, memory, &cfa))
            return false;
    } else {
        if (row->cfa.how != MT_FRAME_OFFSET ||
            row->cfa_register >= MT_N_COLUMNS ||
            !(state->known >> row->cfa_register & 1))
            return false;
        cfa = state->value[row->cfa_register] + (uint64_t)row->cfa.value;
    }
    for (unsigned i = 0; i < MT_N_COLUMNS; i++) {
        const struct mt_frame_rule *rule = &row->column[i];
        /* The stack pointer of the caller is the CFA unless a rule says
         * otherwise, as that of a signal frame does. */
        if (i == MT_COLUMN_RSP && rule->how == MT_FRAME_SAME)
            caller.value[i] = cfa;
        else if (i == MT_COLUMN_RIP && rule->how == MT_FRAME_SAME)
            return false;
        else if (!row_find_value(rule, i, cfa, memory, state, &caller.value[i]))
            continue;
        caller.known |= 1u << i;
    }
    if (!(caller.known >> MT_COLUMN_RIP & 1))
        return false;
    *state = caller;
    return true;
}
