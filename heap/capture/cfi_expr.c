/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cfi_expr.c - DWARF expressions, as far as unwind data may use them.
 *
 * They compute CFAs of procedure linkage tables and of realigned stacks, and
 * where the kernel saved the registers of a signal frame.
 */
#include "heap/seldom.h"
#include "heap/capture/cfi.h"
#include "heap/capture/cfi_read.h"

#define MAX_DEPTH 32
#define MAX_STEPS 512

enum {
    OP_ADDR = 0x03,
    OP_DEREF = 0x06,
    OP_CONST1U = 0x08, /* 08..0f: 1u 1s 2u 2s 4u 4s 8u 8s */
    OP_CONST8S = 0x0f,
    OP_CONSTU = 0x10,
    OP_CONSTS = 0x11,
    OP_DUP = 0x12,
    OP_DROP = 0x13,
    OP_OVER = 0x14,
    OP_PICK = 0x15,
    OP_SWAP = 0x16,
    OP_ROT = 0x17,
    OP_ABS = 0x19,
    OP_AND = 0x1a,
    OP_DIV = 0x1b,
    OP_MINUS = 0x1c,
    OP_MOD = 0x1d,
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
    OP_REG0 = 0x50,
    OP_BREG0 = 0x70,
    OP_REGX = 0x90,
    OP_BREGX = 0x92,
    OP_DEREF_SIZE = 0x94,
    OP_NOP = 0x96,
};

struct machine {
    struct mt_cursor code;
    const uint8_t *begin;
    const struct mt_expr_env *env;
    unsigned depth;
    uint64_t stack[MAX_DEPTH]; /* the top is stack[depth - 1] */
};

static bool expr_push(struct machine *m, uint64_t value)
{
    if (m->depth == MAX_DEPTH)
        return false;
    m->stack[m->depth++] = value;
    return true;
}

static bool push_register(struct machine *m, uint64_t reg, int64_t offset)
{
    uint64_t value;
    return reg < MT_CFI_REGS &&
           m->env->get_register(m->env->context, (unsigned)reg, &value) &&
           expr_push(m, value + (uint64_t)offset);
}

/* Replaces the top by the `bytes` that it points to. */
static bool expr_dereference(struct machine *m, unsigned bytes)
{
    uint64_t value;
    if (m->depth == 0 || bytes == 0 || bytes > 8)
        return false;
    uint64_t address = m->stack[m->depth - 1];
    uint64_t shift = 8 * (address & 7);
    if (!m->env->read_word(m->env->context, address & ~UINT64_C(7), &value))
        return false;
    if (shift + 8 * bytes > 64) {
        uint64_t upper;
        if (!m->env->read_word(m->env->context, (address | 7) + 1, &upper))
            return false;
        value = value >> shift | upper << (64 - shift);
    } else {
        value >>= shift;
    }
    if (bytes < 8)
        value &= (UINT64_C(1) << 8 * bytes) - 1;
    m->stack[m->depth - 1] = value;
    return true;
}

static bool expr_jump(struct machine *m, int64_t offset)
{
    int64_t at = m->code.at - m->begin + offset;
    if (m->code.bad || at < 0 || at > m->code.end - m->begin)
        return false;
    m->code.at = m->begin + at;
    return true;
}

/* DUP to ROT: those that reorder the stack. */
static bool run_stack(struct machine *m, uint8_t op)
{
    uint64_t *top = &m->stack[m->depth] - 1;
    unsigned need = op == OP_ROT ? 3 : op == OP_OVER || op == OP_SWAP ? 2 : 1;
    uint64_t kept;
    if (op != OP_PICK && m->depth < need)
        return false;
    switch (op) {
    case OP_DUP:
        return expr_push(m, *top);
    case OP_DROP:
        m->depth--;
        return true;
    case OP_OVER:
        return expr_push(m, top[-1]);
    case OP_PICK: {
        unsigned index = mt_read_u8(&m->code);
        return index < m->depth && expr_push(m, m->stack[m->depth - 1 - index]);
    }
    case OP_SWAP:
        kept = top[0];
        top[0] = top[-1];
        top[-1] = kept;
        return true;
    default: /* OP_ROT */
        kept = top[0];
        top[0] = top[-1];
        top[-1] = top[-2];
        top[-2] = kept;
        return true;
    }
}

static bool run_unary(struct machine *m, uint8_t op)
{
    if (m->depth == 0)
        return false;
    uint64_t *top = &m->stack[m->depth - 1];
    if (op == OP_NOT)
        *top = ~*top;
    else if (op == OP_PLUS_UCONST)
        *top += mt_read_uleb(&m->code);
    else if (op == OP_NEG || (int64_t)*top < 0)
        *top = -*top;
    return true;
}

