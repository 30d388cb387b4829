/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_ranges.c - the ranges of code of a DIE (.debug_ranges and
 * .debug_rnglists), and the strings and addresses that an index names.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_ranges.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/symbols/byte_cursor.h"

#include <stdlib.h>
#include <string.h>

/* Entries of one list; what has more is broken, and would take up memory. */
#define MAX_ENTRIES 1000000u

enum { /* DW_RLE_* of DWARF 5 */
       RLE_END_OF_LIST,
       RLE_BASE_ADDRESSX,
       RLE_STARTX_ENDX,
       RLE_STARTX_LENGTH,
       RLE_OFFSET_PAIR,
       RLE_BASE_ADDRESS,
       RLE_START_END,
       RLE_START_LENGTH
};

static struct mt_byte_cursor cursor_at(struct mt_bytes section, uint64_t offset)
{
    struct mt_byte_cursor cursor = {section.data, section.data, true};

    if (offset < section.bytes) {
        cursor.at = section.data + offset;
        cursor.end = section.data + section.bytes;
        cursor.bad = false;
    }
    return cursor;
}

static bool rnglists_add(struct mt_ranges *ranges, uint64_t low, uint64_t high)
{
    /* Linkers leave 0, 1 or -1 for code that they dropped. */
    if (low >= high || low <= 1)
        return true;
    if (!mt_grow(&ranges->at, &ranges->room, ranges->n + 1, sizeof *ranges->at))
        return false;
    ranges->at[ranges->n++] = (struct mt_range){low, high};
    return true;
}

static bool rnglists_address(const struct mt_address_space *space,
                             uint64_t index, uint64_t *out)
{
    uint64_t offset;

    if (__builtin_mul_overflow(index, 8, &offset) ||
        __builtin_add_overflow(offset, space->addr_base, &offset))
        return false;
    struct mt_byte_cursor cursor = cursor_at(space->addresses, offset);
    *out = mt_take(&cursor, 8);
    return !cursor.bad;
}

bool mt_code_low(const struct mt_code *code,
                 const struct mt_address_space *space, uint64_t *low)
{
    if (code->has_low && code->low_indexed)
        return rnglists_address(space, code->low, low);
    *low = code->low;
    return code->has_low;
}

static bool add_low_and_high(const struct mt_code *code,
                             const struct mt_address_space *space,
                             struct mt_ranges *out)
{
    uint64_t low, high = code->high;

    if (!code->has_high || !mt_code_low(code, space, &low) ||
        (code->high_indexed && !rnglists_address(space, code->high, &high)))
        return true;
    if (code->high_is_length)
        high += low;
    return rnglists_add(out, low, high);
}

/* DWARF 3 and 4: pairs of addresses, up to one of zeros. */
static bool add_pairs(const struct mt_code *code,
                      const struct mt_address_space *space,
                      struct mt_ranges *out)
{
    struct mt_byte_cursor cursor =
        cursor_at(space->ranges, code->ranges + space->ranges_base);
    uint64_t base = space->low;

    for (size_t n = 0; n < MAX_ENTRIES; n++) {
        uint64_t low = mt_take(&cursor, 8), high = mt_take(&cursor, 8);

        if (cursor.bad || (low == 0 && high == 0))
            break;
        if (low == UINT64_MAX)
            base = high;
        else if (!rnglists_add(out, base + low, base + high))
            return false;
    }
    return true;
}

/* One entry of a list of DWARF 5: a range, or a new base. */
static bool take_entry(struct mt_byte_cursor *cursor,
                       const struct mt_address_space *space, unsigned code,
                       uint64_t *base, uint64_t *low, uint64_t *high)
{
    *low = *high = 0;
    switch (code) {
    case RLE_BASE_ADDRESSX:
        return rnglists_address(space, mt_take_leb(cursor, false), base);
    case RLE_STARTX_ENDX:
        if (!rnglists_address(space, mt_take_leb(cursor, false), low))
            return false;
        return rnglists_address(space, mt_take_leb(cursor, false), high);
    case RLE_STARTX_LENGTH:
        if (!rnglists_address(space, mt_take_leb(cursor, false), low))
            return false;
        *high = *low + mt_take_leb(cursor, false);
        return true;
    case RLE_OFFSET_PAIR:
        *low = *base + mt_take_leb(cursor, false);
        *high = *base + mt_take_leb(cursor, false);
        return true;
    case RLE_BASE_ADDRESS:
        *base = mt_take(cursor, 8);
        return true;
    case RLE_START_END:
        *low = mt_take(cursor, 8);
        *high = mt_take(cursor, 8);
        return true;
    case RLE_START_LENGTH:
        *low = mt_take(cursor, 8);
        *high = *low + mt_take_leb(cursor, false);
        return true;
    default:
        return false;
    }
}

static bool add_list(const struct mt_code *code,
                     const struct mt_address_space *space,
                     struct mt_ranges *out)
{
    uint64_t offset = code->ranges + space->lists_start;
    uint64_t base = space->low, low, high;

    if (code->ranges_indexed) {
        struct mt_byte_cursor table =
            cursor_at(space->lists,
                      space->lists_base + code->ranges * space->offset_bytes);

        offset = space->lists_base + mt_take(&table, space->offset_bytes);
        if (table.bad)
            return true;
    }
    struct mt_byte_cursor cursor = cursor_at(space->lists, offset);
    for (size_t n = 0; n < MAX_ENTRIES && !cursor.bad; n++) {
        unsigned kind = (unsigned)mt_take(&cursor, 1);

        if (kind == RLE_END_OF_LIST ||
            !take_entry(&cursor, space, kind, &base, &low, &high) || cursor.bad)
            break;
        if (!rnglists_add(out, low, high))
            return false;
    }
    return true;
}

bool mt_code_ranges(const struct mt_code *code,
                    const struct mt_address_space *space, struct mt_ranges *out)
{
    if (!code->has_ranges)
        return add_low_and_high(code, space, out);
    return space->version >= 5 ? add_list(code, space, out)
                               : add_pairs(code, space, out);
}

const char *mt_string_at(struct mt_bytes strings, uint64_t offset)
{
    if (offset >= strings.bytes ||
        memchr(strings.data + offset, 0, strings.bytes - offset) == NULL)
        return NULL;
    return (const char *)strings.data + offset;
}

const char *mt_indexed_string(struct mt_bytes table, struct mt_bytes strings,
                              uint64_t base, uint64_t index,
                              unsigned offset_bytes)
{
    uint64_t offset;

    if (__builtin_mul_overflow(index, offset_bytes, &offset) ||
        __builtin_add_overflow(offset, base, &offset))
        return NULL;
    struct mt_byte_cursor cursor = cursor_at(table, offset);
    offset = mt_take(&cursor, offset_bytes);
    return cursor.bad ? NULL : mt_string_at(strings, offset);
}
