/* SPDX-License-Identifier: BSD-2-Clause
 *
 * model.h - a validated picture of a target's traced heaps.
 *
 * The snapshot (snapshot.h) makes it out of a source.  Analyses read it and
 * know neither files nor the layout of the trace.  Everything in it has been
 * checked: an index is in its table, a count is bounded, text ends in NUL.
 * Small tables are in memory; blocks and frames are read from the source when
 * asked for, so a model needs its source as long as it lives.  Used by one
 * thread at a time.
 */
#ifndef MT_MODEL_H
#define MT_MODEL_H

#include "coreanalyze/base/error.h"
#include "coreanalyze/source/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the root of the trace was found. */
enum mt_root_method {
    MT_ROOT_BY_SYMBOL,  /* the symbol memtrace_root of a module */
    MT_ROOT_BY_MAPPING, /* the magic at the start of a writable mapping */
    MT_ROOT_BY_SCAN,    /* the magic at the start of a page of one */
};
const char *mt_root_method_name(enum mt_root_method);

/* Stack ids that stand for no frames. */
#define MT_ID_UNTRACED 0u  /* allocated while tracing was off */
#define MT_ID_OVERFLOW 1u  /* the target's stack table was full */
#define MT_ID_UNSAMPLED 2u /* sampling passed the block over */
#define MT_ID_FIRST 3u     /* the first id that has frames */

#define MT_MAX_FRAMES 1024

struct mt_heap {
    uint32_t id;   /* index in the target's table */
    bool in_use;   /* only heaps in use have a meaning; skip the others */
    char name[64]; /* as the target has it: may hold any bytes */
    uint64_t base, size;
    uint64_t limit;      /* bytes it may take, or 0 */
    uint64_t span_bytes; /* handed out to spans with blocks */
    uint64_t span_bytes_peak;
    uint64_t committed;
    uint64_t trimmable; /* bytes that could go back to the kernel */
    uint64_t failures;  /* allocations that got no memory */
    uint32_t page_bytes;
    int numa_node; /* it is bound to, or -1 */
    uint32_t n_regions;
    bool locked, unmap_on_destroy, fixed, given, main;
    bool tracing;        /* switched on now */
    bool traced_ever;    /* some block may have a tag */
    double created_s;    /* seconds from the start of the trace */
    uint64_t trace_word; /* address of the control word */
};

struct mt_region {
    uint64_t base, size, committed; /* address, bytes, bytes */
    uint32_t heap;                  /* index of its heap */
    uint64_t slice_map;             /* address of the target's table */
    uint32_t id;                    /* index in the target's table */
    uint64_t top;                   /* slices handed out so far */
};

struct mt_stack {
    uint32_t node; /* of the target; use mt_model_frames() */
    uint16_t depth;
    bool truncated, frame_pointer, incomplete;
    bool coarse;  /* inner frames are missing: the table was full */
    bool ignored; /* its blocks do not count as leaks: the program asked for
                   * that */
    bool valid;   /* false: the record made no sense; it has no frames */
    uint32_t first_epoch;
    uint32_t modules;                 /* records listed when it was recorded */
    uint64_t allocs, bytes;           /* lifetime, threads' counters included */
    uint64_t peak_bytes, peak_blocks; /* live at the peak (struct mt_peak) */
};

struct mt_epoch {
    uint64_t ns; /* since the start of the trace */
    bool mark;
    const char *label; /* NULL if it has none */
};

/* A module that the target recorded; it may have been unloaded. */
struct mt_traced_module {
    struct mt_module module;
    uint32_t record;      /* index in the target's table */
    uint64_t loaded_ns;   /* since the start of the trace, when first seen */
    uint64_t unloaded_ns; /* when found gone, or 0 */
};

struct mt_traced_thread {
    uint64_t id; /* index in the target's table; the threads ascend by it */
    uint32_t tid;
    bool live; /* false: it has exited */
    char name[16];
    uint64_t started_ns; /* since the start of the trace */
};

/* Memory that the program mapped by a function that the trace knows. */
struct mt_mapped_range {
    uint64_t start, end; /* addresses */
    uint32_t stack;      /* id, < n_stacks */
    uint32_t epoch;      /* < n_epochs */
    bool shared, program_break;
};

/* Totals of all heaps, and of the process, at one time. */
struct mt_sample {
    uint64_t ns;         /* since the start of the trace */
    uint64_t live_bytes; /* of live blocks, as large as they are */
    uint64_t live_blocks;
    uint64_t span_bytes; /* handed out to spans with blocks */
    uint64_t committed;
    uint64_t resident; /* bytes of the process; 0: not known */
    uint64_t allocs;   /* traced since the start */
    bool estimated;    /* live blocks were counted in a part of the spans */
};

/* When the heaps held the most, as far as it was looked at; the stacks have
 * what it was made of. */
