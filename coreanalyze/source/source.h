/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source.h - a target's memory: "read these bytes", and its tables of
 * mappings, threads and modules.
 *
 * A source knows no layout of the trace.  It is used by one thread at a time.
 * All strings and tables are owned by the source and live until
 * mt_source_free().
 */
#ifndef MT_SOURCE_H
#define MT_SOURCE_H

#include "coreanalyze/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum mt_source_kind {
    MT_SOURCE_LIVE,
    MT_SOURCE_CORE,
};

#define MT_MAP_READ 1u
#define MT_MAP_WRITE 2u
#define MT_MAP_EXEC 4u
#define MT_MAP_PRIVATE 8u
#define MT_MAP_ASSUMED 16u /* the core has no segment: flags are not known */

struct mt_mapping {
    uint64_t start, end;  /* addresses; end is not in it */
    uint64_t file_offset; /* of `start` in the file, if there is one */
    uint64_t present;     /* bytes from start that the source can read */
    const char *path;     /* file, "[stack]" and the like, or NULL */
    unsigned flags;       /* MT_MAP_* */
    /* Identity of the mapped file of a live target; 0 without a file. */
    uint32_t device_major, device_minor;
    uint64_t inode;
};

/* A part of a live target's memory that has memory.  The bytes between two of
 * them in a writable mapping read as zeros. */
struct mt_present {
    uint64_t start, end;
    uint64_t offset; /* in the file, or in what was kept of it here */
    int file;        /* what it is read from; -1: the target */
};

/* A word that the kernel has for the process, and hands back. */
enum mt_kernel_kind {
    MT_KERNEL_EPOLL,  /* data of a descriptor that an epoll waits for */
    MT_KERNEL_TIMER,  /* value of a POSIX timer */
    MT_KERNEL_SIGNAL, /* value of a signal that is queued */
    MT_KERNEL_QUEUE,  /* waits in a pipe or socket */
    MT_KERNEL_VECTOR, /* of a vector register: vector_words.h */
};
struct mt_kernel_word {
    uint64_t value;
    enum mt_kernel_kind kind;
    uint32_t id;      /* of the timer; the descriptor of the epoll, pipe or
                         socket; the thread, or 0 for a signal to the process */
    uint32_t watched; /* that descriptor; number of the signal; place in the
                         XSAVE area */
    bool stored;      /* the next instructions store that vector register */
};

/* Registers in the order of struct user_regs_struct (<sys/user.h>). */
#define MT_N_REGISTERS 27
enum {
    MT_REG_ORIG_RAX = 15,
    MT_REG_RIP = 16,
    MT_REG_RSP = 19,
    MT_REG_FS_BASE = 21
};

struct mt_thread {
    uint32_t tid;
    char name[16]; /* "" if not known */
    bool has_registers;
    uint64_t registers[MT_N_REGISTERS];
    uint64_t fs_base; /* 0 if not known */
};

struct mt_module {
    uint64_t start, end; /* addresses of its mappings, holes included */
    uint64_t load_bias;  /* address in memory = address in the file + this */
    const char *path;
    uint8_t build_id[32];
    unsigned build_id_bytes; /* 0 if not known */
    uint64_t fingerprint;    /* by the trace, of one without build-id, or 0 */
};

/* A file that the process wrote because memory ran short: what was limited, and
 * how far it was used. */
struct mt_saved_at {
    uint32_t kind; /* 0: no such file; then as MEMTRACE=save_at= has them */
    uint64_t limit, usage, resident_bytes, realtime_ns;
};
#define MT_SAVED_GROWN 5u /* no limit: what was resident at the last file */
#define MT_N_SAVED_KINDS 6

/* Whether a process still writes to a black box.  A copy looks like one that
 * was left. */
enum mt_box_use { MT_BOX_USE_UNKNOWN, MT_BOX_IN_USE, MT_BOX_LEFT };

struct mt_process {
    enum mt_source_kind kind;
    uint32_t pid;           /* as the reader sees it; 0 if not known */
    uint32_t namespace_pid; /* as the process sees it; 0 if not known */
    int signal;             /* that ended it, if a core says so */
    char name[16];          /* of its main thread, "" if not known */
    const char *exe;        /* path of the program, or NULL */
    const char *command;    /* command line, or NULL */
    const char *path;       /* of the core, absolute; NULL if live */
    const char *root;       /* folder that has its files, NULL: "/" */
    bool mini;              /* a mini-core: the trace without the program */
    bool box;               /* a black box: a mini-core that was kept current */
    enum mt_box_use box_use;
    /* Resident memory of a live process, now and at most; 0 if not known. */
    uint64_t rss_bytes, peak_rss_bytes;
    bool same_clock; /* live, and its CLOCK_MONOTONIC is the reader's */
    struct mt_saved_at saved_at;
};

/* How many pages of a range have memory. */
#define MT_MAX_NUMA_NODES 64
struct mt_page_stats {
    bool known;          /* `populated` is meaningful */
    uint64_t page_bytes; /* unit of the counts; the source sets it */
    uint64_t populated;  /* live: present; core: pages that are in the file */
    uint64_t swapped;    /* live: pages in swap */
    bool numa_known;
    unsigned n_nodes; /* entries of node[] that are in use */
    uint64_t node[MT_MAX_NUMA_NODES];
};

