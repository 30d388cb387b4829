/* SPDX-License-Identifier: BSD-2-Clause
 *
 * modules.h - the table of modules of a source, from its mappings and the ELF
 * headers in its memory.
 */
#ifndef MT_SOURCE_MODULES_H
#define MT_SOURCE_MODULES_H

#include "coreanalyze/base/elf_file.h"
#include "coreanalyze/source/source.h"

/* Fills in source->modules.  The mappings must be there, and reading must
 * work.  False when out of memory. */
bool mt_modules_scan(struct mt_source *source, struct mt_error *error);

/* The module's file, if it is the one that is mapped by all that is known; NULL
 * if it is not found.  NO_MEMORY, which may be NULL, is set if memory for it
 * was short.  mt_module_file_done ends the use of it. */
struct mt_elf *mt_module_file(const struct mt_source *source,
                              const struct mt_module *module, bool *no_memory);
void mt_module_file_done(const struct mt_source *source,
                         struct mt_elf *elf); /* takes NULL */

/* Address of the data symbol `name` in a module's dynamic symbol table or
 * symbol table: from its memory, otherwise from its file if the build-id is the
 * same (or not known). 0 if there is none.  NO_MEMORY, which may be NULL, is
 * set if memory for the file was short. */
uint64_t mt_module_symbol(struct mt_source *source,
                          const struct mt_module *module, const char *name,
                          bool *no_memory);

/* A function that a module's own file defines. */
#define MT_FUNCTION_NAME 64
#define MT_FUNCTION_PART "alloc"
struct mt_module_function {
    char name[MT_FUNCTION_NAME]; /* "": there is none */
    bool exported;               /* other modules may be bound to it */
};

/* The first function of each of `n` names, at most 32, that all have
 * MT_FUNCTION_PART in them; one that begins with "_" may have anything before
 * that, or lack it.  Only the module's file says: all are "" if that is not
 * here, or not known to be the one that ran.  False when out of memory. */
bool mt_module_functions(const struct mt_source *source,
                         const struct mt_module *module,
                         const char *const names[], size_t n,
                         struct mt_module_function found[]);

/* Sets a bit for each of the NULL-terminated `names` (up to 32) that is a
 * function of another module, and that the module has called, or may have: by
 * its file.  False when out of memory. */
bool mt_module_calls(struct mt_source *source, const struct mt_module *module,
                     const char *const *names, unsigned *found);

#endif
