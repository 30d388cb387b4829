/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core.h - what the files of the core source share.
 */
#ifndef MT_CORE_H
#define MT_CORE_H

#include "coreanalyze/source/source.h"

struct core_segment {
    uint64_t start, end; /* addresses; the bytes are in the file */
    uint64_t offset;     /* in the file */
};

struct core {
    struct mt_source source; /* first: the source is the core */
    const uint8_t *data;     /* the file, mapped; NULL: it is read */
    uint64_t bytes;
    int file;      /* -1 if it is mapped */
    void **pieces; /* of it that were read */
    size_t n_pieces, pieces_capacity;
    struct core_segment *segments; /* by address, no overlaps */
    size_t n_segments, kernel_words_capacity;
};

/* Reads one PT_NOTE segment: process, threads, files and auxiliary vector.
 * Mappings with files are added to source->mappings, unsorted. False when out
 * of memory. */
bool mt_core_notes(struct core *, uint64_t offset, uint64_t bytes,
                   struct mt_error *);
/* Reads *bytes bytes at an offset of the file, which has them.  False if not
 * all of them could be read: *bytes is then how many were. */
bool mt_core_read(const struct core *, uint64_t offset, void *buffer,
                  size_t *bytes);
/* Bytes [offset, offset + bytes) of the file, which has them, until the source
 * is freed.  NULL when out of memory, or if the file cannot be read. */
const uint8_t *mt_core_piece(struct core *, uint64_t offset, uint64_t bytes);
/* Opens PATH, and if it is compressed its contents in a temporary file that
 * has no name.  `damaged` is set if not all of these make sense.  -1 with
 * `error` filled. */
int mt_core_open_file(const char *path, bool *damaged, struct mt_error *);

#define MT_CORE_MAX_MAPPINGS (1u << 22)
#define MT_CORE_MAX_THREADS (1u << 20)
#define MT_CORE_MAX_WORDS (1u << 22)

/* The source's operation, as source.h has it. */
bool mt_core_capture(struct core *, const struct mt_word_filter *,
                     struct mt_error *);

/* Merges the mappings of notes (with paths) into those of the segments: sorts,
 * and clips overlaps. */
bool mt_core_merge_mappings(struct core *, struct mt_mapping *files,
                            size_t n_files, struct mt_error *);

#endif