struct mt_peak {
    bool known;
    uint64_t ns;            /* since the start of the trace */
    uint64_t live_bytes;    /* of live blocks, as large as they are */
    uint64_t span_bytes;    /* of spans with blocks */
    uint64_t bytes, blocks; /* sums of the stacks */
    uint32_t share; /* of small blocks, one of that many was looked at, and the
                       sums were scaled; 1: all */
};

/* The last error that the heap reported about its user. */
struct mt_traced_error {
    uint64_t count;
    uint64_t address;
    uint32_t kind, stack, tid;
    char text[200];
};

/* Things that the reports do not see.  Every field is a count unless it says
 * otherwise. */
struct mt_coverage {
    enum mt_root_method root_method;
    uint64_t root_candidates; /* valid roots seen; the best one is used */
    bool pid_mismatch;        /* the root names another process */
    bool not_ready;           /* the target was still starting up */
    bool schema_remapped;     /* fields were found by name */
    bool schema_missing;      /* the text schema could not be read */
    bool suppressions_lost;   /* the program's own: too long, or damaged */
    bool interrupted;         /* the user stopped the reading */
    uint64_t skipped_heaps, skipped_regions, skipped_spans, skipped_stacks;
    uint64_t skipped_modules, skipped_threads, skipped_counters;
    uint64_t skipped_epochs, skipped_sections, skipped_maps;
    uint64_t skipped_samples, skipped_peaks;
    uint64_t bad_tags;         /* tags that name no stack or epoch */
    uint64_t unreadable_bytes; /* of the trace, where the source has a hole */
    uint64_t truncated_stacks, frame_pointer_stacks, incomplete_stacks;
    uint64_t coarse_stacks; /* without inner frames: the table was full */
    uint64_t overflow_allocs, overflow_bytes; /* found no stack slot */
    uint64_t dropped_stacks, dropped_allocs;  /* given back: of no block */
    uint64_t untagged_spans, epoch_overflow, module_overflow;
    uint64_t section_overflow; /* times that another section was full */
    uint64_t maps_missed; /* calls that map memory and are not in a record */
};

struct mt_model {
    struct mt_source *source;           /* not owned */
    const struct mt_progress *progress; /* or NULL; not owned */
    uint64_t root;                      /* address of the trace region */
    uint64_t trace_bytes;               /* reserved for it */
    uint64_t trace_used;                /* bytes of it that hold records,
                                           but for the slice maps */
    uint32_t layout_major, layout_minor;
    uint32_t pid, parent_pid;
    uint64_t start_realtime_ns;
    uint64_t now_ns;  /* of the newest epoch, since the start of the trace */
    uint64_t idle_ns; /* since then, of a live process; not part of an age, so
                         that reports of one state are the same */
    uint32_t depth;
    uint64_t sample_bytes; /* 0: every allocation is traced */
    uint32_t spare_bytes;  /* of each block, after what was asked for; 0: an
                              address after one may be that of another */
    uint64_t own_data, own_data_bytes; /* of the library; not searched */
    char config[256];                  /* the target's MEMTRACE variable */
    const char *suppressions; /* leaks that the program says not to report,
                                 as LeakSanitizer's files do, or NULL */
    struct mt_heap *heaps;    /* indexed by id */
    size_t n_heaps;
    struct mt_region *regions; /* by base, no overlaps */
    size_t n_regions;
    struct mt_stack *stacks; /* indexed by id; those below MT_ID_FIRST too */
    size_t n_stacks;
    struct mt_epoch *epochs;
    size_t n_epochs;
    struct mt_traced_module *modules; /* by record */
    size_t n_modules;
    size_t n_module_records; /* of the target's table that were looked at */
    struct mt_traced_thread *threads;
    size_t n_threads;
    struct mt_traced_thread *live; /* those of them that live, by thread id */
    size_t n_live;
    struct mt_mapped_range *mapped; /* by address, no overlaps */
    size_t n_mapped;
    struct mt_sample *samples; /* by time, no two of one time */
    size_t n_samples;
    uint64_t sample_step_ns; /* least time between them; 0: not known */
    struct mt_peak peak;
    struct mt_traced_error last_error;
    struct mt_coverage coverage;
    struct mt_snapshot *snapshot; /* the snapshot's own */
};

/* A block.  Its place is found once; whoever has the block need not look for
 * its address again. */
struct mt_block {
    uint64_t address;
    uint64_t block_bytes; /* what it takes */
    uint64_t bytes;       /* what was asked for; block_bytes if not known */
    uint32_t stack;       /* id, < n_stacks */
    uint32_t epoch;       /* < n_epochs; 0 if untraced */
    uint32_t heap;        /* index */
    uint32_t span;        /* the target's id of its span */
    uint32_t index;       /* in the span */
    uint64_t slot;        /* see block_map.h */
    uint32_t owner;       /* record of the thread that owns its span, or 0 */
    uint32_t owner_tid;   /* that thread, if it lives; not in a walk */
    bool live;            /* false: free; the tag is of the last one here */
};

