/* SPDX-License-Identifier: BSD-2-Clause
 *
 * show.h - live memory by the stack that allocated it.
 */
#ifndef MT_SHOW_H
#define MT_SHOW_H

#include "coreanalyze/analyses/when.h"

enum mt_show_sort {
    MT_SORT_BYTES,
    MT_SORT_COUNT,
    MT_SORT_AGE,      /* oldest block first */
    MT_SORT_ALLOCS,   /* allocations since the start */
    MT_SORT_LIFETIME, /* their bytes */
};
/* The keys' names, in that order, ended by NULL. */
extern const char *const mt_show_sort_names[];

/* Gives the kind of a block: blocks of one stack and two kinds make two
 * rows. */
struct mt_show_class {
    unsigned kind; /* 0 to 6; rows are sorted by it first */
    uint64_t indirect_bytes, indirect_count; /* reachable only through it */
};
/* False: the block is in no row. */
typedef bool mt_show_classify(void *context, const struct mt_block *block,
                              struct mt_show_class *row_class);

struct mt_show_options {
    const char *heap;     /* name of the only heap to show, or NULL */
    struct mt_when since; /* only blocks that are not older */
    struct mt_when older; /* only blocks that are older */
    bool ages;            /* the table has the ages of each row */
    bool classes;         /* usage has the size classes of the heaps shown */
    bool peak;            /* rows of what was live at the peak, as the trace has
                             it, instead of what is live */
    bool threads;         /* a row for each thread of a stack */
    uint64_t top;         /* rows at most, 0: all */
    uint64_t min_bytes;   /* of a row */
    unsigned depth;       /* merge stacks that agree so far, 0: all frames */
    enum mt_show_sort sort;
    bool unsorted; /* rows in any order: the caller sorts them; not with top */
    bool late;     /* mt_show_take_row() makes each row: all of them, unsorted
                      and unmerged, most of them by stack */
    bool freed; /* rows of stacks without live blocks, too; sample: MT_NO_SAMPLE
                 */
    /* If not NULL, called for every block, also those without a stack: all of
     * them are in rows then, and nothing is scaled. */
    mt_show_classify *classify;
    void *classify_context;
};

/* Number of equal parts of the time from --since (or the start of the trace) to
 * --older (or now), the oldest first. */
#define MT_SHOW_AGES 8
/* A stack grows steadily if it has at least this number of live blocks, and
 * each part of the time has at least a quarter of an even share. */
#define MT_SHOW_STEADY_BLOCKS 16

#define MT_NO_SAMPLE UINT64_MAX

/* Live blocks of one heap that were allocated by one stack. */
struct mt_show_row {
    uint32_t heap;         /* index */
    uint32_t thread;       /* record of the one that owns the memory; 0: not
                              known, or not asked for */
    uint32_t stack;        /* id; MT_ID_OVERFLOW: the table was full */
    uint64_t bytes, count; /* scaled, if the trace is a sample */
    uint64_t sampled;      /* blocks seen; = count if not a sample */
    uint64_t sample;       /* address of the lowest block */
    uint32_t oldest_epoch; /* of the oldest block */
    uint32_t newest_epoch;
    /* By the stack since the start, in all heaps. */
    uint64_t allocs, alloc_bytes;
    uint32_t depth; /* frames to show */
    unsigned kind;  /* of struct mt_show_class, or 0 */
    uint64_t indirect_bytes, indirect_count;
    uint64_t ages[MT_SHOW_AGES]; /* blocks seen, by when they were allocated */
    bool steady;                 /* a steady grower */
};

struct mt_show_sum {
    uint64_t bytes, count;
};

struct mt_memory_map;
struct mt_show_sums;
struct mt_show {
    const struct mt_show_options *options;
    struct mt_show_row *rows; /* sorted */
    size_t n_rows;
    struct mt_show_sums *late;      /* what n_rows rows are made of, or NULL */
    size_t n_all_rows;              /* before --top and --min */
    size_t n_freed_rows;            /* of these, without live blocks */
    struct mt_show_sum shown;       /* of all rows before --top and --min */
    struct mt_show_sum filtered;    /* of those that a filter took out */
    struct mt_heap_usage *usage;    /* by heap index */
    struct mt_class_usage *classes; /* what usage points at, or NULL */
    struct mt_show_sum *traced, *untraced, *unsampled; /* by heap index */
    bool scaled;             /* bytes and counts are estimates */
    uint64_t from_ns, to_ns; /* the time looked at, since the trace's start */
    const struct mt_memory_map *memory; /* of the process, or NULL; not owned */
};

/* Walks over all blocks of the model.  False with `error` filled.  The model
 * and the options must outlive the result. */
bool mt_show_run(struct mt_model *model, const struct mt_show_options *options,
                 struct mt_show *show, struct mt_error *error);
void mt_show_free(struct mt_show *show);
/* Takes the last row out, with its memory now and then; false if there is none.
 * For millions of rows that are turned into something else. */
bool mt_show_take_row(struct mt_show *, const struct mt_model *,
                      struct mt_show_row *row);
/* Is the heap among those that are shown? */
bool mt_show_wants(const struct mt_model *model, const struct mt_show *show,
                   uint32_t heap);

#endif
