/* SPDX-License-Identifier: BSD-2-Clause
 *
 * roots.h - where a program can hold pointers to its blocks: registers,
 * stacks, thread-local storage, writable data of modules, other writable
 * mappings, and what the kernel holds for it.  Never the trace, nor the heaps.
 */
#ifndef MT_ROOTS_H
#define MT_ROOTS_H

#include "coreanalyze/reach/mark.h"
#include "coreanalyze/snapshot/model.h"

enum mt_root_kind {
    MT_ROOT_REGISTER,
    MT_ROOT_DTV,     /* a thread's vector of TLS blocks; that of a thread that
                        has ended holds them, and what lies in them counts for
                        nothing */
    MT_ROOT_STACK,   /* from the stack pointer and its red zone up */
    MT_ROOT_THREAD,  /* thread-local storage and the thread's control block */
    MT_ROOT_MODULE,  /* writable data */
    MT_ROOT_MAPPING, /* any other writable mapping */
    MT_ROOT_KERNEL,  /* a word that the kernel holds for the process */
    MT_ROOT_IGNORED, /* a block that the program wants ignored: leaks.c */
};

#define MT_ENDED_THREAD UINT32_MAX /* index of threads that have ended */

struct mt_root_range {
    uint64_t start, end; /* of a word: its value, and 0 */
    enum mt_root_kind kind;
    uint32_t index; /* of the thread, module, mapping or kernel word in the
                       source */
    uint32_t reg;   /* MT_REG_*, of registers */
    bool idle;      /* the unused part of a stack: mt_roots_split() */
};

/* Memory that could not be taken for roots. */
struct mt_roots_coverage {
    uint64_t threads, threads_without_registers;
    /* Writable, and not in the source: anonymous memory; and mapped files,
     * of which a core leaves out what was never written or is shared. */
    uint64_t missing_mappings, missing_bytes;
    uint64_t missing_file_bytes;
    uint64_t ended_stacks, ended_stack_bytes; /* left out: kept by libc */
    uint64_t stacks_unknown; /* of threads, less those that marking finds */
    uint64_t polling;        /* threads of a core that wait in an epoll */
    uint64_t async;          /* mappings of asynchronous input and output */
    unsigned kernel_calls;   /* a bit for each of mt_kernel_calls */
    uint64_t scanned_bytes;  /* of all ranges */
};

struct mt_roots {
    struct mt_root_range *ranges; /* by address, no overlaps */
    size_t n_ranges;
    struct mt_root_range *words; /* registers and the like */
    size_t n_words;
    struct mt_root_range *nodes; /* mappings that are not roots */
    size_t n_nodes;
    struct mt_own_stack *own; /* by address */
    size_t n_own;
    struct mt_roots_coverage coverage;
};

struct mt_roots_options {
    bool mappings_are_nodes; /* those of kind MT_ROOT_MAPPING */
};

/* False when out of memory. */
bool mt_roots_find(const struct mt_model *model,
                   const struct mt_roots_options *options,
                   struct mt_roots *roots, struct mt_error *error);
void mt_roots_free(struct mt_roots *roots);

/* Names of functions that give a word to the kernel, NULL-terminated; and which
 * of them the program of a core has called, or may have.  False when out of
 * memory. */
extern const char *const mt_kernel_calls[];
bool mt_roots_kernel_calls(const struct mt_model *model,
                           struct mt_roots_coverage *coverage);

/* The range that an address lies in, or NULL. */
const struct mt_root_range *mt_roots_at(const struct mt_roots *roots,
                                        uint64_t address);

/* Leaves out of the ranges what stacks do not use for certain; what they may
 * not use become ranges of their own, which are idle. */
bool mt_roots_split(struct mt_roots *roots, struct mt_source *source,
                    struct mt_map *map, struct mt_error *error);

/* Marks what the roots reach; nodes are added to the map first. */
bool mt_roots_mark(const struct mt_roots *roots, struct mt_mark *mark,
                   struct mt_error *error);
/* After that: counts what is missing of roots and blocks, each byte once. */
bool mt_roots_missing(const struct mt_roots *roots, struct mt_mark *mark,
                      struct mt_error *error);

#endif
