/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refs.h - who holds a block, and how a root reaches it.
 */
#ifndef MT_REFS_H
#define MT_REFS_H

#include "coreanalyze/reach/roots.h"

/* A word that points to a block. */
struct mt_ref {
    bool from_block;
    uint32_t span, index; /* of the block that holds the word */
    uint64_t at;          /* address of the word; 0: see `word` */
    uint32_t word;        /* else: index in roots->words */
    uint64_t offset;      /* in the block that it points to */
    bool start;           /* to its start, or a heuristic says so */
};

struct mt_refs_options {
    struct mt_mark_options mark;
    struct mt_roots_options roots;
    size_t max_holders; /* that are listed; 0: all */
};

struct mt_refs {
    struct mt_map *map;
    struct mt_roots roots;
    bool live; /* the address lies in a live block */
    struct mt_block_ref target;
    struct mt_ref *holders; /* roots first, then by address */
    size_t n_holders;
    uint64_t n_all_holders;
    struct mt_ref *chain; /* from a root to the target; none: not reached */
    size_t n_chain;
    uint64_t missing_bytes;
};

/* False with `error` filled; if the address is in no live block, `live` is
 * false and nothing is searched. */
bool mt_refs_run(struct mt_model *model, uint64_t address,
                 const struct mt_refs_options *options, struct mt_refs *refs,
                 struct mt_error *error);
void mt_refs_free(struct mt_refs *refs);

#endif
