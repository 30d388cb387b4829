/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained.h - what would be free if a root, a block, or all blocks of a
 * stack were gone: all that is reached through them alone.
 *
 * Roots have two levels.  A holder is a thread, a module or a mapping; its
 * places are variables, and words of stacks and registers.  A block that only
 * places of one holder reach is retained by the holder; if only one of them
 * does, by that one as well.  Data of modules is stronger than other mappings,
 * and these than threads; libraries of the system are weaker than other
 * modules: what a stronger holder reaches is not shared with a weaker one,
 * though the weaker one reaches it, too.
 */
#ifndef MT_RETAINED_H
#define MT_RETAINED_H

#include "coreanalyze/reach/roots.h"
#include "coreanalyze/analyses/show.h"

enum mt_holder_kind {
    MT_HOLDER_THREAD,  /* registers, stack, thread-local storage */
    MT_HOLDER_MODULE,  /* writable data */
    MT_HOLDER_MAPPING, /* another writable mapping; it has no places */
    MT_HOLDER_KERNEL,  /* a word that the kernel holds */
};

struct mt_holder {
    enum mt_holder_kind kind;
    uint32_t index; /* of the thread, module, mapping or kernel word */
    uint32_t first; /* its first place; UINT32_MAX: none */
    struct mt_show_sum retained;
};

struct mt_holder_slot {
    uint32_t holder;
    uint32_t next;       /* of the same holder; UINT32_MAX: none */
    uint64_t start, end; /* words of memory; both 0: the word below */
    uint32_t word;       /* in roots->words */
    struct mt_show_sum retained;
    struct mt_show_sum reached; /* alone or with others */
    uint32_t shares;            /* bits: which of `shared_blocks` it reaches */
    bool searched;              /* otherwise the two are not known */
};

/* Blocks of one stack that are reached through no other of that stack, and that
 * one place or block retains: the nodes of a container, or a single block. */
struct mt_retained_block {
    struct mt_block block; /* the one that retains the most */
    uint64_t block_retains;
    uint32_t owner, stack;       /* that they have in common */
    bool inner;                  /* another block retains it */
    uint64_t nodes;              /* blocks of the stack, also below others */
    struct mt_show_sum retained; /* they included */
};

/* A block that several places reach, and what it retains. */
#define MT_RETAINED_SHARED 10u
struct mt_retained_shared {
    struct mt_block block;
    struct mt_show_sum retained;
};

struct mt_retained_stack {
    uint32_t stack;
    struct mt_show_sum own;      /* blocks that are reached */
    struct mt_show_sum retained; /* through any of them; they included */
    uint64_t sample;             /* the block that retains the most */
    uint64_t sample_bytes;
    uint32_t heap, epoch; /* of that block */
    /* Who holds at least half of its own bytes: a holder or one of its places;
     * UINT32_MAX: nobody, or no place does. */
    uint32_t holder, place;
};

struct mt_retained_options {
    struct mt_scan_options scan;
    struct mt_roots_options roots;
    size_t top; /* blocks at most */
    bool inner; /* also those that other blocks retain */
    /* The start of the variable that holds an address of a module's data, or
     * the address itself.  May be NULL. */
    uint64_t (*variable)(void *context, uint32_t module, uint64_t address);
    /* Is the module a library of the system?  What the program's own modules
     * reach is theirs first.  May be NULL. */
    bool (*library)(void *context, uint32_t module);
    void *context; /* of both */
};

struct mt_retained {
    struct mt_roots roots;
    struct mt_holder *holders; /* mt_retained_run() leaves them unsorted */
    size_t n_holders;
    struct mt_holder_slot *places;
    size_t n_places;
    struct mt_retained_block *blocks; /* the most first */
    size_t n_blocks, n_all_blocks;    /* `top` at most; all */
    struct mt_retained_stack *stacks; /* the most first */
    size_t n_stacks;
    struct mt_show_sum live, reached; /* all blocks; what a root reaches */
    struct mt_show_sum shared;        /* reached, and by no single holder */
    struct mt_retained_shared
        shared_blocks[MT_RETAINED_SHARED]; /* most first */
    unsigned n_shared_blocks;
    uint64_t n_pointers;    /* that were followed */
    uint64_t missing_bytes; /* that could not be read */
};

/* False with `error` filled: out of memory, or stopped by the user. */
bool mt_retained_run(struct mt_model *model,
                     const struct mt_retained_options *options,
                     struct mt_retained *retained, struct mt_error *error);
void mt_retained_free(struct mt_retained *retained);

#endif
