/* SPDX-License-Identifier: BSD-2-Clause
 *
 * debug_file.h - the files that the DWARF of one module is in, their units, and
 * the tables of those units that were read.
 */
#ifndef MT_DEBUG_FILE_H
#define MT_DEBUG_FILE_H

#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/symbols/dwarf_unit.h"

struct mt_dwarf_options {
    struct mt_elf *elf;        /* the file with the DWARF */
    struct mt_elf *supplement; /* or NULL */
    const char *path;          /* of the module, to find split units by */
    const char *debug_path;    /* of `elf`, if that is another file */
    const char *sysroot;       /* or NULL */
    bool no_demangle;
    struct mt_strings *strings;
};

struct mt_unit {
    struct mt_unit_header header;
    struct mt_die *die;
    bool tables_read, lines_read, files_read;
    bool by_functions; /* its DIE does not say where all its code is */
    /* Of its DIE, when they are first needed: */
    bool attributes_read, has_line_table;
    uint64_t line_table;
    uint64_t strings_base; /* UINT64_MAX: not read */
    const char *directory; /* that it was compiled in; in a section, or NULL */
    struct mt_debug_file *split_side; /* where its other half is */
    struct mt_unit *split;
    struct mt_unit_tables tables;
    struct mt_line_table lines;
    struct mt_line_files files;
};
/* One file with DWARF. */
struct mt_debug_file {
    struct mt_debug_file *next; /* the next one of split units */
    struct mt_elf *elf;
    char *path; /* of a file of split units */
    struct mt_dwarf_file *file;
    struct mt_unit *units; /* by offset */
    size_t n_units;
    struct mt_bytes info, abbrev; /* sections */
    struct mt_table by_dwo;       /* the units that have another half */
    /* Tables of abbreviations that were read. */
    struct mt_abbrevs *abbrevs;
    size_t n_abbrevs, abbrevs_room, abbrev_bytes;
    struct mt_table by_abbrevs;
    /* Names that were made, by the DIEs that were asked about. */
    struct mt_die_name {
        uint64_t die;
        const char *name; /* kept, or NULL */
    } * names;
    size_t n_names, names_room;
    struct mt_table by_die;
};
struct mt_dwarf {
    struct mt_dwarf_options options;
    struct mt_debug_file main, supplement;
    struct mt_debug_file *splits; /* these own their ELF file */
    const char *missing_split;
    struct mt_intervals index; /* values: index of a unit of `main` */
    size_t table_bytes;        /* of units, their lines and functions */
};

/* `split`: as in mt_dwarf_file_open.  The code of units goes to INDEX, unless
 * that is NULL. */
bool mt_debug_file_open(struct mt_debug_file *, struct mt_elf *, bool split,
                        struct mt_dwarf_file *tie, struct mt_intervals *index,
                        struct mt_error *);
void mt_debug_file_close(struct mt_dwarf *, struct mt_debug_file *);
size_t mt_debug_file_bytes(const struct mt_debug_file *); /* besides tables */
struct mt_unit *mt_dwarf_unit_at(struct mt_debug_file *, uint64_t offset);
/* The tables of a unit, read if they are not yet.  The tables of a split unit
 * need its skeleton (otherwise NULL) for their addresses. */
struct mt_unit_tables *mt_dwarf_tables(struct mt_dwarf *,
                                       struct mt_debug_file *, struct mt_unit *,
                                       const struct mt_unit *skeleton);
/* Drops what was read of units. */
void mt_debug_file_trim(struct mt_dwarf *, struct mt_debug_file *);
/* What it takes to read DIEs of a unit; it holds up to the next call.  False if
 * they cannot be read. */
bool mt_dwarf_entries(struct mt_debug_file *, const struct mt_unit *,
                      struct mt_entries *out);

/* --- dwarf_split.c --- */
/* Finds the other half of a unit of the main file. */
void mt_dwarf_find_split(struct mt_dwarf *, struct mt_unit *);

/* --- dwarf_name.c --- */
/* The name of the function at a DIE, kept; NULL if it has none. */
const char *mt_dwarf_function_name(struct mt_dwarf *, struct mt_debug_file *,
                                   uint64_t die);

#endif
