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
#include "coreanalyze/symbols/debug_file.h"
#include "coreanalyze/symbols/symbolize.h"

/* Everything in the options must outlive it.  NULL: no DWARF in the file. */
struct mt_dwarf *mt_dwarf_new(const struct mt_dwarf_options *,
                              struct mt_error *error);
/* False if memory ran out for something of a file of split units. */
bool mt_dwarf_is_whole(const struct mt_dwarf *);
/* Are the files of split units that were opened as they were? */
bool mt_dwarf_unchanged(const struct mt_dwarf *);
void mt_dwarf_free(struct mt_dwarf *); /* takes NULL */
/* Like mt_symbolize.  The last frame is a function's own, or has no name if no
 * function is known there. */
size_t mt_dwarf_find(struct mt_dwarf *, uint64_t pc,
                     struct mt_symbol_frame *out, size_t max);
/* Bytes held, as far as they can be counted; to hold fewer. */
size_t mt_dwarf_bytes(const struct mt_dwarf *);
void mt_dwarf_trim(struct mt_dwarf *);
/* The first file of a split unit that was asked for and not found, or NULL. */
const char *mt_dwarf_missing_split(const struct mt_dwarf *);

#endif
