/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "coreanalyze/symbols/dwarf_aranges.h"

#include <string.h>

struct cursor {
    const uint8_t *at, *end;
};

static bool aranges_take(struct cursor *cursor, size_t bytes, uint64_t *out)
{
    *out = 0;
    if ((size_t)(cursor->end - cursor->at) < bytes)
        return false;
    memcpy(out, cursor->at, bytes); /* both are little-endian */
    cursor->at += bytes;
    return true;
}

/* One set: the ranges of one unit.  BODY starts after the length. */
static bool read_set(struct cursor body, const uint8_t *start,
                     size_t offset_bytes,
                     bool (*visit)(void *, uint64_t, uint64_t, uint64_t),
                     void *context)
{
    uint64_t version, unit, address_bytes, segment_bytes, low, length;

    if (!aranges_take(&body, 2, &version) ||
        !aranges_take(&body, offset_bytes, &unit) ||
        !aranges_take(&body, 1, &address_bytes) ||
        !aranges_take(&body, 1, &segment_bytes) || version != 2 ||
        segment_bytes != 0 || (address_bytes != 4 && address_bytes != 8))
        return true; /* a set that we cannot read; the next may be fine */
    /* Tuples are aligned to their size, from the start of the set. */
    size_t pad = (size_t) - (body.at - start) & (2 * address_bytes - 1);
    if ((size_t)(body.end - body.at) < pad)
        return true;
    body.at += pad;
    while (aranges_take(&body, address_bytes, &low) &&
           aranges_take(&body, address_bytes, &length)) {
        if (low == 0 && length == 0)
            break;
        if (length != 0 && !visit(context, unit, low, low + length))
            return false;
    }
    return true;
}

void mt_aranges_read(const uint8_t *data, size_t bytes,
                     bool (*visit)(void *context, uint64_t unit_offset,
                                   uint64_t low, uint64_t high),
                     void *context)
{
    struct cursor cursor = {data, data + bytes};
    uint64_t length;

    for (;;) {
        const uint8_t *start = cursor.at;
        size_t offset_bytes = 4;

        if (!aranges_take(&cursor, 4, &length))
            return;
        if (length == 0xffffffffu) {
            offset_bytes = 8;
            if (!aranges_take(&cursor, 8, &length))
                return;
        }
        if (length > (uint64_t)(cursor.end - cursor.at))
            return;
        struct cursor body = {cursor.at, cursor.at + length};
        if (!read_set(body, start, offset_bytes, visit, context))
            return;
        cursor.at += length;
    }
}
