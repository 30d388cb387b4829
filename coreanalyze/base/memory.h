/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory.h - arrays that grow, and clocks.  Nothing else in the reader calls
 * realloc().
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

/* The same, but a quarter more each time, and new items are not initialised.
 * For arrays that take most of a command's memory. */
bool mt_extend(void *array, size_t *capacity, size_t needed, size_t item_bytes);

/* Makes `*array` exactly `n` items long; new items are not initialised.  For
 * arrays that are cut, or too large to be doubled.  False when out of memory:
 * nothing changed. */
bool mt_resize(void *array, size_t n, size_t item_bytes);

uint64_t mt_clock_ns(clockid_t clock);

#endif
