/* SPDX-License-Identifier: BSD-2-Clause
 *
 * alloc.h - the allocator's own structures.  The theory is at the head of
 * heap.c; layout.h has what readers see.
 */
#ifndef MT_ALLOC_H
#define MT_ALLOC_H

#include "heap/attributes.h"
#include "heap/capture/capture.h"
#include "heap/layout.h"
#include "heap/lock.h"
#include "heap/os.h"
#include "heap/time_index.h"
#include "heap/trace_region.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MT_SMALL_MAX 32768u /* bytes; larger blocks have a span each */
/* After the bytes that were asked for, so that an address just after them, as
 * containers keep it, is not the start of the next block. */
#ifndef MT_SPARE_BYTES /* make bench-spare compares with 0 */
#define MT_SPARE_BYTES 1u
#endif
#define MT_CLASS_INDEX(size) (((size) + MT_SPARE_BYTES + 15) >> 4)
#define MT_N_CLASSES 78u /* classes.c */
#define MT_CLASS_NONE 255u
#define MT_N_RUN_BINS 128u
#define MT_MAIN_RESERVE (UINT64_C(256) << 30)
#define MT_MAX_HEAPS 256u

typedef struct mt_span_record mt_span;

/* A thread's source of blocks of one class: one word of the free bits of its
 * current span. `word` points into the span's own bitmap (or to a word that is
 * always 0), so the bitmap is the truth at every instruction. */
struct mt_bin {
    uint64_t *word;
    uintptr_t base;   /* address of the block of bit 0 of *word */
    uint32_t size;    /* bytes of a block */
    uint32_t span;    /* id of the current span, or 0 */
    uint32_t partial; /* id of the first other span with free blocks, or 0 */
    uint16_t loans;   /* it took, */
    uint16_t given;   /* and was given a span, since the cache was trimmed */
};

/* All that one thread owns. Owner: the thread, but for `pending` (any thread
 * pushes) and, while idle, everything (under idle_lock). */
struct mt_cache {
    const uint32_t *trace; /* the main heap's trace word */
    uint32_t id;           /* index of its thread record; owner_key of spans */
    uint32_t pending;      /* id of the first span with remote frees, or 0 */
    struct memtrace_heap *heap;
    struct mt_capture *capture; /* NULL until its first capture */
    struct mt_cache *next_idle;
    uint32_t idle;        /* 1: on the idle list, no thread uses it */
    uint32_t rebuild;     /* 1: the thread was lost in a fork; lists are void */
    uint64_t sample_mean; /* sample.c */
    uint64_t sample_seed;
    int64_t sample_left; /* bytes to the next sample */
    uint32_t late;       /* destructor rounds so far (thread exit) */
    uint32_t ignoring;   /* scopes of memtrace_ignore_begin */
    uint32_t full;       /* id of the first full span, or 0 */
    uint32_t desperate;  /* memory has run out: any block will do */
    uint32_t far_loans;  /* a bin may borrow from any other (cache.c) */
    uint32_t capture_begins;
    uint32_t spare;
    struct mt_bin bins[MT_N_CLASSES];
};

/* The lists of free runs, in the order in which they are taken. */
enum { MT_RUNS_DIRTY, MT_RUNS_CLEAN, MT_RUNS_HOLES, MT_RUNS_KINDS };

static inline unsigned mt_runs_kind(const mt_span *run)
{
    return run->flags & MT_SPAN_DIRTY  ? MT_RUNS_DIRTY
           : run->flags & MT_SPAN_HOLE ? MT_RUNS_HOLES
                                       : MT_RUNS_CLEAN;
}

struct mt_runs {
    uint64_t nonempty[MT_N_RUN_BINS / 64];
    uint32_t head[MT_N_RUN_BINS]; /* linked by next, prev */
};

/* Memory of a heap (page_kinds.h). */
#define MT_THP_SYSTEM 0u /* transparent huge pages: as the system has it */
#define MT_THP_ON 1u
#define MT_THP_OFF 2u
struct mt_memory {
    uint64_t page_bytes; /* 0: the system's */
    uint64_t nodes;      /* it is bound to, one bit each; 0: to none */
    uint32_t thp;        /* MT_THP_* */
    bool fallback;       /* normal pages if large ones are missing */
};

/* Freed blocks whose reuse is delayed (safety.h); under cache_lock. */
struct mt_quarantine {
    uint64_t *ring; /* addresses of blocks */
    uint32_t capacity, first, count, spare;
    uint64_t bytes; /* of the blocks in it */
    uint64_t most;  /* bytes it may hold; 0: there is none */
};

