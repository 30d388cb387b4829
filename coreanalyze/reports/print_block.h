/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_block.h - descriptions of single blocks, for whatis, refs and retained.
 */
#ifndef MT_PRINT_BLOCK_H
#define MT_PRINT_BLOCK_H

#include "coreanalyze/base/json.h"
#include "coreanalyze/names/namer.h"
#include "coreanalyze/reports/style.h"

#include <stdio.h>

struct mt_block_printer {
    struct mt_namer namer; /* has the address of `frames` */
    struct mt_stack_frames frames;
    FILE *out;
    const struct mt_style *style; /* of the stacks; NULL: every frame */
};

/* False with `error` filled: there is nothing to end.  The arguments must
 * outlive the printer. */
bool mt_block_printer_begin(struct mt_block_printer *printer,
                            struct mt_model *model,
                            const struct mt_roots *roots,
                            const struct mt_resolver_options *names,
                            const struct mt_style *style, FILE *out,
                            struct mt_error *error);
/* False, with the error, if memory was short: names may be missing. */
bool mt_block_printer_end(struct mt_block_printer *printer,
                          struct mt_error *error);

/* The label, "0x1234: live block ...", and its stack, one frame a line. */
void mt_print_block(const struct mt_block_printer *printer, const char *label,
                    const struct mt_block *block, uint64_t address);
/* The members of a block's object, without the braces. */
void mt_json_put_block(struct mt_json *json,
                       const struct mt_block_printer *printer,
                       const struct mt_block *block, uint64_t address);

#endif
