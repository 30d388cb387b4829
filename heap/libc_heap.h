/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libc_heap.h - blocks that are in no heap of ours, but in that of the C
 * library's own allocator, which is theirs to free, resize and measure.
 */
#ifndef MT_LIBC_HEAP_H
#define MT_LIBC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_libc_heap {
    bool (*owns)(uintptr_t);
    void (*free)(void *);
    void *(*realloc)(void *, size_t);
    size_t (*usable_size)(void *);
};
/* state.c. Set by the preload library; NULL: all that is foreign is an error.
 */
extern const struct mt_libc_heap *mt_libc_heap;

#endif
