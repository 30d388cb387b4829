/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_map.h - where all resident memory of a process is: every page in one
 * kind, so that the kinds add up to the kernel's figure.
 */
#ifndef MT_MEMORY_MAP_H
#define MT_MEMORY_MAP_H

#include "coreanalyze/snapshot/model.h"

enum mt_memory_kind {
    MT_MEMORY_ASKED,     /* live blocks: the bytes that were asked for */
    MT_MEMORY_FREE,      /* the rest of the heaps: free blocks, rounding */
    MT_MEMORY_TRACE,     /* the trace region */
    MT_MEMORY_ANONYMOUS, /* anonymous, and known by its stack or its name */
    MT_MEMORY_BREAK,     /* the program break: brk(), glibc's main heap */
    MT_MEMORY_STACKS,    /* stacks of threads */
    MT_MEMORY_DATA,      /* .data and .bss, and written pages of files */
    MT_MEMORY_FILES,     /* pages of files */
    MT_MEMORY_SHARED,    /* shared memory without a file on a disk */
    MT_MEMORY_DEVICES,   /* of devices and of the kernel */
    MT_MEMORY_UNKNOWN,   /* anonymous, and nothing says what for */
    MT_N_MEMORY_KINDS
};
/* A word for each kind, and what it stands for. */
extern const char *const mt_memory_kind_names[MT_N_MEMORY_KINDS];
extern const char *const mt_memory_kind_texts[MT_N_MEMORY_KINDS];

struct mt_memory_sum {
    uint64_t resident, swapped, size; /* bytes */
};

/* Memory of one kind and one origin. */
struct mt_memory_row {
    enum mt_memory_kind kind;
    const char *name; /* file, heap, thread or mapping; NULL: has none */
    uint32_t stack;   /* id of the stack that mapped it, or 0 */
    uint32_t tid;     /* of a thread's stack, or 0 */
    uint64_t address; /* the lowest */
    uint64_t count;   /* mappings, or parts of them */
    struct mt_memory_sum sum;
};

struct mt_memory_map {
    struct mt_memory_row *rows; /* by kind, then the largest first */
    size_t n_rows, capacity;
    struct mt_memory_sum sums[MT_N_MEMORY_KINDS];
    struct mt_memory_sum all;
    uint64_t asked_bytes;    /* of live blocks, resident or not */
    uint64_t huge_bytes;     /* pages of hugetlbfs, which are in no kind */
    uint64_t uncounted;      /* bytes in the page table, not in Rss */
    uint64_t unlisted;       /* bytes in Rss, but not in the page table */
    uint64_t unknown_stacks; /* threads whose stack was not found */
    bool measured; /* the kernel's figures; otherwise what a core has */
    /* The target has the trace alone: what is mapped stands for what is
     * resident.  `last_rss` is the process's, when it took its last sample
     * with one, or wrote the file; 0: not known. */
    bool of_trace;
    uint64_t last_rss, last_rss_ns;
};

/* `model` may be NULL: there is no traced heap.  False with `error` filled if
 * nothing can be measured.  Names belong to the source and the model. */
bool mt_memory_map_run(struct mt_source *source, struct mt_model *model,
                       struct mt_memory_map *map, struct mt_error *error);
void mt_memory_map_free(struct mt_memory_map *map);
/* True if the source shows which memory is resident.  The map of a mini-core
 * or a black box has what its trace knows of. */
bool mt_memory_map_can(const struct mt_source *source);

#endif
