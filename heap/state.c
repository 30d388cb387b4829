/* SPDX-License-Identifier: BSD-2-Clause
 *
 * state.c - state of the whole allocator: whether it has started, its settings,
 * and the list of heaps.  This file calls nothing.
 */
#include "heap/alloc.h"
#include "heap/libc_heap.h"

struct mt_hot mt_hot;
struct memtrace_heap *mt_main;
struct memtrace_heap *mt_heaps[MT_MAX_HEAPS];
bool mt_has_started;
const struct mt_libc_heap *mt_libc_heap;

struct mt_config mt_config = {
    .trace = true,
    .abort_on_error = true,
    .depth = MT_DEPTH_MAX,
};

struct memtrace_heap *mt_heap_at(uint32_t id)
{
    return id < MT_MAX_HEAPS ? mt_load_acquire(&mt_heaps[id]) : NULL;
}
