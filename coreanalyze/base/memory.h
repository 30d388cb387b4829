/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory.h - growing arrays, owned strings, and clocks.
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

/* Strings that live as long as their owner. */
struct mt_string_pool;
struct mt_string_pool *mt_string_pool_new(void);
/* A NUL-terminated copy, NULL when out of memory. The same text as the one
 * added before it is not copied again. */
const char *mt_string_pool_add(struct mt_string_pool *, const char *,
                               size_t length);
void mt_string_pool_free(struct mt_string_pool *); /* takes NULL */

#endif
