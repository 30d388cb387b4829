/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory.c - the growing array, and clocks.
 */
#include "coreanalyze/base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool mt_resize(void *array, size_t n, size_t item_bytes)
{
    void *old, *fresh;

    if (n > SIZE_MAX / item_bytes)
        return false;
    memcpy(&old, array, sizeof old);
    fresh = realloc(old, n > 0 ? n * item_bytes : 1);
    if (fresh == NULL)
        return false;
    memcpy(array, &fresh, sizeof fresh);
    return true;
}

bool mt_grow(void *array, size_t *capacity, size_t needed, size_t item_bytes)
{
    char *items;
    size_t target = *capacity ? *capacity : 16;

    if (needed <= *capacity)
        return true;
    while (target < needed)
        target = target > SIZE_MAX / 2 ? needed : target * 2;
    if (!mt_resize(array, target, item_bytes))
        return false;
    memcpy(&items, array, sizeof items);
    memset(items + *capacity * item_bytes, 0,
           (target - *capacity) * item_bytes);
    *capacity = target;
    return true;
}

bool mt_extend(void *array, size_t *capacity, size_t needed, size_t item_bytes)
{
    size_t target = needed + needed / 4 + 16;

    if (needed <= *capacity)
        return true;
    if (target < needed || !mt_resize(array, target, item_bytes))
        return false;
    *capacity = target;
    return true;
}

uint64_t mt_clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