/* Sums of the spans of one size class, or of all large blocks. */
struct mt_class_usage {
    uint64_t block_bytes; /* 0: large blocks, or no span */
    uint64_t spans, committed_bytes;
    uint64_t live_blocks, free_blocks;
    uint64_t used_bytes, requested_bytes; /* as of a heap */
};
#define MT_MAX_CLASSES 256u /* and then the large blocks */

/* Sums of a heap, found by a walk over its spans. */
struct mt_heap_usage {
    uint64_t used_bytes;      /* block bytes of live blocks */
    uint64_t requested_bytes; /* what was asked for of those */
    uint64_t live_blocks;
    uint64_t free_blocks; /* in spans of small blocks */
    uint64_t free_chunks; /* free runs of slices */
    uint64_t spans;       /* with blocks */
    /* MT_MAX_CLASSES + 1 of the caller's, zeroed, or NULL. */
    struct mt_class_usage *classes;
};

/* Calls `visit` for every live block, span by span; it returns false to stop.
 * `usage` (n_heaps entries, zeroed by the caller) may be NULL.  A model reads
 * its spans and which blocks are live once: in the first walk, or before it for
 * mt_model_find() or a map.  Blocks that the target allocates or frees during
 * that may be seen or not.  False only if
 * `visit` stopped it or memory ran out (`error` says which). */
bool mt_model_each_block(struct mt_model *,
                         bool (*visit)(void *context, const struct mt_block *),
                         void *context, struct mt_heap_usage *usage,
                         struct mt_error *error);

/* The kind of an address, as far as the map of the heaps shows. */
enum mt_address_kind {
    MT_PLACE_OUTSIDE,  /* in no region of a heap */
    MT_PLACE_UNUSED,   /* in a free run, or never handed out */
    MT_PLACE_SLACK,    /* in a span, after its last block */
    MT_PLACE_LIVE,     /* in a live block */
    MT_PLACE_FREED,    /* in a block that is free; the tag is of the last one */
    MT_PLACE_UNCERTAIN /* the map is damaged here */
};
/* Fills `block` with the block around `address` for LIVE and FREED.  Made to
 * be called millions of times. `block` may be NULL. */
enum mt_address_kind mt_model_find(struct mt_model *, uint64_t address,
                                   struct mt_block *block);

/* The same for a block that is known by its place; false if there is not one,
 * as for a node of a map. */
bool mt_model_block(struct mt_model *, uint32_t span, uint32_t index,
                    struct mt_block *block);
/* Asks for the memory of what is looked at soon by mt_model_block(). */
void mt_model_ask_block(struct mt_model *, uint32_t span, uint32_t index);

/* True to continue; calls the progress hook now and then. */
bool mt_model_step(struct mt_model *, const char *step, uint64_t done,
                   uint64_t total);

/* Copies the frames of a stack, innermost first; returns how many. */
size_t mt_model_frames(struct mt_model *, uint32_t stack,
                       uint64_t frames[MT_MAX_FRAMES]);

/* Did memory run out while frames or blocks were read? */
bool mt_model_lacks_memory(const struct mt_model *);

/* Calls `visit` with every part of the trace region that readers need: neither
 * what is reserved only nor what is the allocator's own. */
typedef void mt_visit_range(void *context, uint64_t address, uint64_t bytes);
void mt_model_trace_ranges(const struct mt_model *, mt_visit_range *visit,
                           void *context);

/* The module that an address of a stack is in: the last of the first `modules`
 * records (mt_stack) that holds it, or the source's.  NULL if none does.
 * MT_MODULES_NOW: the module that is mapped now. */
#define MT_MODULES_NOW UINT32_MAX
const struct mt_module *mt_model_module(const struct mt_model *,
                                        uint64_t address, uint32_t modules);
/* A number for that module: the same for another record of it, 0 if it has
 * none. */
size_t mt_model_module_id(const struct mt_model *, uint64_t address,
                          uint32_t modules);

/* Age of a block of that epoch, in ns before now_ns; a person wants to add
 * idle_ns. */
uint64_t mt_model_age_ns(const struct mt_model *, uint32_t epoch);

/* The name of a thread of the source: the source's, or the trace's; "" if it is
 * not known.  The model may be NULL. */
const char *mt_model_name_of(const struct mt_model *, const struct mt_thread *);
/* The name of the thread with that number, "" if it is not known. */
const char *mt_model_thread_name(const struct mt_model *, uint32_t tid);

/* The thread of a record of the target, or NULL: it may be of what ended
 * threads left. */
const struct mt_traced_thread *mt_model_thread(const struct mt_model *,
                                               uint32_t record);

/* The heap in use that has this name, or NULL. */
const struct mt_heap *mt_model_heap(const struct mt_model *, const char *name);

/* Takes NULL; leaves the source alone. */
void mt_model_free(struct mt_model *);

#endif
