/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace.h - named, traced heaps.
 *
 * A heap hands out blocks from contiguous memory.  With tracing on, every
 * live block knows the call stack that allocated it, the size that was asked
 * for and its age; `memtrace`, GDB and the functions below read that, also
 * from outside and from a core.  The state of the heaps lies apart from the
 * blocks: a program that writes past a block does not damage it.
 *
 * Errors: functions that return a pointer return NULL, those that return int
 * return -1, and set errno: EINVAL (a bad argument), ENOMEM (no memory, or
 * the heap or its limit is full), ENOENT.
 *
 * Threads: every function may be called from any thread at any time, but
 * for heaps created without MEMTRACE_HEAP_LOCKED: one thread at a time.
 * Signals: only memtrace_heap_trace() and memtrace_mark() may be called in a
 * signal handler.
 * Fork: the child has a copy of every heap, and a trace of its own.
 *
 * Under the preload library, libmemtrace-preload.so, these functions and
 * malloc work on the same heaps; NULL for a heap means the main heap, which
 * is malloc's there.
 */
#ifndef MEMTRACE_H
#define MEMTRACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct memtrace_heap memtrace_heap;

/* For struct memtrace_heap_options.flags.
 * LOCKED: may be used by many threads.  UNMAP_ON_DESTROY: destroying unmaps
 * given memory, too.  TRACE: tracing is on from the start. */
#define MEMTRACE_HEAP_LOCKED 1u
#define MEMTRACE_HEAP_UNMAP_ON_DESTROY 2u
#define MEMTRACE_HEAP_TRACE 4u
/* Checks of what the program does; they cost time and memory.
 * GUARD: blocks over 32 KiB end at an inaccessible page.  FILL_FREE: writes to
 * freed blocks of up to 32 KiB are found.  FILL_ALLOC: new blocks hold 0xba. */
#define MEMTRACE_HEAP_GUARD 8u
#define MEMTRACE_HEAP_FILL_FREE 16u
#define MEMTRACE_HEAP_FILL_ALLOC 32u
/* PAGE_FALLBACK: the system's pages when there are none of page_size.  THP:
 * transparent huge pages where the kernel has them. */
#define MEMTRACE_HEAP_PAGE_FALLBACK 64u
#define MEMTRACE_HEAP_THP 128u

struct memtrace_heap_options {
    const char *name; /* up to 63 bytes are kept; not NULL, not empty */
    void *base;       /* given memory, readable and writable; or NULL */
    size_t size;      /* bytes: fixed. 0 (base NULL): grows as needed */
    unsigned flags;   /* MEMTRACE_HEAP_* */
    /* 0: the system's pages; otherwise 4096, 2 MiB or 1 GiB.  Large ones must
     * be in the kernel's pool (vm.nr_hugepages), and are not given back before
     * the heap is destroyed.  Not of given memory. */
    size_t page_size;
    const char *numa_nodes; /* as "0,2-3", from 0 to 63; NULL: no binding */
    size_t quarantine; /* bytes of freed blocks that are not used again yet */
};

/* Creates a heap.  With `size` it is fixed: when it is full, allocations fail
 * with ENOMEM.  Given memory is used in whole 16 KiB units: base is rounded up
 * and the end down.  EINVAL: no name, or given memory of less than one unit, a
 * wrong page size or list of nodes.  ENOMEM: no address space, no page of that
 * size, or 255 heaps exist.  The kernel's error for nodes that it does not
 * have, usually EINVAL, is passed on. */
memtrace_heap *memtrace_heap_create(const struct memtrace_heap_options *);

/* Destroys a heap with all its blocks.  Its own memory is unmapped; given
 * memory only with MEMTRACE_HEAP_UNMAP_ON_DESTROY.  EINVAL: the main heap. */
int memtrace_heap_destroy(memtrace_heap *);

memtrace_heap *memtrace_heap_main(void);
/* The heap of this name, or NULL with ENOENT. */
memtrace_heap *memtrace_heap_find(const char *name);
/* The heap that the block at p, live or freed, belongs to, or NULL. */
memtrace_heap *memtrace_heap_of(const void *p);

/* Allocation: as malloc, aligned_alloc (align: any power of two), calloc and
 * realloc.  Cost: constant, but for blocks over 32 KiB, which take the heap's
 * lock.  A block is aligned to 16 bytes at least. Size 0 gives a block. */
void *memtrace_alloc(memtrace_heap *, size_t size);
void *memtrace_alloc_aligned(memtrace_heap *, size_t align, size_t size);
void *memtrace_calloc(memtrace_heap *, size_t count, size_t size);
/* The block stays in its heap; `heap` matters for p = NULL only. */
void *memtrace_realloc(memtrace_heap *heap, void *p, size_t size);
/* Frees a block of any heap.  A pointer that is not a live block is reported on
 * stderr with the stack that allocated it, and the program is aborted, or not
 * (MEMTRACE=on_error). errno is kept. */
