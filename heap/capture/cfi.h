/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cfi.h - call frame information: how a frame's caller is restored.
 *
 * All of it is async-signal-safe, takes no lock and no memory, and reads
 * nothing but unwind data of mapped objects.
 */
#ifndef MT_CFI_H
#define MT_CFI_H
#include "heap/capture/cfi_read.h"
#include "heap/capture/object.h"

#include <stdbool.h>
#include <stdint.h>

/* DWARF's numbers of the registers of x86-64 that matter here. */
enum {
    MT_REG_RAX = 0,
    MT_REG_RDX = 1,
    MT_REG_RBX = 3,
    MT_REG_RBP = 6,
    MT_REG_RSP = 7,
    MT_REG_R12 = 12,
    MT_REG_R13 = 13,
    MT_REG_R14 = 14,
    MT_REG_R15 = 15,
    MT_REG_RIP = 16, /* the column of the return address */
    MT_CFI_REGS = 17
};

enum mt_cfi_how {
    MT_CFI_SAME,           /* the caller has the current value */
    MT_CFI_UNDEFINED,      /* it is lost; for rip: the outermost frame */
    MT_CFI_OFFSET,         /* saved at CFA + value */
    MT_CFI_VAL_OFFSET,     /* is CFA + value */
    MT_CFI_REGISTER,       /* is in register `value` */
    MT_CFI_EXPRESSION,     /* saved at the result of expression `value` */
    MT_CFI_VAL_EXPRESSION, /* is the result of expression `value` */
};

/* Small: it lies on stacks of a few KiB. */
struct mt_cfi_rules {
    int32_t value[MT_CFI_REGS];
    uint8_t how[MT_CFI_REGS]; /* enum mt_cfi_how */
};

/* How to restore the caller's registers at one address of the code. */
struct mt_cfi_row {
    int64_t cfa_offset;
    const uint8_t *cfa_expression; /* or NULL: CFA = cfa_register + offset */
    const uint8_t *expressions;    /* the values of expressions count from it */
    struct mt_cfi_rules rules;
    uint8_t cfa_register;
    bool signal_frame; /* the caller was interrupted, it didn't call */
};

/* Register r's expression: its length (ULEB128), its bytes follow. */
static inline const uint8_t *mt_cfi_expression(const struct mt_cfi_row *row,
                                               unsigned r)
{
    return row->expressions + row->rules.value[r];
}

enum mt_cfi_status {
    MT_CFI_OK,
    MT_CFI_NONE,       /* no unwind data for this address */
    MT_CFI_UNSUPPORTED /* there is, but it can't be made sense of */
};

/* What a CIE says. */
struct mt_cfi_cie {
    const uint8_t *program, *program_end;
    uint64_t code_align;
    int64_t data_align;
    uint64_t return_column;
    uint8_t pointer_encoding; /* DW_EH_PE_* of addresses in its FDEs */
    bool augmented;           /* its FDEs have augmentation data */
    bool signal_frame;
};

/* cfi_program.c: how far the instructions have been run. */
struct mt_cfi_state {
    const struct mt_cfi_cie *cie;
    struct mt_cfi_row *row;             /* NULL: to skip, without effect */
    const struct mt_cfi_rules *initial; /* as the CIE left them; NULL: in it */
    uint64_t location, address;
    struct mt_cursor code;
    unsigned n_remembered;
};

/* The work on one address. Its caller has it, as it may have more room than the
 * stack. */
struct mt_cfi_work {
    struct mt_cfi_row row; /* the result */
    struct mt_cfi_cie cie;
    const uint8_t *program, *end; /* of the FDE */
    uint64_t begin;               /* of its code */
    struct mt_cfi_rules initial;  /* as the CIE leaves them */
    struct mt_object object;
    struct mt_cfi_state state;
};

/* Sets work->row to the row for the instruction at `address`: the return
 * address less 1 for a frame that made a call, the address itself for one that
 * was interrupted. */
enum mt_cfi_status mt_cfi_row_at(uint64_t address, struct mt_cfi_work *work);

/* cfi_program.c: runs the CIE's instructions, then the FDE's up to
 * `address`. */
bool mt_cfi_run(struct mt_cfi_work *work, uint64_t address);

/* cfi_pointer.c: a pointer as DW_EH_PE_* encodes it; `data_base` is the
 * address of .eh_frame_hdr. Sets c->bad if the encoding isn't known. */
uint64_t mt_cfi_pointer(struct mt_cursor *c, uint8_t encoding,
                        uint64_t data_base);
#define MT_PE_OMIT 0xff

/* cfi_expr.c: what an expression asks of its surroundings. Both return false
 * if the value can't be had. */
struct mt_expr_env {
    bool (*get_register)(void *context, unsigned reg, uint64_t *value);
    bool (*read_word)(void *context, uint64_t address, uint64_t *value);
    void *context;
};

/* Evaluates `expression` (its length first); `*initial` is pushed before if
 * not NULL. At most 512 operations. */
bool mt_expr_evaluate(const uint8_t *expression, const uint64_t *initial,
                      const struct mt_expr_env *env, uint64_t *result);

#endif