/* A run of pages that are alike, and are not empty. */
struct mt_page_run {
    uint64_t start, end;
    bool swapped; /* not in memory: a swap entry, or a marker of the kernel */
    bool file;    /* of a file, or shared */
};
typedef bool mt_visit_pages(void *context, const struct mt_page_run *run);

/* The kernel's figures of a mapping, in bytes. */
struct mt_mapping_use {
    uint64_t resident; /* Rss */
    uint64_t huge;     /* pages of hugetlbfs: they are not part of Rss */
    bool device;       /* memory of a device */
};

struct mt_source;

/* Chooses the words of memory that a capture keeps; mark_keep.h makes one. */
struct mt_word_filter {
    /* Called once the target stands still, and while it is read in place. */
    bool (*begin)(void *context, struct mt_source *, struct mt_error *);
    /* True if memory must be read even if it is in swap. */
    bool (*needed)(const void *context, uint64_t start, uint64_t end);
    /* Sets the bits of those words of n whole pages that must be kept; what is
     * not kept will read as 0.  Called by many threads at once. */
    void (*choose)(const void *context, uint64_t address, const uint64_t *words,
                   size_t n_pages, uint64_t *bits);
    void *context;
};

struct mt_source_ops {
    /* Copies [address, address + bytes); returns how many bytes from the
     * start could be read, fewer than asked for where memory is missing. */
    size_t (*read)(struct mt_source *, uint64_t address, void *, size_t bytes);
    /* Returns the bytes without copying, or NULL; they are valid until the
     * source is freed.  May be NULL. */
    const void *(*view)(struct mt_source *, uint64_t address, size_t bytes);
    /* Memory that was read in order and is not wanted soon: what a mapped file
     * of it holds is the kernel's again.  May be NULL. */
    void (*forget)(struct mt_source *, uint64_t address, uint64_t bytes);
    /* The whole piece of memory around `address` that can be read without
     * copying: its first address, its size and where it is; NULL if there is
     * none.  Valid until the source is freed; may be called by many threads
     * at once.  May be NULL. */
    const void *(*extent)(struct mt_source *, uint64_t address, uint64_t *start,
                          uint64_t *bytes);
    /* Writes to a live target; true if all was written.  May be NULL. */
    bool (*write)(struct mt_source *, uint64_t address, const void *, size_t);
    /* Fills `stats` for the range (adds to it). May be NULL. */
    void (*pages)(struct mt_source *, uint64_t start, uint64_t end,
                  struct mt_page_stats *stats);
    /* Calls `visit` with each run of pages in a range that have memory, or are
     * swapped; false if the process has ended.  A core has the pages that are
     * in the file.  May be NULL. */
    bool (*resident)(struct mt_source *, uint64_t start, uint64_t end,
                     mt_visit_pages *visit, void *context);
    /* Adds the kernel's figures to uses[n_mappings + 1]: of each mapping, and
     * then of what is mapped now and in none of them.  NULL: there are none. */
    bool (*uses)(struct mt_source *, struct mt_mapping_use *uses,
                 struct mt_error *);
    /* Stops all threads of a live target, fills in their registers and reads
     * its mappings again; go lets them run.  Both may be NULL. */
    bool (*stop)(struct mt_source *, struct mt_error *);
    void (*resume)(struct mt_source *);
    /* Reads the tables of a live target again: its resident memory, mappings
     * and threads, and its modules if other files are mapped than before.
     * Modules of before are no longer valid then.  May be NULL. */
    bool (*refresh)(struct mt_source *, struct mt_error *);
    /* Captures memory: reads all writable memory once, and keeps in `word_copy`
     * the words that the word filter wants.  A capture of a live target makes a
     * report show one moment; with `stop` the target is stopped only for the
     * capture.  A core that does not fit into memory or address space is
     * captured because it can be read in order.  Of a small process that will
     * not run again all is kept, without a filter.  If memory is short, a live
     * target stays stopped until go, and is read in place.  May be NULL. */
    bool (*capture)(struct mt_source *, const struct mt_word_filter *,
                    bool stop, struct mt_error *);
    /* Adds to untouched_bytes what somebody else would fill when it is touched,
     * if the capture has not done so: only where a block is lost does it
     * matter.  False when out of memory.  May be NULL. */
    bool (*unfilled)(struct mt_source *);
    void (*destroy)(struct mt_source *);
};