/* memtrace_heap.modes (safety.h) */
#define MT_MODE_GUARD 1u      /* an inaccessible page after large blocks */
#define MT_MODE_FILL_FREE 2u  /* free small blocks hold a pattern */
#define MT_MODE_FILL_ALLOC 4u /* new blocks hold another */
#define MT_MODE_CLEAN 8u      /* new blocks hold nothing of older ones */
#define MT_MODE_BOX 16u       /* one cache and a gate for all threads (box.c) */

/* A heap: regions of slices, and the free runs in them. */
struct memtrace_heap {
    struct mt_heap_record *record;
    struct mt_lock lock;       /* runs, regions, records */
    struct mt_lock cache_lock; /* `cache`, quarantine */
    uint32_t id;
    uint32_t region_step;  /* shift for the next region, when one is refused */
    uint32_t free_records; /* unused span records, linked by next */
    uint32_t modes;        /* MT_MODE_* */
    uint32_t n_free_records;
    uint32_t kept_records;      /* of those, what the last trimming left */
    uint64_t purge_delay_bytes; /* dirty bytes to keep, for a while */
    uint64_t purged_ns;         /* when memory was last given back */
    uint64_t purge_backoff_ns;  /* when some of it was last wanted back */
    struct mt_runs runs[MT_RUNS_KINDS];
    /* The one cache of all, with cache_lock: of named heaps, and of the main
     * heap if it has modes. NULL: each thread has its own. */
    struct mt_cache *cache;
    struct mt_quarantine quarantine;
    struct mt_memory memory;
    /* Bytes of spans by class, those of large blocks last, and their peaks. */
    uint64_t class_bytes[MT_N_CLASSES + 1], class_peak[MT_N_CLASSES + 1];
    int (*on_full)(struct memtrace_heap *, size_t bytes, void *arg);
    void *on_full_arg;
};

/* The part of the process's state that malloc and free read: one cache line. */
struct mt_hot {
    uintptr_t base; /* the main heap's first region */
    uint64_t size;  /* its committed bytes */
    const uint32_t *map;
    mt_span *spans;
    /* Smaller ones are in classes and come from the thread's own cache: one
     * more than the largest; 0 if threads have none (safety.h). */
    uint64_t small_sizes;
};
extern MT_HIDDEN struct mt_hot mt_hot;
extern MT_HIDDEN uint8_t mt_class_of[MT_SMALL_MAX / 16 + 2];
extern MT_TLS struct mt_cache *mt_tls;
extern MT_TLS uint32_t mt_tls_id;   /* mt_tls->id */
extern struct mt_cache mt_no_cache; /* before attach: every bin is empty */

static inline mt_span *mt_span_at(uint32_t id)
{
    return &mt_hot.spans[id];
}

static inline uint32_t mt_span_id(const mt_span *span)
{
    return (uint32_t)(span - mt_hot.spans);
}

static inline uint32_t mt_bitmap_words(uint32_t n_blocks)
{
    return (n_blocks + 63) / 64;
}

static inline uint64_t *mt_local(const mt_span *span)
{
    return (uint64_t *)span->local;
}

static inline uint64_t *mt_remote(const mt_span *span)
{
    return (uint64_t *)span->remote;
}

static inline uint64_t *mt_tags(const mt_span *span)
{
    return (uint64_t *)span->tags;
}