static bool expr_divide(uint64_t *a, uint64_t b, bool modulo)
{
    if (b == 0 || (!modulo && *a == UINT64_C(1) << 63 && b == ~UINT64_C(0)))
        return false;
    *a = modulo ? *a % b : (uint64_t)((int64_t)*a / (int64_t)b);
    return true;
}

static bool run_binary(struct machine *m, uint8_t op)
{
    if (m->depth < 2)
        return false;
    uint64_t b = m->stack[--m->depth];
    uint64_t *a = &m->stack[m->depth - 1];
    int64_t sa = (int64_t)*a, sb = (int64_t)b;
    switch (op) {
    case OP_AND:
        *a &= b;
        return true;
    case OP_DIV:
        return expr_divide(a, b, false);
    case OP_MINUS:
        *a -= b;
        return true;
    case OP_MOD:
        return expr_divide(a, b, true);
    case OP_MUL:
        *a *= b;
        return true;
    case OP_OR:
        *a |= b;
        return true;
    case OP_PLUS:
        *a += b;
        return true;
    case OP_SHL:
        *a = b < 64 ? *a << b : 0;
        return true;
    case OP_SHR:
        *a = b < 64 ? *a >> b : 0;
        return true;
    case OP_SHRA:
        *a = (uint64_t)(sa >> (b < 64 ? b : 63));
        return true;
    case OP_XOR:
        *a ^= b;
        return true;
    case OP_EQ:
        *a = sa == sb;
        return true;
    case OP_GE:
        *a = sa >= sb;
        return true;
    case OP_GT:
        *a = sa > sb;
        return true;
    case OP_LE:
        *a = sa <= sb;
        return true;
    case OP_LT:
        *a = sa < sb;
        return true;
    case OP_NE:
        *a = sa != sb;
        return true;
    default:
        return false;
    }
}

static bool run_constant(struct machine *m, uint8_t op)
{
    unsigned bytes = 1u << (op - OP_CONST1U) / 2;
    if (op & 1)
        return expr_push(m, (uint64_t)mt_read_signed(&m->code, bytes));
    return expr_push(m, mt_read_unsigned(&m->code, bytes));
}

static bool run_op(struct machine *m, uint8_t op)
{
    uint64_t reg;
    if (op >= OP_LIT0 && op < OP_REG0)
        return expr_push(m, op - OP_LIT0);
    if (op >= OP_REG0 && op < OP_BREG0)
        return push_register(m, op - OP_REG0, 0);
    if (op >= OP_BREG0 && op < OP_REGX)
        return push_register(m, op - OP_BREG0, mt_read_sleb(&m->code));
    if (op >= OP_CONST1U && op <= OP_CONST8S)
        return run_constant(m, op);
    if (op >= OP_DUP && op <= OP_ROT)
        return run_stack(m, op);
    switch (op) {
    case OP_ADDR:
        return expr_push(m, mt_read_unsigned(&m->code, 8));
    case OP_DEREF:
        return expr_dereference(m, 8);
    case OP_DEREF_SIZE:
        return expr_dereference(m, mt_read_u8(&m->code));
    case OP_CONSTU:
        return expr_push(m, mt_read_uleb(&m->code));
    case OP_CONSTS:
        return expr_push(m, (uint64_t)mt_read_sleb(&m->code));
    case OP_ABS:
    case OP_NEG:
    case OP_NOT:
    case OP_PLUS_UCONST:
        return run_unary(m, op);
    case OP_SKIP:
        return expr_jump(m, mt_read_signed(&m->code, 2));
    case OP_BRA: {
        int64_t offset = mt_read_signed(&m->code, 2);
        if (m->depth == 0)
            return false;
        return m->stack[--m->depth] == 0 || expr_jump(m, offset);
    }
    case OP_REGX:
        return push_register(m, mt_read_uleb(&m->code), 0);
    case OP_BREGX:
        reg = mt_read_uleb(&m->code);
        return push_register(m, reg, mt_read_sleb(&m->code));
    case OP_NOP:
        return true;
    default:
        return run_binary(m, op);
    }
}

bool mt_expr_evaluate(const uint8_t *expression, const uint64_t *initial,
                      const struct mt_expr_env *env, uint64_t *result)
{
    struct machine m;
    struct mt_cursor length = {expression, expression + 10, false};
    uint64_t bytes = mt_read_uleb(&length);
    m.code = (struct mt_cursor){length.at, length.at + bytes, false};
    m.begin = length.at;
    m.env = env;
    m.depth = 0;
    if (initial)
        expr_push(&m, *initial);
    for (unsigned steps = 0; m.code.at < m.code.end; steps++) {
        uint8_t op = mt_read_u8(&m.code);
        if (steps == MAX_STEPS || !run_op(&m, op) || m.code.bad)
            return false;
    }
    if (m.depth == 0)
        return false;
    *result = m.stack[m.depth - 1];
    return true;
}
