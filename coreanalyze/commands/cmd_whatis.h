/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cmd_whatis.h - descriptions of blocks, for whatis and refs.
 */
#ifndef MT_CMD_WHATIS_H
#define MT_CMD_WHATIS_H

#include "coreanalyze/commands/arguments.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/names/namer.h"

struct mt_whatis {
    struct mt_namer namer;
    FILE *out;
};

bool mt_whatis_begin(struct mt_session *session,
                     const struct mt_namer_context *places,
                     struct mt_target *target, const struct mt_roots *roots,
                     struct mt_whatis *whatis, struct mt_error *error);
void mt_whatis_end(struct mt_whatis *whatis);

/* "0x1234: live block ...", and its stack, one frame a line. */
void mt_whatis_block(const struct mt_whatis *whatis,
                     const struct mt_block *block, uint64_t address);
/* Its members, without the braces. */
void mt_whatis_json_block(struct mt_json *json, const struct mt_whatis *whatis,
                          const struct mt_block *block, uint64_t address);

#endif
