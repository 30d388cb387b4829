/* SPDX-License-Identifier: BSD-2-Clause
 *
 * call_frames_expr.c - DWARF expressions, as far as unwind data uses them: for
 * procedure linkage tables, realigned stacks and signal frames.
 */
#include "coreanalyze/symbols/call_frames.h"
#include "coreanalyze/symbols/byte_cursor.h"

#define MAX_DEPTH 32u
#define MAX_STEPS 512u

enum {
    OP_DEREF = 0x06,
    OP_CONST1U = 0x08, /* to 0x0f: 1u 1s 2u 2s 4u 4s 8u 8s */
    OP_CONST8S = 0x0f,
    OP_CONSTU = 0x10,
    OP_CONSTS = 0x11,
    OP_DUP = 0x12,
    OP_DROP = 0x13,
    OP_OVER = 0x14,
    OP_SWAP = 0x16,
    OP_ROT = 0x17,
    OP_AND = 0x1a,
    OP_MINUS = 0x1c,
    OP_MUL = 0x1e,
    OP_NEG = 0x1f,
    OP_NOT = 0x20,
    OP_OR = 0x21,
    OP_PLUS = 0x22,
    OP_PLUS_UCONST = 0x23,
    OP_SHL = 0x24,
    OP_SHR = 0x25,
    OP_SHRA = 0x26,
    OP_XOR = 0x27,
    OP_BRA = 0x28,
    OP_EQ = 0x29,
    OP_GE = 0x2a,
    OP_GT = 0x2b,
    OP_LE = 0x2c,
    OP_LT = 0x2d,
    OP_NE = 0x2e,
    OP_SKIP = 0x2f,
    OP_LIT0 = 0x30,
    OP_BREG0 = 0x70,
    OP_BREG31 = 0x8f,
    OP_BREGX = 0x92,
    OP_DEREF_SIZE = 0x94,
    OP_NOP = 0x96,
};

struct machine {
    struct mt_byte_cursor code;
    const uint8_t *begin;
    const struct mt_frame_state *state;
    const struct mt_frame_memory *memory;
    unsigned depth;
    uint64_t stack[MAX_DEPTH];
};

static bool expression_push(struct machine *m, uint64_t value)
{
    if (m->depth == MAX_DEPTH)
        return false;
    m->stack[m->depth++] = value;
    return true;
}

static bool expression_push_register(struct machine *m, uint64_t column)
{
    int64_t offset = (int64_t)mt_take_leb(&m->code, true);

    return column < MT_N_COLUMNS && m->state->known >> column & 1 &&
           expression_push(m, m->state->value[column] + (uint64_t)offset);
}

static bool expression_jump(struct machine *m, bool taken)
{
    int64_t by = mt_take_signed(&m->code, 2);

    if (!taken)
        return true;
    by += m->code.at - m->begin;
    if (m->code.bad || by < 0 || by > m->code.end - m->begin)
        return false;
    m->code.at = m->begin + by;
    return true;
}

static bool expression_load(struct machine *m, unsigned bytes)
{
    uint64_t *top;

    if (m->depth == 0 || bytes == 0 || bytes > 8)
        return false;
    top = &m->stack[m->depth - 1];
    if (!m->memory->read_word(m->memory->context, *top, top))
        return false;
    if (bytes < 8)
        *top &= (UINT64_C(1) << 8 * bytes) - 1;
    return true;
}

static bool expression_run_unary(struct machine *m, uint8_t op)
{
    uint64_t *top;

    if (m->depth == 0)
        return false;
    top = &m->stack[m->depth - 1];
    switch (op) {
    case OP_DUP:
        return expression_push(m, *top);
    case OP_DROP:
        m->depth--;
        return true;
    case OP_NEG:
        *top = -*top;
        return true;
    case OP_NOT:
        *top = ~*top;
        return true;
    case OP_PLUS_UCONST:
        *top += mt_take_leb(&m->code, false);
        return true;
    case OP_BRA:
        return expression_jump(m, m->stack[--m->depth] != 0);
    default:
        return false;
    }
}

