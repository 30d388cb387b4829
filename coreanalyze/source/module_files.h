/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_files.h - files of modules that stay open, since each is asked for
 * something several times: for one target, or for many in turn.
 */
#ifndef MT_MODULE_FILES_H
#define MT_MODULE_FILES_H

#include "coreanalyze/base/elf_file.h"

struct mt_module_files;

/* For one thread; NULL when out of memory. */
struct mt_module_files *mt_module_files_new(void);
void mt_module_files_free(struct mt_module_files *); /* takes NULL */

/* From now on files are looked at once for each target: whether they have
 * changed since the one before. */
void mt_module_files_next_target(struct mt_module_files *);

/* The file at a path as it is now; as mt_elf_open if `files` is NULL. */
struct mt_elf *mt_module_files_open(struct mt_module_files *files,
                                    const char *path, struct mt_error *error);
/* The value of a symbol of a file, if it was noted; 0: the file has none. False
 * if it is not known. */
bool mt_module_files_symbol(const struct mt_module_files *files,
                            const struct mt_elf *elf, const char *name,
                            uint64_t *value);
/* Notes one, in the place of the one before. */
void mt_module_files_note(struct mt_module_files *files,
                          const struct mt_elf *elf, const char *name,
                          uint64_t value);
/* Notes that a file has none of a set of names, by the set's hash, in the place
 * of the one before; and was that noted? */
void mt_module_files_note_lack(struct mt_module_files *files,
                               const struct mt_elf *elf, uint64_t names);
bool mt_module_files_lacks(const struct mt_module_files *files,
                           const struct mt_elf *elf, uint64_t names);
/* Ends each use of a file that was opened so; takes NULL. */
void mt_module_files_close(const struct mt_module_files *files,
                           struct mt_elf *elf);

#endif
