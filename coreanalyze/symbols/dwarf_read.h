/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_READ_H
#define MT_DWARF_READ_H

/*
 * dwarf_read.h: what the symbolizer wants of DWARF, in plain C types.
 * dwarf_read.c alone calls libdwarf.
 *
 * libdwarf sees the sections through an mt_elf, and no others than those that
 * answer the questions below: it opens no file, and copies no section.  It is
 * asked for attributes as they are: addresses and strings that lie elsewhere,
 * by an index, are looked up here, since 20210528 knows few of the bases of
 * split units, and checks few of the bounds.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "coreanalyze/symbols/dwarf_ranges.h"
#include "coreanalyze/base/elf_file.h"

struct mt_dwarf_file;
struct mt_die;

/* The kinds of DIEs that lead to functions, or give them their names. */
enum mt_die_kind {
    MT_DIE_OTHER,
    MT_DIE_UNIT,      /* full and skeleton units, and those of types */
    MT_DIE_PARTIAL,   /* a unit that others import */
    MT_DIE_NAMESPACE, /* and modules */
    MT_DIE_TYPE,      /* struct, class, union, interface, enumeration */
    MT_DIE_BLOCK,     /* lexical, try, catch and the like */
    MT_DIE_FUNCTION,
    MT_DIE_INLINED
};
enum mt_die_text { MT_DIE_COMP_DIR, MT_DIE_DWO_NAME };

struct mt_unit_header {
    uint64_t offset;     /* of its header in .debug_info */
    uint64_t end;        /* the next unit's */
    uint64_t die_offset; /* of its DIE */
    uint64_t dwo_id;     /* that names its other half; 0: not split */
    uint64_t abbrevs;    /* offset of its table in .debug_abbrev */
    unsigned version;    /* of DWARF; 0: its DIEs cannot be read here */
    unsigned offset_bytes;
    bool has_code;  /* not a unit of types */
    bool one_range; /* its DIE cannot have more than one (DWARF 2) */
};

/* NULL and `error` filled when the file has no DWARF, or it cannot be read.
 * The mt_elf must outlive the result. */
/* `split`: of a file with units of both kinds, the split ones. */
struct mt_dwarf_file *mt_dwarf_file_open(struct mt_elf *, bool split,
                                         struct mt_error *);
void mt_dwarf_file_close(struct mt_dwarf_file *); /* takes NULL */
/* Strings that are in a supplementary file are looked up in OTHER. */
void mt_dwarf_file_tie(struct mt_dwarf_file *, struct mt_dwarf_file *other);

/* The DIEs of units in order, from the first; NULL at the end or where one is
 * broken.  They live as long as the file: libdwarf finds a DIE by its offset in
 * a time that grows with the number of units. */
struct mt_die *mt_dwarf_next_unit(struct mt_dwarf_file *,
                                  struct mt_unit_header *out);
bool mt_die_is_partial(struct mt_die *);
/* Points into a section, or NULL. */
const char *mt_die_text(struct mt_dwarf_file *, struct mt_die *,
                        enum mt_die_text);
/* The code of a unit, as its attributes have it. */
struct mt_code mt_die_code(struct mt_dwarf_file *, struct mt_die *);
/* The base of a unit's strings by index. */
uint64_t mt_unit_strings_base(struct mt_dwarf_file *, struct mt_die *unit);
/* The bases of a unit's addresses and range lists, from its DIE. */
struct mt_address_space mt_unit_space(struct mt_dwarf_file *,
                                      struct mt_die *unit);
/* The offset of a unit's line table in .debug_line, which dwarf_lines.c
 * reads. */
bool mt_die_line_table(struct mt_dwarf_file *, struct mt_die *unit,
                       uint64_t *offset);
/* A section, inflated; without bytes if there is none. */
struct mt_bytes mt_dwarf_section(struct mt_dwarf_file *, const char *name);
/* The same, or that of split units, whose name ends in .dwo. */
struct mt_bytes mt_dwarf_own_section(struct mt_dwarf_file *, const char *name);

#endif
