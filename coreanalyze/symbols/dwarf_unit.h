/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_DWARF_UNIT_H
#define MT_DWARF_UNIT_H

/*
 * dwarf_unit.h: the functions, scopes and lines of one DWARF unit, read once
 * and in full, when a pc first falls into it.
 */
#include "coreanalyze/symbols/dwarf_entry.h"
#include "coreanalyze/symbols/dwarf_intervals.h"

/* A function, or the code of an inlined one.  Scopes lie in depth-first order:
 * what a scope encloses follows it, up to `end`. */
struct mt_scope {
    uint64_t die;
    uint32_t end;
    bool inlined;
    uint32_t first_range, n_ranges; /* in `ranges` */
    uint32_t call_file, call_line;  /* where it was inlined */
};
/* A namespace or type, whose name is part of the names within it. */
struct mt_container {
    uint64_t die, end; /* offsets: what lies in [die, end) is in it */
    uint32_t outer;    /* index + 1; 0: none */
    enum mt_die_kind kind;
};
struct mt_unit_tables {
    struct mt_scope *scopes;
    size_t n_scopes, scopes_room;
    struct mt_ranges ranges;
    struct mt_intervals functions; /* values: indexes of scopes not inlined */
    struct mt_container *containers;
    size_t n_containers, containers_room;
};
/* A row of a line table; a sequence ends in a row with `end`. */
struct mt_line_row {
    uint64_t address;
    uint32_t line; /* 0: code of no line */
    uint32_t file : 31, end : 1;
};
struct mt_line_table {
    struct mt_line_row *rows;
    size_t n_rows, rows_room;
    struct mt_intervals sequences; /* values: first row, and
                                   their number << 32 */
    bool no_memory;                /* ran out: rows are missing */
};
/* Where the text of a table of files is. */
enum mt_line_text_in {
    MT_LINE_SECTION, /* .debug_line itself */
    MT_LINE_LINE_STRP,
    MT_LINE_STRP,
    MT_LINE_NONE
};
struct mt_line_sections {
    struct mt_bytes at[MT_LINE_NONE];
};
struct mt_line_text {
    uint64_t offset : 56, in : 8;
};
struct mt_line_file {
    struct mt_line_text name;
    const char *path; /* joined with its directories, when first asked for */
    uint32_t directory;
};
/* The files of a line program, by the numbers that its rows have. */
struct mt_line_files {
    struct mt_line_text *directories;
    struct mt_line_file *at;
    size_t n_directories, directories_room, n, room;
    bool no_memory; /* ran out: some are missing */
};

/* False when out of memory; what could be read is kept in any case. */
bool mt_unit_read(const struct mt_entries *, uint64_t die,
                  const struct mt_address_space *, struct mt_unit_tables *);
void mt_unit_tables_free(struct mt_unit_tables *); /* what it holds */
size_t mt_unit_tables_bytes(const struct mt_unit_tables *);
/*
 * The scopes that hold PC, the innermost first, at most MAX of them (then the
 * innermost are left out), the last one a function.  LOW gets the start of the
 * part of the function that PC is in.  0 if none is known.
 */
size_t mt_unit_find(const struct mt_unit_tables *, uint64_t pc,
                    const struct mt_scope **out, size_t max, uint64_t *low);
/* The innermost namespace or type around a DIE, or NULL. */
const struct mt_container *mt_unit_container(const struct mt_unit_tables *,
                                             uint64_t die);

/* The table at OFFSET of .debug_line; false if nothing of it can be read. */
bool mt_lines_read(const uint8_t *section, size_t bytes, uint64_t offset,
                   struct mt_line_table *);
void mt_lines_free(struct mt_line_table *); /* what it holds */
/* The table of files of the line program at OFFSET, as far as it can be
 * read. */
void mt_lines_files(const struct mt_line_sections *, uint64_t offset,
                    struct mt_line_files *);
/* An entry of it: NAME, which may be a path, in DIRECTORY, which may be NULL,
 * or relative to the directory of the compilation.  Both point into sections.
 */
bool mt_lines_file(const struct mt_line_sections *,
                   const struct mt_line_files *, uint32_t index,
                   const char **name, const char **directory);
void mt_lines_files_free(struct mt_line_files *); /* what it holds */
size_t mt_lines_files_bytes(const struct mt_line_files *);
/* The row that PC belongs to, or NULL. */
const struct mt_line_row *mt_lines_find(const struct mt_line_table *,
                                        uint64_t pc);

#endif
