/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live.h - what the files of the live source share.
 */
#ifndef MT_LIVE_H
#define MT_LIVE_H

#include "coreanalyze/source/source.h"

/* Bits of an entry of /proc/PID/pagemap. */
#define MT_PAGE_PRESENT (UINT64_C(1) << 63)
#define MT_PAGE_SWAPPED (UINT64_C(1) << 62)

struct live {
    struct mt_source source; /* first: the source is the live target */
    pid_t pid;
    int mem, pagemap; /* /proc/PID/mem and pagemap */
    bool by_file;     /* process_vm_readv is denied */
    struct stopped *stopped;
    size_t n_stopped;
};

/* Opens /proc/PID/NAME; -1 with errno set. */
int mt_live_open(pid_t, const char *name);
/* The tables of a process from /proc; also for a source that reads its memory
 * in another way.  `source` needs its strings and ops. */
bool mt_live_tables(struct mt_source *, pid_t, struct mt_error *);
bool mt_live_maps(struct mt_source *, pid_t, struct mt_error *);
bool mt_live_threads(struct mt_source *, pid_t, struct mt_error *);

/* Operations of the source. */
void mt_live_pages(struct mt_source *, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats);
bool mt_live_stop(struct mt_source *, struct mt_error *);
void mt_live_go(struct mt_source *);
bool mt_live_capture(struct mt_source *, const struct mt_word_filter *,
                     bool stop, struct mt_error *);
/* Reads memory as it is now; by many threads at once. */
size_t mt_live_peek(struct live *, uint64_t address, void *buffer,
                    size_t bytes);

/* Adds the page statistics of a range of process `pid` to `stats`. */
void mt_proc_pages(pid_t pid, int pagemap, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats);

#endif
