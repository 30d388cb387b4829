/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stacks.h - the stack table.  All of it is AS-safe and takes no lock.
 */
#ifndef MT_STACKS_H
#define MT_STACKS_H

#include "heap/capture/frame_tree.h"
#include "heap/capture/known_path.h"
#include "heap/layout.h"
#include "heap/trace_region.h"

#include <stdbool.h>
#include <stdint.h>

/* Prepares the table; once, before anything else here. */
bool mt_stacks_start(void);

/* The id of the stack, new or known; MT_STACK_OVERFLOW if the table is full.
 * `path` is NULL, or one that nobody else uses now: the next stack often has
 * the same callers. */
uint32_t mt_stacks_intern(const uint64_t *frames, unsigned n, unsigned flags,
                          struct mt_stack_path *path, bool *known);

/* The same of the stack that mt_path_walk() came to, of which `depth` frames
 * are kept; `buffer` has room for MT_DEPTH_MAX. */
uint32_t mt_stacks_intern_path(struct mt_stack_path *path, unsigned depth,
                               uint64_t *buffer, bool *known);
/* Drops the path if it is one of other circumstances. */
void mt_stacks_check_path(struct mt_stack_path *path);

/* Those who intern and are not in a capture are here while they use the id. */
void mt_stacks_enter(void);
void mt_stacks_leave(void);
/* The stack, of which the caller has the id in hand, stays for good. */
void mt_stacks_pin(uint32_t id);
extern uint32_t mt_stacks_entered;

/* Bytes that stacks and nodes take, without those that are free for others. */
uint64_t mt_stacks_in_use(void);
/* 1: stacks and nodes alone take more than mt_stacks_trigger, or there was no
 * room. */
extern uint32_t mt_stacks_crowded;
#define MT_STACKS_TRIGGER (UINT64_C(512) << 10)
extern uint64_t mt_stacks_trigger;

/* The steps of a collection, as those of the tree. What is not live is dead
 * after mt_stacks_sweep(), which marks the nodes of those that live. */
void mt_stacks_condemn(void);
void mt_stacks_revive(uint32_t id); /* any number will do */
bool mt_stacks_is_condemned(uint32_t id);
void mt_stacks_sweep(void);
void mt_stacks_release(void);

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