/* Counts of what a source lacks; every report passes them on. */
struct mt_source_coverage {
    uint64_t missing_bytes;   /* a core's segments lack these: file truncated */
    uint64_t box_bytes;       /* of the trace that a black box lacks */
    bool box_ended;           /* it was no longer kept current */
    uint64_t bad_notes;       /* notes of a core that made no sense */
    bool damaged;             /* a compressed core: not all of it is right */
    bool by_debugger;         /* the core: memory may lack without a trace */
    bool tables_incomplete;   /* a table was cut at its limit */
    uint32_t threads_missing; /* that a core lacks, where it says so */
    /* Bytes of writable memory of a live target that were not read: */
    uint64_t untouched_bytes; /* the process has no pages of them */
    uint64_t swapped_bytes;   /* they are in swap */
    uint64_t unread_bytes;    /* the kernel refused */
    uint32_t threads_running; /* that did not stop in time */
    uint32_t sharers_running; /* other processes with the same memory that were
                                 not stopped */
    bool let_go;              /* before all was read, and it ran on */
    bool ended;               /* while it was read */
    uint32_t queues_unseen;   /* pipes and sockets not looked into */
    uint32_t notifications;   /* mq_notify: the values are not known */
    bool kernel_unseen;       /* neither what the kernel holds, nor vector
                                 registers: a debugger does not have them */
};

/* Risks that the user allows. */
struct mt_source_limits {
    uint64_t stop_ns;  /* to wait for threads to stop; 0: as usual */
    bool read_swapped; /* bring memory back from swap */
};

/* The result of `capture`. */
struct mt_captured {
    bool copied;         /* what is wanted is in the word copy, or all is
                            kept */
    bool stopped;        /* all threads stood still during the capture */
    uint64_t bytes, ns;  /* that were read, and how long it took */
    uint64_t cpu_ns;     /* processor time of that, of all threads */
    uint64_t kept_bytes; /* that the word copy takes */
};

/* Long steps say how far they are. */
struct mt_progress {
    /* Returns false to stop the step. */
    bool (*report)(void *context, const char *step, uint64_t done,
                   uint64_t total);
    void *context;
};

struct mt_source {
    const struct mt_source_ops *ops;
    const struct mt_progress *progress; /* of capture, or NULL; not owned */
    struct mt_process process;
    struct mt_mapping *mappings; /* by address, no overlaps */
    size_t n_mappings;
    struct mt_thread *threads; /* the first one is the crashed one in a core */
    size_t n_threads;
    struct mt_module *modules; /* by start address */
    size_t n_modules;
    const uint8_t *auxv; /* the auxiliary vector as it is, or NULL */
    size_t auxv_bytes;
    struct mt_source_coverage coverage;
    struct mt_source_limits limits;
    bool still;                 /* a live target that will not run again */
    struct mt_present *present; /* by address, no overlaps */
    size_t n_present;
    bool present_known;                  /* else that table says nothing */
    struct mt_kernel_word *kernel_words; /* of a captured live target, or of
                                            a core, which has few of them */
    size_t n_kernel_words;
    struct mt_captured captured;    /* all 0 unless it was */
    struct mt_word_copy *word_copy; /* of captured memory, or NULL */
    struct mt_strings *strings;     /* owner of all strings above */
    /* Files of modules that are open; the source's own, or those that the
     * caller keeps for several sources.  Either may be NULL. */
    struct mt_module_files *files, *own_files;
};

/* Each opens one kind of target; NULL with `error` filled on failure. */
struct mt_source *mt_source_open_pid(pid_t pid, struct mt_error *error);
/* One that will not run again: what is read of it may be kept. */
struct mt_source *mt_source_open_still(pid_t pid, struct mt_error *error);
/* Has it the mark of a black box?  And does a process have it mapped? */
bool mt_file_is_box(int file);
enum mt_box_use mt_box_use(int file);
struct mt_source *mt_source_open_core(const char *path, struct mt_error *error);
/* One that has holes where nothing was kept. */
struct mt_source *mt_source_open_core_part(const char *path,
                                           struct mt_error *error);
/* A file is a core; a number is a pid; any other word names a process by its
 * program, its systemd unit or its cgroup (process_name.h). */
struct mt_source *mt_source_open(const char *target, struct mt_error *error);

/* Takes NULL. */
void mt_source_free(struct mt_source *);

/* True if all bytes could be read; otherwise the rest of the buffer is 0. */
bool mt_source_read(struct mt_source *, uint64_t address, void *buffer,
                    size_t bytes);
/* Is it shared, and no file on disk, by its name in maps or in a core? */
bool mt_mapping_is_shared_memory(const struct mt_mapping *);
/* Bytes that could be read, from the start. */
size_t mt_source_read_part(struct mt_source *, uint64_t address, void *buffer,
                           size_t bytes);
/* Reads a string; false if no NUL is found within `bytes`. */
bool mt_source_read_string(struct mt_source *, uint64_t address, char *buffer,
                           size_t bytes);

const struct mt_mapping *mt_source_mapping(const struct mt_source *,
                                           uint64_t address);
/* The value of this type in the auxiliary vector; 0: there is none. */
uint64_t mt_source_auxv(const struct mt_source *, uint64_t type);
const struct mt_module *mt_source_module(const struct mt_source *,
                                         uint64_t address);
/* The first part of `present` that ends after an address, or NULL. */
const struct mt_present *mt_source_present(const struct mt_source *,
                                           uint64_t address);
/* The next address of a live target, at most `end`, whose memory may hold
 * something: `address` itself if that may, or if it is not known. */
uint64_t mt_source_skip_empty(const struct mt_source *, uint64_t address,
                              uint64_t end);

#endif
