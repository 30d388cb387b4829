/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cfi_read.h - a bounded cursor over unwind data in memory.
 */
#ifndef MT_CFI_READ_H
#define MT_CFI_READ_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Reading past `end` sets `bad`, yields 0 and stays at the end. */
struct mt_cursor {
    const uint8_t *at, *end;
    bool bad;
};

static inline bool mt_cursor_room(struct mt_cursor *c, uint64_t bytes)
{
    if (bytes <= (uint64_t)(c->end - c->at))
        return true;
    c->bad = true;
    c->at = c->end;
    return false;
}

static inline void mt_read_skip(struct mt_cursor *c, uint64_t bytes)
{
    if (mt_cursor_room(c, bytes))
        c->at += bytes;
}

static inline uint8_t mt_read_u8(struct mt_cursor *c)
{
    return mt_cursor_room(c, 1) ? *c->at++ : 0;
}

/* `bytes` is at most 8.  A copy whose length is not constant is a call, or an
 * instruction that takes as long. */
static inline uint64_t mt_read_unsigned(struct mt_cursor *c, unsigned bytes)
{
    uint64_t value = 0;
    if (mt_cursor_room(c, bytes)) {
        for (unsigned i = 0; i < bytes; i++)
            value |= (uint64_t)c->at[i] << (8 * i);
        c->at += bytes;
    }
    return value;
}

static inline int64_t mt_read_signed(struct mt_cursor *c, unsigned bytes)
{
    uint64_t value = mt_read_unsigned(c, bytes);
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(value << unused) >> unused;
}

static inline uint64_t mt_read_uleb(struct mt_cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; mt_cursor_room(c, 1); shift += 7) {
        uint8_t byte = *c->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    return 0;
}

static inline int64_t mt_read_sleb(struct mt_cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; mt_cursor_room(c, 1); shift += 7) {
        uint8_t byte = *c->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if ((byte & 0x40) && shift + 7 < 64)
            value |= ~UINT64_C(0) << (shift + 7);
        return (int64_t)value;
    }
    return 0;
}

#endif
