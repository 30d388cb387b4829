/* SPDX-License-Identifier: BSD-2-Clause
 *
 * call_frames_program.h - the instructions of CIE and FDE.
 */
#ifndef MT_CALL_FRAMES_PROGRAM_H
#define MT_CALL_FRAMES_PROGRAM_H

#include "coreanalyze/symbols/call_frames.h"
#include "coreanalyze/symbols/byte_cursor.h"

struct mt_frame_cie {
    struct mt_byte_cursor program;
    uint64_t code_align;
    int64_t data_align;
    uint8_t pointer_encoding; /* DW_EH_PE_* of the addresses of its FDEs */
    bool augmented;           /* its FDEs have augmentation data */
    bool signal_frame;
};

/* Runs the CIE's instructions and then those of an FDE, up to the one that is
 * for code `offset` bytes after the start. */
bool mt_frame_program(const struct mt_frame_cie *cie,
                      const struct mt_byte_cursor *fde, uint64_t offset,
                      struct mt_frame_row *row);

#endif
