/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live.h - what the files of the live source share.
 */
#ifndef MT_LIVE_H
#define MT_LIVE_H

#include "coreanalyze/source.h"

struct live {
    struct mt_source source; /* first: the source is the live target */
    pid_t pid;
    int mem, pagemap; /* /proc/PID/mem and pagemap */
    bool by_file;     /* process_vm_readv is denied */
    struct stopped *stopped;
    size_t n_stopped;
    struct live_copy *copies; /* of writable memory, by address; or NULL */
    size_t n_copies;
};

struct live_copy {
    uint64_t start, bytes; /* whole pages */
    uint8_t *data;
    void *place; /* address space for the data, and for some more */
    uint64_t place_bytes;
};

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
bool mt_live_freeze(struct mt_source *, bool stop, struct mt_error *);
void mt_live_thaw(struct live *); /* frees the copies */

/* Adds the page statistics of a range of process `pid` to `stats`. */
void mt_proc_pages(pid_t pid, int pagemap, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats);

#endif
