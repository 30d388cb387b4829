/* SPDX-License-Identifier: BSD-2-Clause
 *
 * call_frames.h - how a frame's caller is restored: the row of .eh_frame for
 * an instruction.
 *
 * Addresses are those of the module's file: in the target, less the load
 * bias.  The bytes come from a callback, so that a file and the memory of a
 * target serve alike.  Nothing in them is trusted: every length is bounded.
 */
#ifndef MT_CALL_FRAMES_H
#define MT_CALL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DWARF's numbers of the registers of x86-64. */
enum { MT_COLUMN_RBP = 6, MT_COLUMN_RSP = 7, MT_COLUMN_RIP = 16 };
#define MT_N_COLUMNS 17

struct mt_frame_bytes {
    /* False unless all bytes of the module at `address` could be copied. */
    bool (*read)(void *context, uint64_t address, void *buffer, size_t bytes);
    void *context;
};

enum mt_frame_how {
    MT_FRAME_SAME,       /* the caller's value is the current one */
    MT_FRAME_UNDEFINED,  /* it is lost; for rip: the outermost frame */
    MT_FRAME_SAVED,      /* in memory at CFA + value */
    MT_FRAME_OFFSET,     /* is CFA + value */
    MT_FRAME_REGISTER,   /* is in register `value` */
    MT_FRAME_SAVED_EXPR, /* in memory at the result of the expression */
    MT_FRAME_EXPR,       /* is the result of the expression */
};

struct mt_frame_rule {
    enum mt_frame_how how;
    int64_t value;             /* or number of a register */
    const uint8_t *expression; /* in the table's buffers */
    size_t bytes;              /* of the expression */
};

struct mt_frame_row {
    struct mt_frame_rule cfa; /* OFFSET: of register `cfa_register` */
    uint64_t cfa_register;
    struct mt_frame_rule column[MT_N_COLUMNS];
    bool signal_frame; /* its caller was interrupted, and did not call */
};

/* Buffers of records, used again by each search. */
struct mt_frame_table {
    uint8_t *cie, *fde;
    size_t cie_capacity, fde_capacity;
    bool no_memory; /* for a record: a row may be there all the same */
};
void mt_frame_table_free(struct mt_frame_table *);

/* The row for the instruction at `address`.  `header` is the address of
 * .eh_frame_hdr.  False if there is none, or it makes no sense.  Expressions
 * in the row are valid until the next search. */
bool mt_frame_row_find(struct mt_frame_table *, const struct mt_frame_bytes *,
                       uint64_t header, uint64_t address,
                       struct mt_frame_row *row);

/* A frame as it runs: registers by DWARF's numbers, and the memory. */
struct mt_frame_state {
    uint64_t value[MT_N_COLUMNS];
    uint32_t known; /* bits of the values that are known */
};
struct mt_frame_memory {
    bool (*read_word)(void *context, uint64_t address, uint64_t *word);
    void *context;
};

/* Replaces `state` by the caller's; false for the outermost frame, or if the
 * caller's cannot be restored. */
bool mt_frame_step(const struct mt_frame_row *row,
                   const struct mt_frame_memory *memory,
                   struct mt_frame_state *state);

/* call_frames_expr.c: evaluates a DWARF expression, with *initial pushed first
 * unless it is NULL. */
bool mt_frame_expression(const uint8_t *expression, size_t bytes,
                         const uint64_t *initial,
                         const struct mt_frame_state *state,
                         const struct mt_frame_memory *memory,
                         uint64_t *result);

#endif
