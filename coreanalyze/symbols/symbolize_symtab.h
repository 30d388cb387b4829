/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SYMBOLIZE_SYMTAB_H
#define MT_SYMBOLIZE_SYMTAB_H

/*
 * symbolize_symtab.h: functions by the symbol tables of one ELF file, chosen
 * as GDB chooses its minimal symbols.
 */
#include "coreanalyze/base/elf_file.h"

struct mt_symtab;

struct mt_symtab_entry {
    uint64_t address, bytes; /* 0 bytes: not said */
    const char *name;        /* in the file; may end in @VERSION */
    uint32_t section;        /* index of its section */
};

/* The full table, or with DYNAMIC the exported symbols.  NULL without such a
 * table.  The mt_elf must outlive it. */
struct mt_symtab *mt_symtab_read(struct mt_elf *, bool dynamic);
void mt_symtab_free(struct mt_symtab *); /* takes NULL */
size_t mt_symtab_bytes(const struct mt_symtab *);
/* The symbol that PC belongs to, or NULL; valid until the next call. */
const struct mt_symtab_entry *mt_symtab_find(struct mt_symtab *, uint64_t pc);
/* The symbol at the address of ENTRY that has the plainest name, which
 * is what programs call: the shortest without a C library's prefixes. */
const struct mt_symtab_entry *mt_symtab_plain(struct mt_symtab *,
                                              const struct mt_symtab_entry *);

#endif
