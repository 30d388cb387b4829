/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stacks.h - the stack table.  All of it is AS-safe and takes no lock.
 */
#ifndef MT_STACKS_H
#define MT_STACKS_H

#include "heap/capture/frame_tree.h"
#include "heap/layout.h"
#include "heap/trace_region.h"

#include <stdbool.h>
#include <stdint.h>

/* The stack that was interned last, outermost frame first, and its nodes. The
 * next one often has the same callers. */
struct mt_stack_path {
    uint32_t n;
    uint32_t nodes[MT_DEPTH_MAX];
    uint64_t frames[MT_DEPTH_MAX];
};

/* Prepares the table; once, before anything else here. */
bool mt_stacks_start(void);

/* The id of the stack, new or known; MT_STACK_OVERFLOW if the table is full.
 * `path` is NULL, or one that nobody else uses now. */
uint32_t mt_stacks_intern(const uint64_t *frames, unsigned n, unsigned flags,
                          struct mt_stack_path *path, bool *known);

/* Adds to the lifetime counters of `id`. */
void mt_stacks_count(uint32_t id, uint64_t allocs, uint64_t bytes);

/* Copies the frames of a stack, innermost first; returns how many. */
unsigned mt_stacks_frames(uint32_t id, uint64_t frames[MT_DEPTH_MAX]);

static inline struct mt_stack_record *mt_stacks_record(uint32_t id)
{
    return (struct mt_stack_record *)(uintptr_t)memtrace_root
               ->sections[MT_SECTION_STACKS]
               .base +
           id;
}

#endif
