/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page_walk.h - which pages of a live process have memory, from its page
 * table: asked of the kernel, never by touching a page.
 */
#ifndef MT_PAGE_WALK_H
#define MT_PAGE_WALK_H

#include <stdbool.h>
#include <stdint.h>

/* A run of pages that are alike, and are not empty. */
struct mt_page_run {
    uint64_t start, end;
    bool swapped; /* not in memory: a swap entry, or a marker of the kernel */
    bool file;    /* of a file, or shared */
};

/* Walks [start, end) of the page table that `pagemap` (/proc/TID/pagemap) shows
 * and calls `visit` for each run, in order; it returns false to stop.  Pages
 * that read as zeros because nothing was ever written to them are left out
 * where the kernel says so.  `scan`: PAGEMAP_SCAN may be used; it is set to
 * false if the kernel does not have it, and then a walk takes 8 bytes for each
 * page of the range.  False if the process has ended, or nothing can be read.
 */
typedef bool mt_visit_pages(void *context, const struct mt_page_run *run);
bool mt_page_walk(int pagemap, bool *scan, uint64_t start, uint64_t end,
                  mt_visit_pages *visit, void *context);

/* False if the process has ended, or runs another program now: its page table
 * is gone then, and looks empty. */
bool mt_page_table_there(int pagemap);

#endif
