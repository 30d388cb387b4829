/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_table.h - what is loaded where.  All of it is AS-safe and takes no
 * lock.
 */
#ifndef MT_MODULE_TABLE_H
#define MT_MODULE_TABLE_H

#include "heap/internal.h"

/* Records the modules that the frames lie in, if they aren't yet. */
void mt_modules_note(const uint64_t *frames, unsigned n);
uint32_t mt_modules_count(void);

/* Listed modules that were found gone so far, looked for if `load_count` is
 * not the one of the last time. What was derived from addresses in listed
 * modules holds while the count is the same. While it is 0 none was ever gone;
 * otherwise frames must be noted before they are compared with known stacks'.
 */
uint32_t mt_modules_unload_count(uint64_t load_count);
/* Does one of the frames lie in a module that was recorded at or after index
 * `modules`, at addresses which another had before? */
bool mt_modules_stale(const uint64_t *frames, unsigned n, uint32_t modules);

#endif
