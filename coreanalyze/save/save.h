/* SPDX-License-Identifier: BSD-2-Clause
 *
 * save.h - a mini-core: an ELF core with the trace and with what names the
 * program, its modules and its threads; no stacks, no data, no blocks.
 */
#ifndef MT_SAVE_H
#define MT_SAVE_H

#include "coreanalyze/snapshot/model.h"

#include <stdio.h>

/* A piece of memory whose contents are in the file. */
struct mt_save_range {
    uint64_t address, bytes;
};

struct mt_save {
    const struct mt_model *model;
    struct mt_source *source;
    struct mt_save_range *ranges; /* in the end by address, no overlaps */
    size_t n_ranges, capacity;
    bool out_of_memory;
};

/* Writes a mini-core of the target under a temporary name, and gives it the
 * name `path` when it is complete.  False with `error` filled: nothing is left.
 * `bytes` is set to its size.  The target must not run during that. */
bool mt_save_write(const struct mt_model *model, const char *path,
                   uint64_t *bytes, struct mt_error *error);

/* The same into an open file, which `name` names in errors. */
bool mt_save_stream(const struct mt_model *model, FILE *file, const char *name,
                    uint64_t *bytes, struct mt_error *error);

/* --- save_ranges.c --- */
/* Fills in the ranges; false when out of memory. */
bool mt_save_find_ranges(struct mt_save *save);

/* --- save_notes.c --- */
/* Writes the notes: threads, process, auxiliary vector, files, and ours, which
 * says that this is a mini-core. */
void mt_save_notes(const struct mt_save *save, FILE *out);

#endif
