/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_table.h - what is loaded where.  All of it is AS-safe and takes no
 * lock.
 */
#ifndef MT_MODULE_TABLE_H
#define MT_MODULE_TABLE_H

#include "heap/internal.h"

/* The generation changes before code can run at an address that meant other
 * code before, and before other code that is loaded can. What was derived
 * from an address - a rule, a memo, a module - holds while it is the same. */
extern const volatile uint64_t *mt_modules_loads[2];
extern uint64_t mt_modules_events;
static inline uint64_t mt_modules_load_count(void)
{
    return *mt_modules_loads[0] + (*mt_modules_loads[1] << 24) +
           mt_load_relaxed(&mt_modules_events);
}

/* Finds what the generation is made of. Once, before the first capture. */
void mt_modules_start(void);

/* Records the modules that the frames lie in, if they aren't yet. */
void mt_modules_note(const uint64_t *frames, unsigned n);
uint32_t mt_modules_count(void);

/* The era changes when a listed module is found gone. What was derived from
 * addresses in listed modules holds while the era is the same. `generation`
 * is the one that it was read at. While the era is 0 none was ever gone;
 * else frames must be noted before they are compared with known stacks'. */
uint32_t mt_modules_unload_count(uint64_t load_count);
/* Does one of the frames lie in a module that was recorded at or after index
 * `modules`, at addresses which another had before? */
bool mt_modules_stale(const uint64_t *frames, unsigned n, uint32_t modules);

#endif
