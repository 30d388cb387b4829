/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace_region.h - start-up and fork of the trace region; mt_section_alloc and
 * mt_string_add are in internal.h.
 */
#ifndef MT_TRACE_REGION_H
#define MT_TRACE_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* In the child of a fork: the region is now the child's. */
void mt_region_fork_child(void);

#endif