/* The bits of word `w` that stand for blocks. */
static inline uint64_t mt_word_mask(const mt_span *span, uint32_t w)
{
    uint32_t n = span->n_blocks - w * 64;
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

/* Bytes of a block that its user may have: a large one has its spare byte after
 * its last page. */
static inline uint64_t mt_usable_bytes(const mt_span *span)
{
    return span->state == MT_SPAN_SMALL ? span->block_bytes - MT_SPARE_BYTES
                                        : span->block_bytes;
}

/* Rounded up: exact for all offsets in a span (tests/unit_classes.c). */
static inline uint64_t mt_reciprocal(uint64_t block_bytes)
{
    return UINT64_MAX / block_bytes + 1;
}

/* Index of the block that holds address p >= span->base. */
static inline uint64_t mt_block_index(const mt_span *span, uintptr_t p)
{
    return (uint64_t)(((unsigned __int128)(p - span->base) * span->recip) >>
                      64);
}

static inline unsigned char *mt_block_start(const mt_span *span, uint32_t index)
{
    return (unsigned char *)span->base + (uint64_t)index * span->block_bytes;
}

/* state.c */
extern struct memtrace_heap *mt_main;
extern struct memtrace_heap *mt_heaps[MT_MAX_HEAPS]; /* by id, or NULL */
extern bool mt_has_started;                          /* start-up is done */
struct mt_config {
    bool trace;
    bool abort_on_error;
    bool abort_on_oom;
    uint32_t depth;
    uint64_t sample;
    uint64_t limit;
    uint64_t stacks; /* bytes that the stack table may take, or 0 */
    uint32_t modes;  /* MT_MODE_*, of every heap */
    uint64_t quarantine;
    uint64_t page_size; /* of the main heap, as the rest */
    uint32_t thp;
    bool page_fallback;
    char numa[64];
};
extern struct mt_config mt_config;
static inline bool mt_started(void)
{
    return mt_load_acquire(&mt_has_started);
}
/* The heap of that id, or NULL: then there is none of a larger id either. */
struct memtrace_heap *mt_heap_at(uint32_t id);

/* move_pages.c */
/* Can a large block's pages move to the new block, and has the heap nothing
 * that would miss it: neither guards, fills and quarantine, nor large pages? */
bool mt_large_may_move(const struct memtrace_heap *, const mt_span *,
                       const void *moved);
/* Gives `moved` the contents, `bytes`, of the large block, and frees that.
 * Returns `moved`; NULL, with errno, if that is not possible: then the old
 * block is as it was. */
void *mt_large_move(struct memtrace_heap *, mt_span *, uint64_t bytes,
                    void *moved);

/* classes.c */
void mt_classes_init(void);
uint32_t mt_class_size(uint32_t size_class);
uint32_t mt_class_slices(uint32_t size_class);
/* Slices of the first span that a thread has of the class. */
uint32_t mt_class_first_slices(uint32_t size_class);
/* Smallest class for `size` at `align` (a power of two), or MT_CLASS_NONE. */
uint32_t mt_class_for(size_t size, size_t align);

/* pages.c: spans of a heap. */
/* A small span of `size_class`, all blocks free, of as many slices as its class
 * has or of the fewest it can have; NULL with ENOMEM. Takes the heap's lock. */
mt_span *mt_span_new(struct memtrace_heap *, uint32_t size_class,
                     uint32_t owner, bool least);
/* A large span of one live block of `bytes` at `align`; *zeroed is set to
 * whether its memory is known to be zero. */
mt_span *mt_span_new_large(struct memtrace_heap *, size_t bytes, size_t align,
                           bool *zeroed);
/* Gives the span's slices back to the heap: MT_SPAN_DIRTY, or MT_SPAN_HOLE if
 * nothing is mapped there any longer. */
void mt_span_release_as(struct memtrace_heap *, mt_span *, uint32_t flags);
static inline void mt_span_release(struct memtrace_heap *heap, mt_span *span)
{
    mt_span_release_as(heap, span, MT_SPAN_DIRTY);
}
/* May so many bytes of the heap be left without a mapping? */
bool mt_may_be_hole(const struct memtrace_heap *, uint64_t bytes);
/* Changes a large span's size in place; false if it cannot. */
bool mt_span_resize(struct memtrace_heap *, mt_span *, size_t bytes);
/* Gives idle memory of the heap to the kernel, down to `keep` dirty bytes;
 * returns the bytes given. */
uint64_t mt_heap_purge(struct memtrace_heap *, uint64_t keep);
/* Adds a region: in given memory, or reserved (base NULL). Lock held or heap
 * not yet shared. */
bool mt_heap_add_region(struct memtrace_heap *, void *base, uint64_t bytes);
/* The region that holds p, or NULL; no lock. */
struct mt_region_record *mt_region_of(uintptr_t p);
/* The span that holds p, or NULL; no lock. A free run is returned too. */
mt_span *mt_span_of(uintptr_t p);
/* Is p in a slice that was handed out once and is free now? (The map knows the
 * first and last slice of a free run only.) */
bool mt_is_free_slice(uintptr_t p);

/* records.c: span records. Heap lock held. */
mt_span *mt_record_new(struct memtrace_heap *);
void mt_record_free(struct memtrace_heap *, mt_span *);
/* Gives pages without a record in use to the kernel: all, or if it pays. */
void mt_records_trim(struct memtrace_heap *, bool all);
void mt_records_fork_prepare(void);
void mt_records_fork_parent(void);
void mt_records_fork_child(void);

/* side_tables.c: bitmaps and tags of spans. */
bool mt_side_bitmaps(mt_span *);
/* Gives the span its tags, all 0; false when the section is full. */
bool mt_side_tags(mt_span *);
void mt_side_free(mt_span *);
/* Gives pages without arrays in use to the kernel: all, or if it pays. */
void mt_side_trim(bool all);
void mt_side_fork_prepare(void);
void mt_side_fork_parent(void);
void mt_side_fork_child(void);

/* runs.c: the free runs of a heap. Heap lock held. */
void mt_run_insert(struct memtrace_heap *, mt_span *);
void mt_run_remove(struct memtrace_heap *, mt_span *);
/* A free run of n slices or more, removed from its list; NULL if none. */
mt_span *mt_run_take(struct memtrace_heap *, uint32_t n_slices);
mt_span *mt_run_largest_dirty(const struct memtrace_heap *);

/* cache_table.c */
struct mt_thread_record *mt_thread_record(uint32_t id);
uint32_t mt_thread_count(void); /* records there are, that of id 0 included */
struct mt_cache *mt_cache_of(uint32_t id);
/* A cache with a record in the threads section; NULL with ENOMEM. */
struct mt_cache *mt_cache_new(struct memtrace_heap *, uint32_t state);
void mt_cache_setup(struct mt_cache *, struct memtrace_heap *, uint32_t id);

/* refill.c */
/* Makes the bin's word nonzero, or returns false with ENOMEM. */
bool mt_refill(struct mt_cache *, uint32_t size_class);
/* Allocates from that class, so that blocks are aligned as their size is. */
bool mt_refill_aligned(struct mt_cache *, uint32_t size_class);
/* Frees a block of a span whose owner_key is not this thread's. */
void mt_free_other(struct mt_cache *, mt_span *, uint32_t index);

/* cache.c */
/* A word of a span that the cache owns became all free. */
void mt_word_free(struct mt_cache *, mt_span *, uint32_t word);
/* Takes in what other threads freed. */
void mt_cache_drain(struct mt_cache *);
/* Gives back every span that holds no live block. */
void mt_cache_trim(struct mt_cache *);
/* Makes `cache` the owner of a span that is in nobody's lists. */
void mt_cache_adopt(struct mt_cache *cache, mt_span *);
/* Moves a span, that no bin has, or all. */
void mt_cache_move(struct mt_cache *from, struct mt_cache *to, mt_span *);
void mt_cache_move_all(struct mt_cache *from, struct mt_cache *to);

/* threads.c */
/* The calling thread's cache; attaches one. NULL with ENOMEM. */
struct mt_cache *mt_cache_get(void);
bool mt_threads_init(void);
/* From here on the heap learns of the ends of threads. */
void mt_threads_watch(void);
/* mt_capture_stack() for a thread that has no capture state yet: makes it. */
MT_COLD uint32_t mt_first_capture(struct mt_cache *, size_t size,
                                  const struct mt_regs *);
/* The spans of threads that have ended are orphans, owned by a cache without a
 * thread. */
extern uint32_t mt_orphan_owner; /* its id; 0: there was never one */
static inline bool mt_is_orphan(const mt_span *span)
{
    uint32_t owner = mt_load_relaxed(&span->owner);
    return owner && owner == mt_load_relaxed(&mt_orphan_owner);
}
/* Gives `cache` an orphan of the class with free blocks; false: there is none.
 */
bool mt_take_orphan(struct mt_cache *cache, uint32_t size_class);
/* Adopts a span of which the thread has freed a block; false: the span is no
 * longer an orphan. */
bool mt_adopt_orphan(struct mt_cache *cache, mt_span *);
/* Drains the idle cache (its thread is gone; spans of its may be free). */
void mt_idle_drain(struct mt_cache *);
void mt_idle_trim(void);
void mt_threads_fork_prepare(void);
void mt_threads_fork_parent(void);
void mt_threads_fork_child(struct mt_cache *own);

/* start.c: true once the heap is started. */
bool mt_start(void);

/* doors.c: starts the heap if it must.
 * A block of `size` at `align` (a power of two) from a heap (NULL: main); NULL
 * with ENOMEM. regs: the caller, or NULL for an allocation of nobody's. */
void *mt_alloc(struct memtrace_heap *, size_t size, size_t align, bool zero,
               const struct mt_regs *);

/* heap.c: the heap is started. */
void *mt_heap_alloc(struct memtrace_heap *, size_t size, size_t align,
                    bool zero, const struct mt_regs *);
/* The rest of a free(); the block stays in its register. */
MT_REALIGN void mt_free_main(void *, mt_span *);
MT_REALIGN void mt_free_word(void *, mt_span *, uint32_t word);
/* Like mt_alloc for the calling thread's cache of the main heap; NULL without
 * errno. */
void *mt_alloc_small(struct mt_cache *, uint32_t size_class, size_t size,
                     const struct mt_regs *);
/* A block that needs no tag, for which the bin's word is empty; NULL: it is not
 * small, or its stack must be captured, or memory is short. */
MT_REALIGN void *mt_take_untraced(struct mt_cache *, size_t size);
/* Allocates such a block with a tag: its stack has been captured. */
MT_REALIGN void *mt_take_small(struct mt_cache *, uint32_t size_class,
                               size_t size, uint64_t tag);
/* Frees a block of any heap; an invalid pointer is reported as `who`. */
MT_REALIGN void mt_free_any(void *, const char *who);
/* Like realloc() of a block; size 0 frees. */
void *mt_resize(void *p, size_t size, const struct mt_regs *);
/* Gives a live block another size where it is, for the caller; false: it must
 * move. */
bool mt_resize_in_place(mt_span *, uint32_t index, size_t size,
                        const struct mt_regs *);
/* The span and index of the live block at p. Otherwise reports what p is, a
 * freed block as `freed_kind`, and returns NULL. */
mt_span *mt_block_of(uintptr_t p, uint32_t *index, const char *who,
                     uint32_t freed_kind);
/* Bytes that the block may use: those `asked` for, if it is traced, or all its
 * room; 0 for NULL, and for a pointer that is not a live block, which is
 * reported. */
MT_REALIGN size_t mt_usable_size_slow(const void *, bool asked);

/* recent_frees.c */
/* Remembers the tag of the one block of a span that is released. */
void mt_remember_free(uint64_t base, uint64_t tag);
/* The tag of the block that was freed last at p, or 0. */
uint64_t mt_recent_free_tag(uint64_t p);

/* thread_key.c */
/* `on_end` is called with the value that a thread has set, when it ends. */
void mt_thread_key_init(void (*on_end)(void *));
bool mt_thread_key_set(void *value); /* the calling thread's */
bool mt_thread_has_key(void);
/* Gives the key to the program; false if there is none. Memory that threads
 * leave is then found when another one begins. */
bool mt_thread_key_give(void);

/* fork.c */
void mt_fork_init(void);

/* ignored.c */
#define MT_TRACE_SCOPE 3u /* mt_cache.trace: on, and the blocks are ignored */
/* The tag with the stack that is flagged as ignored, or with the other one. */
uint64_t mt_ignored_tag(uint64_t tag, bool ignored);
/* Another thread has the cache: it is in no scope. */
void mt_ignored_reset(struct mt_cache *);

/* sample.c: true for an allocation that is not to be traced. */
bool mt_sample_passes_over(struct mt_cache *, size_t size, uint64_t mean);

/* heaps.c */
struct memtrace_heap *mt_heap_new(const char *name, uint32_t flags);
/* The record may serve another heap; its regions are gone. */
void mt_heap_forget(struct memtrace_heap *);
/* Takes a heap's memory from it, then forgets it. */
void mt_heap_remove(struct memtrace_heap *);
void mt_heaps_fork_prepare(void);
void mt_heaps_fork_parent(void);
void mt_heaps_fork_child(void);
void mt_pages_fork_prepare(void);
void mt_pages_fork_parent(void);
void mt_pages_fork_child(void);

/* heaps_api.c */
/* The heap that a caller means (NULL: main), or NULL with EINVAL. */
struct memtrace_heap *mt_heap_meant(struct memtrace_heap *);

/* error.c: reports and, if the user set it so, aborts. AS-safe. */
void mt_error(uint32_t kind, const char *what, uintptr_t p, uint64_t tag);
/* Reports the byte at p + offset. */
void mt_error_at(uint32_t kind, const char *what, uintptr_t p, uint64_t tag,
                 size_t offset);
/* Memory ran out: errno, the failure counter, on_oom. Returns NULL. */
void *mt_out_of_memory(struct memtrace_heap *, size_t bytes);
/* abort(); when one is under way, without the program's handler. */
_Noreturn void mt_abort(void);

/* foreign.c: who called, and which other allocators are loaded. AS-safe. */
struct mt_print;
void mt_foreign_print(struct mt_print *);

/* config.c */
void mt_config_read(const char *text);

#endif
