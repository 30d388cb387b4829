/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pages.h - between heap_regions.c and pages.c.  The heap's lock is held, but
 * for the look-ups.
 */
#ifndef MT_PAGES_H
#define MT_PAGES_H

#include "heap/alloc.h"

/* Bytes of all heaps' spans; when they exceed the alarm, the next epoch is
 * opened at once, and the alarm is off. */
extern uint64_t mt_spans_total, mt_spans_alarm;
struct mt_region_record *mt_region_at(uint32_t i);
uint32_t mt_region_count(void); /* those of the past included */
uint32_t *mt_slice_map(const struct mt_region_record *);
void mt_slice_map_set(struct mt_region_record *, uint32_t first, uint32_t n,
                      uint32_t id);
/* Adds a region of at least `least` bytes, as large as can be had. */
bool mt_heap_grow(struct memtrace_heap *, uint64_t least);
/* Makes the region's first `need` bytes accessible. */
/* Maps `bytes` that are not used yet. */
void mt_heap_map_ahead(struct memtrace_heap *, uint64_t bytes);
bool mt_region_commit(struct memtrace_heap *, struct mt_region_record *,
                      uint64_t need);
/* Has a region addresses for them?  There may be no memory all the same. */
bool mt_slices_have_room(const struct memtrace_heap *, uint32_t n);
/* n slices above all that were handed out so far, in no list; or NULL. */
mt_span *mt_slices_top(struct memtrace_heap *, uint32_t n);

#endif
