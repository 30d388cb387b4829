/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace_region.h - the trace region: its root, memory of its sections, start-up
 * and fork.
 */
#ifndef MT_TRACE_REGION_H
#define MT_TRACE_REGION_H

#include "heap/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern struct mt_root *memtrace_root; /* exported; NULL until start-up */

/* Appends `bytes` (a multiple of 8) to a section, committing as needed; the
 * memory is zero.  NULL when the section is full or the kernel refuses (the
 * section's overflow counter is then raised).  Takes no lock; AS-safe. */
void *mt_section_alloc(unsigned section, size_t bytes);
/* Ends the use of memory from mt_section_alloc(): its whole pages go back to
 * the kernel, and read as zero.  AS-safe. */
void mt_section_forget(void *memory, size_t bytes);
/* Offset of a NUL-terminated copy in the strings section, 0 when full. */
uint32_t mt_string_add(const char *, size_t length);

/* Reserves the region and fills in the root, but for its magic. */
bool mt_region_start(void);
/* own_data.c: where the library's variables are, and what a block has to spare.
 */
void mt_own_data_publish(void);
/* Writes the text schema (schema.c); before mt_region_publish. */
void mt_schema_write(void);
void mt_region_publish(void);

/* Room for a slice map of `bytes`, of which nothing is committed. */
uint32_t *mt_section_map(size_t bytes);

/* Gives back the end of what mt_section_alloc() gave, zeroed again, if nothing
 * was allocated since then. */
void mt_section_return(unsigned section, void *end, size_t bytes);

/* Maps more of all sections, to be used later. */
void mt_section_map_ahead(uint64_t bytes);

/* In the child of a fork: the region is now the child's. */
void mt_region_fork_child(void);

#endif
