/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_copy.h - places for copies of a process's writable memory, and the
 * copying, by all processors.
 */
#ifndef MT_LIVE_COPY_H
#define MT_LIVE_COPY_H

#include "coreanalyze/live.h"

#define MT_PAGE UINT64_C(4096)
#define MT_PART_BYTES (UINT64_C(4) << 20)
#define MT_PAGES_OF_PART (MT_PART_BYTES / MT_PAGE)
/* In an entry of /proc/PID/pagemap: present, or swapped out. */
#define MT_PAGEMAP_HAS_MEMORY (UINT64_C(3) << 62)

/* Is the mapping among those that are copied? */
bool mt_copy_wants(const struct mt_mapping *);
/* Does it show a file, whose pages count even if nobody has touched them? */
bool mt_copy_is_file(const struct mt_mapping *);
/* Entries of the pagemap for `n` pages; how many it told. */
size_t mt_copy_pagemap(const struct live *, uint64_t address,
                       uint64_t entries[MT_PAGES_OF_PART], size_t n);

/* Makes live->copies for the mappings as they are in the source's table; keeps
 * places that there are, with their memory.  False when out of memory. */
bool mt_copy_places(struct live *);
/* Gives memory to the pages that the process has now: later it would take
 * longer.  What cannot be done is left to the kernel's page faults. */
void mt_copy_populate(struct live *);
/* Copies; returns the number of bytes.  False in `whole`: it was stopped by
 * the source's progress hook. */
uint64_t mt_copy_pages(struct live *, bool *whole);

/* The copy that holds an address, or NULL. */
const struct live_copy *mt_live_copy(const struct live *, uint64_t address);

#endif
