/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_abbrev.h - a table of .debug_abbrev as plans: which attributes of a
 * DIE are kept, and how many bytes lie between them.
 */
#ifndef MT_DWARF_ABBREV_H
#define MT_DWARF_ABBREV_H

#include "coreanalyze/symbols/dwarf_read.h"

/* The attributes that are kept. */
enum mt_entry_value {
    MT_ENTRY_SIBLING,
    MT_ENTRY_NAME,
    MT_ENTRY_LINKAGE_NAME,
    MT_ENTRY_ORIGIN,
    MT_ENTRY_SPECIFICATION,
    MT_ENTRY_LOW,
    MT_ENTRY_HIGH,
    MT_ENTRY_RANGES,
    MT_ENTRY_CALL_FILE,
    MT_ENTRY_CALL_LINE,
    MT_ENTRY_VALUES, /* their number */
    MT_ENTRY_SKIP = MT_ENTRY_VALUES
};
/* One attribute, or several that are skipped. */
struct mt_abbrev_step {
    uint32_t bytes; /* of it; the value of an implicit one; 0: by its form */
    uint16_t form;  /* 0: a skip of `bytes` */
    uint16_t value; /* enum mt_entry_value */
};
struct mt_abbrev {
    uint64_t code;
    uint32_t first, n; /* steps */
    enum mt_die_kind kind;
    bool has_children;
};
struct mt_abbrevs {
    uint64_t offset; /* of the table in .debug_abbrev */
    unsigned version, offset_bytes;
    struct mt_abbrev *at;
    struct mt_abbrev_step *steps;
    size_t n, room, n_steps, steps_room;
};

/* What a tag means here. */
enum mt_die_kind mt_tag_kind(uint64_t tag);
/* The bytes that a form takes, or 0: it varies, or it is not known. */
unsigned mt_form_bytes(uint64_t form, unsigned version, unsigned offset_bytes);
/* Fills the table whose offset, version and size of offsets are set, as far as
 * it can be read.  False when out of memory. */
bool mt_abbrevs_read(struct mt_bytes section, struct mt_abbrevs *);
const struct mt_abbrev *mt_abbrevs_find(const struct mt_abbrevs *,
                                        uint64_t code);
size_t mt_abbrevs_bytes(const struct mt_abbrevs *);
void mt_abbrevs_free(struct mt_abbrevs *); /* what it holds */

#endif
