/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page_kinds.h - what kind of memory a heap has: its page size, transparent
 * huge pages, and the NUMA nodes that it is bound to.
 *
 * Memory of pages larger than the system's (MAP_HUGETLB) is mapped when it is
 * committed, without MAP_NORESERVE: memory that the kernel agreed to exists,
 * and a shortage makes an allocation fail instead of raising SIGBUS later. Such
 * memory is given back only with its region.
 */
#ifndef MT_PAGE_KINDS_H
#define MT_PAGE_KINDS_H

#include "heap/alloc.h"

struct mt_memory_options {
    uint64_t page_size; /* 0: the system's; or 4 KiB, 2 MiB, 1 GiB */
    uint32_t thp;       /* MT_THP_* */
    bool fallback;      /* normal pages if large ones are missing */
    const char *nodes;  /* as "0,2-3"; or NULL. Read in the call. */
};

/* Is it a list of nodes below 64?  As a mask. */
bool mt_memory_nodes(const char *text, size_t length, uint64_t *nodes);
/* Tries the options out and sets them for a heap without regions. False with
 * errno: EINVAL, ENOMEM (no such pages), or what the kernel says. */
bool mt_memory_setup(struct memtrace_heap *, const struct mt_memory_options *);
void mt_memory_forget(struct memtrace_heap *);

/* Reserves a region; *bytes is rounded up to whole pages. */
void *mt_memory_reserve(struct memtrace_heap *, uint64_t *bytes);
/* Commits whole pages of a region. */
bool mt_memory_commit(struct memtrace_heap *, void *, uint64_t bytes);
/* The page size of what is committed next, 4096 at least. */
uint64_t mt_memory_page(const struct memtrace_heap *);

#endif
