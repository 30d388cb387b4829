/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark_keep.h - which words of a target's memory a search for pointers needs.
 */
#ifndef MT_MARK_KEEP_H
#define MT_MARK_KEEP_H

#include "coreanalyze/reach/mark_scan.h"
#include "coreanalyze/snapshot/snapshot.h"

/* Captures the memory of a target for a search with these options, if it is one
 * that changes or is too large; searches then find the same as in all of its
 * memory. `stop`: a live target is stopped during that. */
bool mt_capture_memory(struct mt_source *source,
                       const struct mt_snapshot_options *snapshot,
                       const struct mt_scan_options *scan, bool stop,
                       struct mt_error *error);

#endif
