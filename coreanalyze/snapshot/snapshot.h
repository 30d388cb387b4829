/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot.h - makes a model out of a source.  The files snapshot*.c are the
 * only ones of the reader that know the layout of the trace.
 *
 * Nothing that the target holds is believed: text is cut, counts and
 * addresses are checked against the sections that they must lie in, and what
 * makes no sense is skipped and counted in the model's coverage.
 */
#ifndef MT_SNAPSHOT_H
#define MT_SNAPSHOT_H

#include "coreanalyze/snapshot/model.h"

struct mt_snapshot_options {
    uint64_t root_symbol; /* address of memtrace_root if known, or 0 */
    const struct mt_progress *progress; /* or NULL; outlives the model */
    /* Address of the root that an earlier snapshot of the source found, or 0:
     * it is looked for only if it is not there. */
    uint64_t known_root;
};

/* True if `page`, bytes that lie at an address of a target, begins with the
 * root of a trace; `end` is then the end of its region. */
bool mt_snapshot_is_root(const void *page, size_t bytes, uint64_t address,
                         uint64_t *end);

/* Finds the root of the trace and reads all small tables.  NULL with `error`
 * filled if there is not a trace, or its major layout version differs.  The
 * source must outlive the model. */
struct mt_model *mt_snapshot_take(struct mt_source *source,
                                  const struct mt_snapshot_options *options,
                                  struct mt_error *error);

/* Reads only the heaps and their regions: enough for mt_model_outline(), and
 * quick. */
struct mt_model *mt_snapshot_outline(struct mt_source *source,
                                     const struct mt_snapshot_options *options,
                                     struct mt_error *error);

/* Switches tracing of a heap on or off by writing its control word, and reads
 * it back.  `was` (may be NULL) is set to whether it was on. */
bool mt_snapshot_set_trace(struct mt_model *model, uint32_t heap, bool on,
                           bool *was, struct mt_error *error);

#endif
