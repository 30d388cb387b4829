/* SPDX-License-Identifier: BSD-2-Clause
 *
 * backing.h - the file that a mapping of a live process shows, opened to read
 * what the process has not touched.  Reading a file of tmpfs or hugetlbfs
 * gives no memory to its holes, as reading the mapping would.
 */
#ifndef MT_BACKING_H
#define MT_BACKING_H

#include "coreanalyze/source/source.h"

enum mt_backing_kind {
    MT_BACKING_NONE,   /* could not be opened */
    MT_BACKING_MEMORY, /* tmpfs, a memfd, shared anonymous memory */
    MT_BACKING_HUGE,   /* hugetlbfs */
    MT_BACKING_DISK,
};

struct mt_backing {
    enum mt_backing_kind kind;
    int file; /* -1: none */
    uint64_t bytes;
};

/* Opens the file of `mapping` of the process that `tid` is a thread of. */
struct mt_backing mt_backing_open(pid_t tid, const struct mt_mapping *mapping);
void mt_backing_close(struct mt_backing *backing);

/* Calls `visit` for each part of [start, end), offsets in the file, that has
 * data; it returns false to stop. */
void mt_backing_data(const struct mt_backing *backing, uint64_t start,
                     uint64_t end,
                     bool (*visit)(void *context, uint64_t start, uint64_t end),
                     void *context);

#endif
