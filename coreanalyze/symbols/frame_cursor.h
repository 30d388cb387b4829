/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_cursor.h - numbers out of a buffer of call frame information; reading
 * past its end gives 0 and sets `bad`.
 */
#ifndef MT_FRAME_CURSOR_H
#define MT_FRAME_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mt_frame_cursor {
    const uint8_t *at, *end;
    bool bad;
};

static inline bool mt_frame_room(struct mt_frame_cursor *c, uint64_t bytes)
{
    if (bytes > (uint64_t)(c->end - c->at))
        c->bad = true;
    return !c->bad;
}

static inline uint64_t mt_frame_unsigned(struct mt_frame_cursor *c,
                                         unsigned bytes)
{
    uint64_t value = 0;

    if (!mt_frame_room(c, bytes))
        return 0;
    memcpy(&value, c->at, bytes);
    c->at += bytes;
    return value;
}

static inline int64_t mt_frame_signed(struct mt_frame_cursor *c, unsigned bytes)
{
    uint64_t value = mt_frame_unsigned(c, bytes);
    unsigned shift = 64 - 8 * bytes;

    return (int64_t)(value << shift) >> shift;
}

static inline uint64_t mt_frame_leb(struct mt_frame_cursor *c, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte = 0x80;

    while (byte & 0x80 && !c->bad && shift < 70) {
        byte = (uint8_t)mt_frame_unsigned(c, 1);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    }
    c->bad |= (byte & 0x80) != 0;
    if (is_signed && shift < 64 && byte & 0x40)
        value |= ~UINT64_C(0) << shift;
    return value;
}

static inline void mt_frame_skip(struct mt_frame_cursor *c, uint64_t bytes)
{
    if (mt_frame_room(c, bytes))
        c->at += bytes;
}

#endif
