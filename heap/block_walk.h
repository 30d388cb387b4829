/* SPDX-License-Identifier: BSD-2-Clause
 *
 * block_walk.h - live blocks, in process.
 */
#ifndef MT_BLOCK_WALK_H
#define MT_BLOCK_WALK_H

#include "heap/alloc.h"
#include "heap/memtrace.h"

typedef int (*mt_visitor)(mt_span *, uint32_t index, void *arg);
/* Visits every live block of the heap until `visit` returns nonzero. */
int mt_blocks_walk(struct memtrace_heap *, mt_visitor visit, void *arg);
/* memtrace_heap_stats() without what is in the tags: a load for 64 blocks. */
void mt_heap_usage(const struct memtrace_heap *, struct memtrace_stats *);
uint64_t mt_block_tag(const mt_span *, uint32_t index);
/* Bytes asked for; the block's size if it is untraced. */
uint64_t mt_block_requested(const mt_span *, uint64_t tag);

#endif
