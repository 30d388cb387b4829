/* SPDX-License-Identifier: BSD-2-Clause
 *
 * load_count.h - how often objects were loaded.  All of it is AS-safe and takes
 * no lock.
 */
#ifndef MT_LOAD_COUNT_H
#define MT_LOAD_COUNT_H

#include "heap/attributes.h"

#include <stdint.h>

/* The count changes before code can run at an address that meant other code
 * before, and before other code that is loaded can. Facts derived from an
 * address - a rule, a memo, a module - hold while the count is the same. */
extern MT_HIDDEN const volatile uint64_t *mt_modules_loads[2];
extern MT_HIDDEN uint64_t mt_modules_events;
static inline uint64_t mt_modules_load_count(void)
{
    return (*mt_modules_loads[1] << 24) + *mt_modules_loads[0] +
           mt_load_folded(&mt_modules_events);
}

/* Loads that the program's list of objects does not show, by each word. They
 * were unloads, and loads of dlmopen(). So until an object on the list is
 * unloaded, the number stays by the word that is the count. By another it
 * may grow, which only makes modules be looked at in vain. */
extern MT_HIDDEN const volatile uint32_t *mt_modules_listed;
extern MT_HIDDEN int64_t mt_modules_unlisted[2]; /* at the last check */
static inline int64_t mt_modules_unlisted_now(unsigned i)
{
    uint64_t count = *mt_modules_loads[i]; /* which the linker writes last */
    return (int64_t)(count - *mt_modules_listed);
}

/* Finds where the count is. Once, before the first capture. */
void mt_modules_start(void);

#endif
