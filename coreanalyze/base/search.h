/* SPDX-License-Identifier: BSD-2-Clause
 *
 * search.h - binary search in arrays that ascend by a uint64_t.
 */
#ifndef MT_SEARCH_H
#define MT_SEARCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How many of `n` items, `stride` bytes apart, have a key below `key`.
 * `keys` points to the key of the first item. */
static inline __attribute__((always_inline)) size_t
mt_search(const void *keys, size_t n, size_t stride, uint64_t key)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t found;
        memcpy(&found, (const char *)keys + middle * stride, sizeof found);
        if (found < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Searches an array of structures by `member`, of type uint64_t: how many are
 * below a key, and how many are at most a key.  The first is the index of the
 * first item that is not below; the second, less one, that of the last item
 * that begins at an address or before. */
#define MT_KEYS(items, member)                                                 \
    /* An array of no items may be NULL: no arithmetic on pointers. */         \
    ((const void *)((uintptr_t)(items) +                                       \
                    offsetof(__typeof__(*(items)), member) +                   \
                    0 * sizeof(_Generic((items)->member, uint64_t : 0))))
#define mt_count_below(items, n, member, key)                                  \
    mt_search(MT_KEYS(items, member), n, sizeof *(items), key)
#define mt_count_up_to(items, n, member, key)                                  \
    ((key) == UINT64_MAX ? (n) : mt_count_below(items, n, member, (key) + 1))

#endif
