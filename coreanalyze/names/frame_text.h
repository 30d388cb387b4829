/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_text.h - a frame of a stack as text.
 */
#ifndef MT_FRAME_TEXT_H
#define MT_FRAME_TEXT_H

#include "coreanalyze/names/resolve.h"

#include <stdio.h>

/* "function + 0x1e", or "module + 0x1234", or "0x7f...". */
void mt_put_frame(FILE *out, const struct mt_frame *frame);

#endif
