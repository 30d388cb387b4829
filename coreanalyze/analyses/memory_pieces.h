/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_pieces.h - what is known of ranges of addresses: heaps, the trace,
 * stacks of threads, mappings of the program; and of a mapping by its name.
 */
#ifndef MT_MEMORY_PIECES_H
#define MT_MEMORY_PIECES_H

#include "coreanalyze/analyses/memory_map.h"

/* A range of addresses whose kind is known. */
struct mt_memory_piece {
    uint64_t start, end;
    enum mt_memory_kind kind; /* of a heap: MT_MEMORY_FREE */
    const char *name;
    uint32_t stack, tid;
    uint32_t heap; /* index + 1, or 0 */
};

struct mt_memory_pieces {
    struct mt_memory_piece *items; /* by address, no overlaps */
    size_t n, capacity;
    uint64_t unknown_stacks;
};

bool mt_memory_pieces_find(struct mt_source *, struct mt_model *,
                           struct mt_memory_pieces *, struct mt_error *);
void mt_memory_pieces_free(struct mt_memory_pieces *);

/* The kind of the pages of a mapping outside of all pieces.  `file`: those that
 * are the file's own; otherwise those that the process has written to. */
enum mt_memory_kind mt_memory_kind_of(const struct mt_source *,
                                      const struct mt_mapping *, bool device,
                                      bool file, const char **name);

/* True if a path is of memory that has a name, and no file on a disk. */
bool mt_memory_is_file_of_memory(const char *path);

#endif
