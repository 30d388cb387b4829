/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page_walk.c - runs of pages by PAGEMAP_SCAN (Linux 6.7), which passes over
 * holes of any size at once, or by the entries of pagemap.
 */
#include "coreanalyze/source/page_walk.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)
#define REGIONS 512u
#define ENTRIES 8192u

/* From <linux/fs.h> of Linux 6.7; older headers lack it. */
struct region {
    uint64_t start, end, categories;
};
struct scan_argument {
    uint64_t size, flags, start, end, walk_end, regions, n_regions, max_pages;
    uint64_t inverted, all_of, any_of, wanted;
};
#define SCAN _IOWR('f', 16, struct scan_argument)
#define SCAN_FILE (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define SCAN_ZERO (UINT64_C(1) << 5)
#define SCAN_GUARD (UINT64_C(1) << 8) /* Linux 6.15 */

#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)
#define ENTRY_GUARD (UINT64_C(1) << 58)

enum walk_end { WALK_DONE, WALK_GONE, WALK_UNKNOWN };

/* Guard pages (MADV_GUARD_INSTALL, as of thread stacks) look like swapped ones.
 * They hold nothing: they are holes. Moves *at to where it ended. */
static enum walk_end walk_by_scan(int pagemap, uint64_t *at, uint64_t end,
                                  mt_visit_pages *visit, void *context)
{
    struct region regions[REGIONS];
    struct scan_argument argument = {
        .size = sizeof argument,
        .end = end,
        .regions = (uintptr_t)regions,
        .n_regions = REGIONS,
        .any_of = SCAN_PRESENT | SCAN_SWAPPED,
        .wanted =
            SCAN_PRESENT | SCAN_SWAPPED | SCAN_FILE | SCAN_ZERO | SCAN_GUARD,
    };

    while (*at < end) {
        int n;
        argument.start = *at;
        argument.walk_end = 0;
        n = ioctl(pagemap, SCAN, &argument);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EINVAL && (argument.wanted & SCAN_GUARD)) {
            argument.wanted &= ~SCAN_GUARD;
            continue;
        }
        if (n < 0)
            return errno == ESRCH    ? WALK_GONE
                   : errno == EFAULT ? WALK_DONE /* not the user's */
                                     : WALK_UNKNOWN;
        for (int i = 0; i < n; i++) {
            const struct region *r = &regions[i];
            struct mt_page_run run = {r->start, r->end,
                                      !(r->categories & SCAN_PRESENT),
                                      r->categories & SCAN_FILE};
            if (((r->categories & SCAN_ZERO) && !run.swapped) ||
                (r->categories & SCAN_GUARD))
                continue;
            if (!visit(context, &run))
                return WALK_DONE;
        }
        if (argument.walk_end <= *at)
            return WALK_UNKNOWN;
        *at = argument.walk_end;
    }
    return WALK_DONE;
}

/* Entries that are alike, from `i` on, up to `n`. */
static size_t same_entries(const uint64_t *entries, size_t i, size_t n)
{
    const uint64_t bits =
        ENTRY_PRESENT | ENTRY_SWAPPED | ENTRY_FILE | ENTRY_GUARD;
    size_t last = i + 1;

    while (last < n && (entries[last] & bits) == (entries[i] & bits))
        last++;
    return last;
}

static enum walk_end walk_by_entry(int pagemap, uint64_t start, uint64_t end,
                                   mt_visit_pages *visit, void *context)
{
    uint64_t entries[ENTRIES];

    while (start < end) {
        uint64_t n = (end - start + PAGE - 1) / PAGE;
        ssize_t got = pread(pagemap, entries,
                            (n < ENTRIES ? n : ENTRIES) * sizeof *entries,
                            (off_t)(start / PAGE * sizeof *entries));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < (ssize_t)sizeof *entries)
            return WALK_GONE;
        n = (size_t)got / sizeof *entries;
        for (size_t i = 0, last; i < n; i = last) {
            struct mt_page_run run = {start + i * PAGE, 0,
                                      !(entries[i] & ENTRY_PRESENT),
                                      entries[i] & ENTRY_FILE};
            last = same_entries(entries, i, n);
            run.end = start + last * PAGE;
            if ((entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED)) &&
                !(entries[i] & ENTRY_GUARD) && !visit(context, &run))
                return WALK_DONE;
        }
        start += n * PAGE;
    }
    return WALK_DONE;
}

bool mt_page_walk(int pagemap, bool *scan, uint64_t start, uint64_t end,
                  mt_visit_pages *visit, void *context)
{
    enum walk_end how = WALK_UNKNOWN;

    start &= ~(PAGE - 1);
    end = (end + PAGE - 1) & ~(PAGE - 1);
    if (start >= end)
        return true;
    if (__atomic_load_n(scan, __ATOMIC_RELAXED)) {
        how = walk_by_scan(pagemap, &start, end, visit, context);
        if (how == WALK_UNKNOWN)
            __atomic_store_n(scan, false, __ATOMIC_RELAXED);
    }
    if (how == WALK_UNKNOWN)
        how = walk_by_entry(pagemap, start, end, visit, context);
    return how == WALK_DONE;
}

bool mt_page_table_there(int pagemap)
{
    uint64_t entry;

    return pread(pagemap, &entry, sizeof entry, 0) == sizeof entry;
}
