/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_entry.h - one DIE out of a unit's bytes: its kind, where its children
 * start, and the attributes that lead to functions and their names.
 */
#ifndef MT_DWARF_ENTRY_H
#define MT_DWARF_ENTRY_H

#include "coreanalyze/symbols/dwarf_abbrev.h"

/* The bytes of a unit, and what it takes to read them. */
struct mt_entries {
    struct mt_bytes info; /* the whole section */
    uint64_t unit, end;   /* offsets */
    const struct mt_abbrevs *abbrevs;
};
struct mt_entry {
    uint64_t offset;
    uint64_t next; /* its first child, or what follows it */
    enum mt_die_kind kind;
    bool ends; /* the end of a list of children, and not a DIE */
    bool has_children;
    unsigned has; /* bits of enum mt_entry_value */
    struct mt_entry_form {
        uint64_t number;
        uint16_t form;
    } values[MT_ENTRY_VALUES];
};

/* The DIE at OFFSET; false if it cannot be read. */
bool mt_entry_read(const struct mt_entries *, uint64_t offset,
                   struct mt_entry *);
/* Where the DIE that follows all children of ENTRY is, or 0 if not known. */
uint64_t mt_entry_sibling(const struct mt_entries *, const struct mt_entry *);
struct mt_code mt_entry_code(const struct mt_entry *);
/* A number that an attribute is, or OTHERWISE. */
uint64_t mt_entry_number(const struct mt_entry *, enum mt_entry_value,
                         uint64_t otherwise);
/* The DIE that this one is an instance or the definition of. */
bool mt_entry_origin(const struct mt_entries *, const struct mt_entry *,
                     uint64_t *offset, bool *in_supplement);
/* A string, or NULL.  BASE is that of the unit's table of strings by index. */
const char *mt_entry_text(struct mt_dwarf_file *,
                          struct mt_dwarf_file *supplement,
                          const struct mt_entries *, const struct mt_entry *,
                          enum mt_entry_value, uint64_t base);
/* Does its text need that base? */
bool mt_entry_is_indexed(const struct mt_entry *, enum mt_entry_value);

#endif
