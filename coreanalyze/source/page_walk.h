/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page_walk.h - which pages of a live process have memory, from its page
 * table: asked of the kernel, never by touching a page.
 */
#ifndef MT_PAGE_WALK_H
#define MT_PAGE_WALK_H

#include "coreanalyze/source/source.h"

/* Walks [start, end) of the page table that `pagemap` (/proc/TID/pagemap) shows
 * and calls `visit` for each run, in order; it returns false to stop.  Pages
 * that read as zeros because nothing was ever written to them are left out
 * where the kernel says so.  `scan`: PAGEMAP_SCAN may be used; it is set to
 * false if the kernel does not have it, and then a walk takes 8 bytes for each
 * page of the range.  False if the process has ended, or nothing can be read.
 */
bool mt_page_walk(int pagemap, bool *scan, uint64_t start, uint64_t end,
                  mt_visit_pages *visit, void *context);

/* False if the process has ended, or runs another program now: its page table
 * is gone then, and looks empty. */
bool mt_page_table_there(int pagemap);

#endif
