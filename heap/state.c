/* SPDX-License-Identifier: BSD-2-Clause
 *
 * state.c - what the whole allocator knows of the process: is it started, with
 * which settings, and which heaps are there.  It calls nothing.
 */
#include "heap/alloc.h"

struct mt_hot mt_hot;
struct memtrace_heap *mt_main;
struct memtrace_heap *mt_heaps[MT_MAX_HEAPS];
bool mt_has_started;

struct mt_config mt_config = {
    .trace = true,
    .abort_on_error = true,
    .depth = 32,
};

struct memtrace_heap *mt_heap_at(uint32_t id)
{
    return id < MT_MAX_HEAPS ? mt_load_acquire(&mt_heaps[id]) : NULL;
}
