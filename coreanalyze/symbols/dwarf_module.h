/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_MODULE_H
#define MT_DWARF_MODULE_H

/*
 * dwarf_module.h: all the DWARF of one module: its own file, the files of its
 * split units, and the supplementary file that dwz made.
 *
 * Opening lists the units and the code of each; a unit's functions and lines
 * are read when a pc first falls into it, and kept until mt_dwarf_trim.
 */
#include "coreanalyze/symbols/dwarf_unit.h"
#include "coreanalyze/symbols/symbolize.h"
#include "coreanalyze/base/string_set.h"

struct mt_dwarf_options {
    struct mt_elf *elf;        /* the file with the DWARF */
    struct mt_elf *supplement; /* or NULL */
    const char *path;          /* of the module, to find split units by */
    const char *debug_path;    /* of `elf`, if that is another file */
    const char *sysroot;       /* or NULL */
    bool no_demangle;
    struct mt_strings *strings;
};

struct mt_dwarf;

/* Everything in the options must outlive it.  NULL: no DWARF in the file. */
struct mt_dwarf *mt_dwarf_new(const struct mt_dwarf_options *,
                              struct mt_error *error);
void mt_dwarf_free(struct mt_dwarf *); /* takes NULL */
/* As mt_symbolize.  The last frame is a function's own, or, if no function is
 * known there, one without a name. */
size_t mt_dwarf_find(struct mt_dwarf *, uint64_t pc,
                     struct mt_symbol_frame *out, size_t max);
/* Bytes held, as far as they can be counted; to hold fewer. */
size_t mt_dwarf_bytes(const struct mt_dwarf *);
void mt_dwarf_trim(struct mt_dwarf *);
/* The first file of a split unit that was asked for and not found, or NULL. */
const char *mt_dwarf_missing_split(const struct mt_dwarf *);

/*
 * Between dwarf_module.c, dwarf_split.c and dwarf_name.c.
 */
struct mt_unit {
    struct mt_unit_header header;
    bool tables_read, lines_read, split_sought;
    struct mt_debug_file *split_side; /* where its other half is */
    struct mt_unit *split;
    struct mt_unit_tables tables;
    struct mt_line_table lines;
    const char **files; /* by index in the file table; NULL: not asked yet */
    size_t n_files;
};
/* One file with DWARF. */
struct mt_debug_file {
    struct mt_debug_file *next; /* the next one of split units */
    struct mt_elf *elf;
    char *path; /* of a file of split units */
    struct mt_dwarf_file *file;
    struct mt_unit *units; /* by offset */
    size_t n_units;
};
struct mt_dwarf {
    struct mt_dwarf_options options;
    struct mt_debug_file main, supplement;
    struct mt_debug_file *splits; /* these own their ELF file */
    const char *missing_split;
    struct mt_intervals index; /* values: index of a unit of `main` */
    size_t table_bytes;        /* of units, their lines and functions */
};

bool mt_debug_file_open(struct mt_debug_file *, struct mt_elf *,
                        struct mt_dwarf_file *tie, struct mt_error *);
void mt_debug_file_close(struct mt_dwarf *, struct mt_debug_file *);
struct mt_unit *mt_dwarf_unit_at(struct mt_debug_file *, uint64_t offset);
/* The tables of a unit, read if they are not yet.  Those of a split unit need
 * its skeleton, else NULL, for their addresses. */
struct mt_unit_tables *mt_dwarf_tables(struct mt_dwarf *,
                                       struct mt_debug_file *, struct mt_unit *,
                                       struct mt_die *skeleton);
/* Finds the other half of a skeleton unit of the main file. */
void mt_dwarf_find_split(struct mt_dwarf *, struct mt_unit *,
                         struct mt_die *skeleton);
/* The name of the function at a DIE, kept; NULL if it has none. */
const char *mt_dwarf_function_name(struct mt_dwarf *, struct mt_debug_file *,
                                   uint64_t die);

#endif
