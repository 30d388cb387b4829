/* SPDX-License-Identifier: BSD-2-Clause
 *
 * variables.h - names of global and static variables, out of the symbol tables
 * of the modules' files; and bytes of code, which cores leave out.
 */
#ifndef MT_VARIABLES_H
#define MT_VARIABLES_H

#include "coreanalyze/source/source.h"

struct mt_variables;
/* Debug folders end by NULL; the sysroot may be NULL.  They must outlive it.
 * NULL when out of memory. */
struct mt_variables *mt_variables_new(const char *const *debug_dirs,
                                      const char *sysroot);
/* False if memory ran out, so that a name may be missing. */
bool mt_variables_are_whole(const struct mt_variables *);
void mt_variables_free(struct mt_variables *); /* takes NULL */

/* The variable that holds `address`; its name lives until mt_variables_free.
 * False if none is known: no file, another build, or no symbols. */
bool mt_variable_at(struct mt_variables *, const struct mt_module *module,
                    uint64_t address, const char **name, uint64_t *offset);

/* Bytes of the module's file that are at `address` in memory; false if its
 * sections do not hold them all. */
bool mt_variables_code(struct mt_variables *, const struct mt_module *module,
                       uint64_t address, void *buffer, size_t bytes);

#endif
