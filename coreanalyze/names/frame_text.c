/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_text.c - a frame of a stack as text.
 */
#include "coreanalyze/names/frame_text.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>

void mt_put_frame(FILE *out, const struct mt_frame *frame)
{
    if (frame->function) {
        mt_put_text(out, frame->function);
        if (!frame->inlined)
            fprintf(out, " + 0x%" PRIx64, frame->offset);
    } else if (frame->module) {
        mt_put_text(out, mt_base_name(frame->module));
        fprintf(out, " + 0x%" PRIx64, frame->module_offset);
    } else {
        fprintf(out, "0x%" PRIx64, frame->pc);
    }
}
