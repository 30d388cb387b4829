/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live.h - what the files of the live source share.
 */
#ifndef MT_LIVE_H
#define MT_LIVE_H

#include "coreanalyze/source/backing.h"
#include "coreanalyze/source/holder.h"
#include "coreanalyze/source/source.h"

#include <pthread.h>
#include <signal.h>

struct mt_lazy;
struct mt_still;

/* A descriptor of an epoll, and a thread that has it. */
struct mt_poll {
    pid_t tid;
    uint32_t descriptor;
};

/* A pipe or socket in which words of the process may wait. */
struct mt_queue {
    int copy; /* of the descriptor, here */
    uint32_t descriptor;
    bool socket;
};

struct live {
    struct mt_source source; /* first: the source is the live target */
    pid_t pid;
    pid_t tid;        /* a thread of it that lives: /proc/TID is read */
    int mem, pagemap; /* /proc/TID/mem and pagemap */
    bool by_file;     /* process_vm_readv is denied */
    bool scan;        /* the kernel has PAGEMAP_SCAN */
    unsigned n_again; /* times that a mapping was looked up again */
    struct mt_holder holder;
    sigset_t signals;     /* blocked before it was stopped */
    struct mt_lazy *lazy; /* mappings that somebody else fills */
    size_t n_lazy;
    bool lazy_known; /* otherwise these two say nothing */
    bool fills;      /* it has a descriptor of userfaultfd */
    struct mt_poll *polls;
    struct mt_queue *queues;
    size_t n_polls, n_queues, kernel_words_capacity;
    struct mt_kernel_word *given; /* by another tracer than the holder */
    size_t n_given;
    int *files; /* that `present` names */
    size_t n_files, files_capacity;
    uint64_t unread_bytes; /* by a capture, though they have memory */
    pthread_mutex_t lock;  /* of the rest */
    uint64_t backing_of;   /* start of the mapping */
    struct mt_backing backing;
    pthread_mutex_t still_lock; /* of the last one */
    struct mt_still *still;     /* pages of a source that stands still */
    unsigned table; /* 1: the next is its page table; 2: it cannot be kept */
    struct mt_page_run *runs;
    size_t n_runs, runs_capacity;
    uint8_t *image;                        /* what `present` names, or NULL */
    const struct mt_source_ops *image_ops; /* of the source, with an image */
};

/* The tables of a process from /proc; also for a source that reads its memory
 * in another way.  `source` needs its strings and ops; `tid` is a thread of
 * the process that lives.  Of one that stands still, threads and modules are
 * left to the caller. */
bool mt_live_tables(struct mt_source *, pid_t pid, pid_t tid,
                    struct mt_error *);
bool mt_live_maps(struct mt_source *, pid_t tid, struct mt_error *);
/* The mapping, without its path, that an address is in by now. */
bool mt_live_mapping_now(pid_t tid, uint64_t address, struct mt_mapping *);
void mt_live_thread_name(struct mt_thread *);
bool mt_live_threads(struct mt_source *, pid_t pid, pid_t tid,
                     struct mt_error *);
/* What has changed of them. */
bool mt_live_tables_again(struct mt_source *, pid_t pid, pid_t tid,
                          struct mt_error *);

/* Operations of the source. */
void mt_live_pages(struct mt_source *, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats);
bool mt_live_stop(struct mt_source *, struct mt_error *);
void mt_live_go(struct mt_source *);
bool mt_live_refresh(struct mt_source *, struct mt_error *);
bool mt_live_capture(struct mt_source *, const struct mt_word_filter *,
                     bool stop, struct mt_error *);

/* --- live_smaps.c --- */
bool mt_live_uses(struct mt_source *, struct mt_mapping_use *uses,
                  struct mt_error *);
bool mt_live_resident(struct mt_source *, uint64_t start, uint64_t end,
                      mt_visit_pages *visit, void *context);

/* --- live_memory.c --- */
/* Reads memory as it is now, and brings in no page; by many threads at once. */
size_t mt_live_peek(struct live *, uint64_t address, void *buffer,
                    size_t bytes);
/* Reads pages that are known to exist. */
size_t mt_live_read_present(struct live *, uint64_t address, void *buffer,
                            size_t bytes);
/* True if the process has ended, or runs another program now; the source's
 * coverage then says so. */
bool mt_live_gone(struct live *);

/* --- live_still.c --- */
/* mt_live_peek, by way of pages that are kept if the source stands still. */
size_t mt_live_peek_still(struct live *, uint64_t address, void *buffer,
                          size_t bytes);

/* Reads the headers of all modules in one call, where they have pages. */
void mt_live_still_headers(struct live *);

/* --- live_table.c --- */
/* mt_page_walk over the process; the page table of one that stands still is
 * read once. */
bool mt_live_walk(struct live *, uint64_t start, uint64_t end,
                  mt_visit_pages *visit, void *context);
/* Is what has no page known, whether or not the process still lives? */
bool mt_live_table_kept(const struct live *);

/* --- live_present.c --- */
/* Fills in the source's `present`, and what is left out. */
bool mt_live_list_present(struct live *, const struct mt_word_filter *,
                          struct mt_error *);
/* The operation of the source: adds to what is left out what lazy mappings
 * have, if they were not known. */
bool mt_live_unfilled(struct mt_source *);

/* --- live_image.c --- */
/* May all memory of the process be kept as it is? */
bool mt_live_may_image(const struct live *);
/* Keeps what `present` names; false if it is too much, or cannot be read. */
bool mt_live_take_image(struct live *);
void mt_live_drop_image(struct live *);
/* Bytes of it from an address on; 0 if they are not there. */
size_t mt_live_read_image(struct live *, uint64_t address, void *buffer,
                          size_t bytes);
/* Operations of a source that has one. */
const void *mt_live_extent(struct mt_source *, uint64_t address,
                           uint64_t *start, uint64_t *bytes);
const void *mt_live_view(struct mt_source *, uint64_t address, size_t bytes);

/* --- live_kernel.c --- */
/* Reads what descriptors and timers hold, while the process stands still, and
 * adds one of these words.  False when out of memory. */
bool mt_live_kernel_words(struct live *);
bool mt_live_add_word(struct live *, const struct mt_kernel_word *);
/* Words that the caller has of the threads, which it traces itself; they take
 * the place of those before.  False when out of memory. */
bool mt_live_give_words(struct mt_source *, const struct mt_kernel_word *,
                        size_t n);
/* Parses a line of /proc/TID/fdinfo/N, or the next one of /proc/TID/timers, of
 * which `word` keeps the id; true if it has a value. */
bool mt_epoll_line(const char *line, struct mt_kernel_word *word);
bool mt_timer_line(const char *line, struct mt_kernel_word *word);

/* --- live_descriptors.c --- */
/* Finds the descriptors that hold addresses, and copies those of pipes and
 * sockets; reads what waits in these, and closes the copies.  False when out of
 * memory. */
bool mt_live_find_descriptors(struct live *);
bool mt_live_queue_words(struct live *);
void mt_live_close_queues(struct live *);

/* --- live_lazy.c --- */
/* Finds out which mappings are lazy; false when out of memory. */
bool mt_live_find_lazy(struct live *);
bool mt_live_is_lazy(const struct live *, uint64_t address);

/* Adds the page statistics of a range of a process to `stats`. */
void mt_proc_pages(pid_t tid, int pagemap, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats);

#endif
