/* SPDX-License-Identifier: BSD-2-Clause
 *
 * byte_cursor.h - numbers out of a section's bytes; reading past their end
 * gives 0 and sets `bad`.
 */
#ifndef MT_BYTE_CURSOR_H
#define MT_BYTE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mt_byte_cursor {
    const uint8_t *at, *end;
    bool bad;
};

static inline bool mt_take_room(struct mt_byte_cursor *c, uint64_t bytes)
{
    if (bytes > (uint64_t)(c->end - c->at))
        c->bad = true;
    return !c->bad;
}

static inline uint64_t mt_take(struct mt_byte_cursor *c, unsigned bytes)
{
    uint64_t value = 0;

    if (!mt_take_room(c, bytes))
        return 0;
    memcpy(&value, c->at, bytes);
    c->at += bytes;
    return value;
}

static inline int64_t mt_take_signed(struct mt_byte_cursor *c, unsigned bytes)
{
    uint64_t value = mt_take(c, bytes);
    unsigned shift = 64 - 8 * bytes;

    return (int64_t)(value << shift) >> shift;
}

static inline uint64_t mt_take_leb(struct mt_byte_cursor *c, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte = 0x80;

    while (byte & 0x80 && !c->bad && shift < 70) {
        byte = (uint8_t)mt_take(c, 1);
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    }
    c->bad |= (byte & 0x80) != 0;
    if (is_signed && shift < 64 && byte & 0x40)
        value |= ~UINT64_C(0) << shift;
    return value;
}

static inline void mt_take_skip(struct mt_byte_cursor *c, uint64_t bytes)
{
    if (mt_take_room(c, bytes))
        c->at += bytes;
}

#endif
