/* SPDX-License-Identifier: BSD-2-Clause
 *
 * frame_tree.h - the frames of all stacks, as a tree: every node is a program
 * counter and the node of its caller.  All of it is AS-safe and takes no lock.
 */
#ifndef MT_FRAME_TREE_H
#define MT_FRAME_TREE_H

#include "heap/attributes.h"
#include "heap/capture/free_ids.h"
#include "heap/layout.h"
#include "heap/trace_region.h"

#include <stdbool.h>
#include <stdint.h>

#define MT_NODE_ROOT 0u  /* the caller of an outermost frame */
#define MT_NODE_FIRST 2u /* the first one there can be */
#define MT_NODE_PC ((UINT64_C(1) << 48) - 1)

/* The upper bits of a node's pc, and the state of a stack's record: what a
 * collection (collect.c) has found out of it. */
#define MT_TREE_LIVE 0u
#define MT_TREE_CONDEMNED 1u /* to be given back, if nobody wants it */
#define MT_TREE_DEAD 2u      /* not to be found any longer */
#define MT_TREE_FREE 3u      /* in the list of free ones, or to be */
#define MT_TREE_MARKED 4u    /* of nodes: a stack that is live has it */
#define MT_TREE_PINNED 8u    /* of stacks: live for good */
#define MT_NODE_STATE(pc) ((uint32_t)((pc) >> 48))

/* May this many bytes more be taken for stacks?  They then are.  Ordinary needs
 * leave a sixteenth of what is allowed to those that are `urgent`. */
bool mt_tree_reserve(uint64_t bytes, bool urgent);
uint64_t mt_tree_limit(void);
/* Changes when there may be more room. */
uint64_t mt_tree_room(void);
uint64_t mt_tree_heap_bytes(void); /* of the main heap's spans, at most */

/* Prepares the tree, before anything else here; false, without memory: to be
 * called again, by one thread at a time. */
bool mt_tree_start(void);

/* The node of a frame that `parent` called, known or added; 0: no room. The
 * module that holds the frame was noted before anybody finds its node. */
uint32_t mt_tree_child(uint32_t parent, uint64_t pc, bool urgent);

/* The steps of a collection; one caller at a time. All nodes are condemned;
 * those that look-ups come by, and those that are marked with their callers,
 * live; the others are dead, unless they are too few (mt_tree_sweep() false).
 * They leave the index, which is replaced: false if that cannot be. When nobody
 * looks at those any longer, they are released. */
void mt_tree_condemn(void);
void mt_tree_mark(uint32_t id);
bool mt_tree_sweep(void);
bool mt_tree_reindex(void);
void mt_tree_release(void);
uint64_t mt_tree_free_bytes(void);  /* of nodes that can be had */
bool mt_tree_is_tight(void);        /* is its index nearly full? */
uint64_t mt_tree_index_bytes(void); /* of stacks_bytes: for the index */

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
