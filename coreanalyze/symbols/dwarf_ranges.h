/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_RANGES_H
#define MT_DWARF_RANGES_H

/*
 * dwarf_ranges.h: from the attributes of a DIE to the addresses of its code:
 * .debug_addr, .debug_ranges and .debug_rnglists; and strings by an index.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_range {
    uint64_t low, high; /* [low, high) */
};
struct mt_ranges {
    struct mt_range *at;
    size_t n, room;
};
struct mt_bytes {
    const uint8_t *data;
    size_t bytes;
};

/* The attributes low_pc, high_pc and ranges of one DIE. */
struct mt_code {
    bool has_low, low_indexed;
    bool has_high, high_indexed, high_is_length;
    bool has_ranges, ranges_indexed;
    uint64_t low, high, ranges;
};
/* The base addresses of one unit's ranges. */
struct mt_address_space {
    unsigned version;      /* of DWARF */
    unsigned offset_bytes; /* 4 or 8 */
    uint64_t low;          /* its lowest address: the base of its lists */
    struct mt_bytes addresses, ranges, lists; /* sections; none: 0 bytes */
    uint64_t addr_base;                       /* of its table in `addresses` */
    uint64_t ranges_base; /* to add to offsets in `ranges` */
    uint64_t lists_start; /* of its part of `lists` */
    uint64_t lists_base;  /* of its table of offsets in `lists` */
};

bool mt_code_low(const struct mt_code *, const struct mt_address_space *,
                 uint64_t *low);
/* Appends the ranges; false when out of memory. */
bool mt_code_ranges(const struct mt_code *, const struct mt_address_space *,
                    struct mt_ranges *out);

/* The string at an offset, or NULL. */
const char *mt_string_at(struct mt_bytes strings, uint64_t offset);
/* The string of an index in the table that starts at BASE, or NULL. */
const char *mt_indexed_string(struct mt_bytes table, struct mt_bytes strings,
                              uint64_t base, uint64_t index,
                              unsigned offset_bytes);

#endif