static bool expression_run_stack(struct machine *m, uint8_t op)
{
    uint64_t *top = &m->stack[m->depth - 1], kept = *top;

    if (op == OP_OVER)
        return expression_push(m, top[-1]);
    if (op == OP_ROT && m->depth < 3)
        return false;
    top[0] = top[-1];
    if (op == OP_SWAP) {
        top[-1] = kept;
    } else {
        top[-1] = top[-2];
        top[-2] = kept;
    }
    return true;
}

static uint64_t expression_compare(uint8_t op, int64_t a, int64_t b)
{
    switch (op) {
    case OP_EQ:
        return a == b;
    case OP_GE:
        return a >= b;
    case OP_GT:
        return a > b;
    case OP_LE:
        return a <= b;
    case OP_LT:
        return a < b;
    default:
        return a != b;
    }
}

static bool expression_run_binary(struct machine *m, uint8_t op)
{
    uint64_t b, *a;

    if (m->depth < 2)
        return false;
    if (op == OP_OVER || op == OP_SWAP || op == OP_ROT)
        return expression_run_stack(m, op);
    b = m->stack[--m->depth];
    a = &m->stack[m->depth - 1];
    switch (op) {
    case OP_AND:
        *a &= b;
        return true;
    case OP_OR:
        *a |= b;
        return true;
    case OP_XOR:
        *a ^= b;
        return true;
    case OP_PLUS:
        *a += b;
        return true;
    case OP_MINUS:
        *a -= b;
        return true;
    case OP_MUL:
        *a *= b;
        return true;
    case OP_SHL:
        *a = b < 64 ? *a << b : 0;
        return true;
    case OP_SHR:
        *a = b < 64 ? *a >> b : 0;
        return true;
    case OP_SHRA:
        *a = (uint64_t)((int64_t)*a >> (b < 64 ? b : 63));
        return true;
    default:
        *a = expression_compare(op, (int64_t)*a, (int64_t)b);
        return op >= OP_EQ && op <= OP_NE;
    }
}

static bool expression_run_operation(struct machine *m, uint8_t op)
{
    if (op >= OP_LIT0 && op < OP_LIT0 + 32)
        return expression_push(m, op - OP_LIT0);
    if (op >= OP_BREG0 && op <= OP_BREG31)
        return expression_push_register(m, op - OP_BREG0);
    if (op >= OP_CONST1U && op <= OP_CONST8S) {
        unsigned bytes = 1u << (op - OP_CONST1U) / 2;
        return expression_push(
            m, op & 1 ? (uint64_t)mt_take_signed(&m->code, bytes)
                      : mt_take(&m->code, bytes));
    }
    switch (op) {
    case OP_NOP:
        return true;
    case OP_DEREF:
        return expression_load(m, 8);
    case OP_DEREF_SIZE:
        return expression_load(m, (unsigned)mt_take(&m->code, 1));
    case OP_CONSTU:
    case OP_CONSTS:
        return expression_push(m, mt_take_leb(&m->code, op == OP_CONSTS));
    case OP_BREGX:
        return expression_push_register(m, mt_take_leb(&m->code, false));
    case OP_SKIP:
        return expression_jump(m, true);
    case OP_DUP:
    case OP_DROP:
    case OP_NEG:
    case OP_NOT:
    case OP_PLUS_UCONST:
    case OP_BRA:
        return expression_run_unary(m, op);
    default:
        return expression_run_binary(m, op);
    }
}

bool mt_frame_expression(const uint8_t *expression, size_t bytes,
                         const uint64_t *initial,
                         const struct mt_frame_state *state,
                         const struct mt_frame_memory *memory, uint64_t *result)
{
    struct machine m = {.code = {expression, expression + bytes, false},
                        .begin = expression,
                        .state = state,
                        .memory = memory};

    if (initial)
        expression_push(&m, *initial);
    for (unsigned i = 0; m.code.at < m.code.end; i++) {
        uint8_t op = (uint8_t)mt_take(&m.code, 1);
        if (i == MAX_STEPS || !expression_run_operation(&m, op) || m.code.bad)
            return false;
    }
    if (m.depth == 0)
        return false;
    *result = m.stack[m.depth - 1];
    return true;
}
