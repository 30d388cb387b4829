/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark.h - marks what roots reach, and sorts what they do not.
 *
 * The engine knows a map of blocks, memory and ranges of roots; its only state
 * is struct mt_mark.  Nothing recurses: blocks to be scanned are on bounded
 * stacks, and what does not fit has its flag PENDING set and is found by a
 * sweep.  The result is a fixed point, so it does not depend on the number of
 * threads or their order.
 */
#ifndef MT_MARK_H
#define MT_MARK_H

#include "coreanalyze/reach/idle_stacks.h"
#include "coreanalyze/reach/pointer_lists.h"

struct mt_mark_options {
    struct mt_scan_options scan;
    unsigned threads;     /* 0: one for each processor */
    unsigned stack_items; /* of a thread; 0: as many as is sensible */
    /* Told how far it is, by one thread; false stops it.  May be NULL. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
};

struct mt_mark {
    struct mt_map *map;
    struct mt_source *source;
    const struct mt_mark_options *options;
    /* Unused parts of stacks, which hold blocks possibly; may be NULL. */
    struct mt_idle_stacks *idle;
    /* Made by mt_mark_reach() where it pays, and freed by the caller. */
    struct mt_pointer_lists *lists;
    uint64_t idle_blocks;   /* that they alone point to */
    uint64_t stacks_found;  /* of threads, by what is in memory */
    uint64_t scanned_bytes; /* of roots and blocks, again and again */
    uint64_t missing_bytes; /* that the source does not have; the same */
    bool stopped;           /* by the progress hook */
};

/* Sets REACHED and DEFINITE of all blocks that the ranges and the words (the
 * contents of registers) lead to; of words after the first n_certain, REACHED
 * alone.  False when out of memory. */
bool mt_mark_reach(struct mt_mark *mark, const struct mt_mark_range *ranges,
                   size_t n_ranges, const uint64_t *words, size_t n_words,
                   size_t n_certain, struct mt_error *error);

/* A leak root; the sums of the blocks that it leads to and that no earlier leak
 * root leads to. */
struct mt_lost {
    uint32_t span, index;
    uint64_t slot;
    uint64_t indirect_count, indirect_bytes; /* without the leak root */
};
/* After mt_mark_reach: sets HEAD or INDIRECT of all blocks it did not reach,
 * and reports every leak root.  A leak root is a block that no other lost block
 * points to.  A cycle that no lost block outside leads to has one: its block
 * with the lowest slot. */
bool mt_mark_lost(struct mt_mark *mark,
                  void (*visit)(void *context, const struct mt_lost *lost),
                  void *context, struct mt_error *error);

/* Bytes of the ranges and of all live blocks that the source does not have,
 * each once; of nodes, of those that were reached.  Takes as long as a search
 * by one thread. */
uint64_t mt_mark_missing(const struct mt_mark *mark,
                         const struct mt_mark_range *ranges, size_t n_ranges);

#endif