void memtrace_free(void *p);
/* Bytes that may be used of the block: those asked for if it is traced, and
 * all that it has otherwise; 0 for NULL. */
size_t memtrace_usable_size(const void *p);

/* Leaks that are not to be reported.  The block that p points to, or into, and
 * what it leads to, are none; -1 if p is in no heap.  The effect ends when it
 * is freed.  Only traced blocks can be marked so. */
int memtrace_ignore(const void *p);
/* Blocks that this thread allocates between the two calls are ignored in the
 * same way.  Calls nest. */
void memtrace_ignore_begin(void);
void memtrace_ignore_end(void);
/* Pointers in this memory hold what they point to, also where the memory is in
 * a block that nothing points to (`on` 1, 0 ends it). Memory outside of heaps
 * is searched anyway. */
void memtrace_root_region(const void *p, size_t bytes, int on);

/* Turns tracing of the heap on (1) or off (0).  Blocks allocated while it is
 * off are counted as untraced. Takes effect at once, in all threads. */
int memtrace_heap_trace(memtrace_heap *, int on);
/* Opens an epoch with a name: reports can start `--since` it. */
int memtrace_mark(const char *label);

/* The most bytes that blocks of the heap may take (in whole spans of 16
 * KiB and more); 0: no limit. */
int memtrace_heap_limit(memtrace_heap *, size_t bytes);
/* Called when an allocation of `bytes` finds no memory, with no lock held;
 * to try again it returns nonzero, having freed something. NULL: none. */
typedef int (*memtrace_full_handler)(memtrace_heap *, size_t bytes, void *arg);
int memtrace_heap_on_full(memtrace_heap *, memtrace_full_handler, void *arg);

struct memtrace_stats {
    const char *name;
    const void *base;
    size_t size;      /* bytes of address space */
    size_t committed; /* bytes that can be accessed */
    size_t used;      /* bytes of live blocks, as rounded to classes */
    size_t requested; /* bytes of live blocks, as asked for if traced */
    size_t blocks;    /* live blocks */
    size_t untraced_bytes, untraced_blocks; /* of those, without a tag */
    size_t span_bytes;                      /* bytes taken by spans */
    size_t span_peak;   /* the most that span_bytes has been */
    size_t trimmable;   /* free memory that the kernel could have */
    size_t free_runs;   /* runs of free 16 KiB units */
    size_t free_blocks; /* free blocks in spans */
    size_t failures;    /* allocations that got no memory */
};
/* Counts; O(spans).  Exact if no other thread allocates during the call. */
int memtrace_heap_stats(memtrace_heap *, struct memtrace_stats *);

struct memtrace_class_stats {
    size_t size;        /* bytes of a block; 0: blocks over 32 KiB, each in its
                         * own span */
    size_t blocks;      /* live blocks */
    size_t used;        /* their bytes */
    size_t free_blocks; /* in spans of this class */
    size_t span_bytes;  /* bytes taken by spans of this class */
    size_t span_peak;   /* the most that has been */
};
/* Fills in up to n size classes, the smallest first and large blocks last, and
 * returns how many there are.  As memtrace_heap_stats() otherwise. */
int memtrace_heap_class_stats(memtrace_heap *, struct memtrace_class_stats *,
                              unsigned n);

struct memtrace_block {
    const void *address;
    size_t requested;      /* bytes asked for; usable size if untraced */
    size_t usable;         /* bytes it takes */
    const uint64_t *stack; /* program counters, the caller of malloc first */
    unsigned depth;        /* how many; 0 if untraced */
    double age_s;          /* seconds; 0 if untraced */
};
/* Calls `visit` for every live block, in no order, until it returns nonzero,
 * and returns that, or 0.  `visit` may allocate and free; blocks that come or
 * go during the call are seen or not.  The struct and stack are valid in the
 * call. */
int memtrace_heap_walk(memtrace_heap *,
                       int (*visit)(const struct memtrace_block *, void *arg),
                       void *arg);

/* Prints the heap and its live memory by stack to a file descriptor, the
 * `top` largest stacks or all (0).  Calls no malloc. */
int memtrace_heap_show(memtrace_heap *, int fd, unsigned top);
/* Verifies the structures of the heap.  Returns the number of violations, a
 * line for each on stderr.  Other threads must not use the heap during the
 * call. */
int memtrace_heap_check(memtrace_heap *);
/* Gives idle memory to the kernel at once; returns the bytes given. */
size_t memtrace_trim(void);

#ifdef __cplusplus
}
#endif
#endif
