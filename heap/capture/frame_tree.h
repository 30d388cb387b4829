/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_tree.h - the frames of all stacks, as a tree: every node is a program
 * counter and the node of its caller.  All of it is AS-safe and takes no lock.
 */
#ifndef MT_FRAME_TREE_H
#define MT_FRAME_TREE_H

#include "heap/attributes.h"
#include "heap/layout.h"
#include "heap/trace_region.h"

#include <stdbool.h>
#include <stdint.h>

#define MT_NODE_ROOT 0u  /* the caller of an outermost frame */
#define MT_NODE_FIRST 2u /* the first one there can be */
#define MT_NODE_PC ((UINT64_C(1) << 48) - 1)

/* Prepares the tree; once, before anything else here. */
bool mt_tree_start(void);

/* The node of a frame that `parent` called, known or added; 0: no room. */
uint32_t mt_tree_child(uint32_t parent, uint64_t pc);

static inline struct mt_node_record *mt_tree_node(uint32_t id)
{
    return (struct mt_node_record *)(uintptr_t)memtrace_root
               ->sections[MT_SECTION_NODES]
               .base +
           id;
}

static inline uint64_t mt_tree_pc(uint32_t id)
{
    return mt_load_relaxed(&mt_tree_node(id)->pc) & MT_NODE_PC;
}

static inline uint32_t mt_tree_parent(uint32_t id)
{
    return mt_load_relaxed(&mt_tree_node(id)->parent);
}

#endif
