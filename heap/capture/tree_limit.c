/* SPDX-License-Identifier: BSD-2-Clause
 *
 * tree_limit.c - what stacks may take, and what they have taken.
 */
#include "heap/capture/frame_tree.h"

#define LIMIT_LEAST (UINT64_C(32) << 20)
#define LIMIT_SHARE 4 /* of the heap's peak */

uint64_t mt_tree_heap_bytes(void)
{
    const struct mt_section_record *heaps =
        &memtrace_root->sections[MT_SECTION_HEAPS];
    const struct mt_heap_record *main_heap =
        (const struct mt_heap_record *)(uintptr_t)heaps->base;
    return mt_load_acquire(&heaps->used) == 0
               ? 0
               : mt_load_relaxed(&main_heap->span_bytes_peak);
}

uint64_t mt_tree_limit(void)
{
    uint64_t limit = mt_load_relaxed(&memtrace_root->stacks_limit);
    if (limit != 0)
        return limit;
    limit = mt_tree_heap_bytes() / LIMIT_SHARE;
    return limit > LIMIT_LEAST ? limit : LIMIT_LEAST;
}

bool mt_tree_reserve(uint64_t bytes, bool urgent)
{
    uint64_t *taken = &memtrace_root->stacks_bytes;
    uint64_t limit = mt_tree_limit();
    if (!urgent)
        limit -= limit / 16;
    /* Nothing is taken before it fits: a thread may be stopped in between. */
    uint64_t now = mt_load_relaxed(taken);
    do {
        if (MT_UNLIKELY(now + bytes > limit))
            return false;
    } while (!__atomic_compare_exchange_n(taken, &now, now + bytes, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}
