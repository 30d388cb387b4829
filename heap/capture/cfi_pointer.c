/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cfi_pointer.c - encoded pointers in .eh_frame and .eh_frame_hdr.
 */
#include "heap/capture/cfi.h"
#include "heap/capture/cfi_read.h"

enum {
    PE_ABSPTR = 0x00,
    PE_ULEB128 = 0x01,
    PE_UDATA2 = 0x02,
    PE_UDATA4 = 0x03,
    PE_UDATA8 = 0x04,
    PE_SLEB128 = 0x09,
    PE_SDATA2 = 0x0a,
    PE_SDATA4 = 0x0b,
    PE_SDATA8 = 0x0c,
    PE_PCREL = 0x10,
    PE_DATAREL = 0x30,
    PE_FORMAT = 0x0f,
    PE_BASE = 0x70,
    PE_INDIRECT = 0x80,
};

static uint64_t read_format(struct mt_cursor *c, uint8_t format)
{
    switch (format) {
    case PE_ABSPTR:
    case PE_UDATA8:
    case PE_SDATA8:
        return mt_read_unsigned(c, 8);
    case PE_ULEB128:
        return mt_read_uleb(c);
    case PE_UDATA2:
        return mt_read_unsigned(c, 2);
    case PE_UDATA4:
        return mt_read_unsigned(c, 4);
    case PE_SLEB128:
        return (uint64_t)mt_read_sleb(c);
    case PE_SDATA2:
        return (uint64_t)mt_read_signed(c, 2);
    case PE_SDATA4:
        return (uint64_t)mt_read_signed(c, 4);
    default:
        c->bad = true;
        return 0;
    }
}

uint64_t mt_cfi_pointer(struct mt_cursor *c, uint8_t encoding,
                        uint64_t data_base)
{
    uint64_t base = 0;
    if (encoding == MT_PE_OMIT)
        return 0;
    switch (encoding & PE_BASE) {
    case 0:
        break;
    case PE_PCREL:
        base = (uint64_t)(uintptr_t)c->at;
        break;
    case PE_DATAREL:
        base = data_base;
        break;
    default:
        c->bad = true;
        return 0;
    }
    uint64_t value = read_format(c, encoding & PE_FORMAT);
    if (value == 0)
        return 0; /* a null pointer, whatever its base */
    value += base;
    if (encoding & PE_INDIRECT)
        c->bad = true; /* of personality routines alone: never followed */
    return value;
}
