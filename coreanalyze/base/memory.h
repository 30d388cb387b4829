/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory.h - growing arrays, and clocks.
 */
#ifndef MT_BASE_MEMORY_H
#define MT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Makes room for `needed` items in `*array` (a pointer to the caller's typed
 * pointer); new items are zero.  False when out of memory: nothing changed. */
bool mt_grow(void *array, size_t *capacity, size_t needed, size_t item_bytes);

uint64_t mt_clock_ns(clockid_t clock);

#endif
