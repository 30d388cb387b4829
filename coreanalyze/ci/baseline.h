/* SPDX-License-Identifier: BSD-2-Clause
 *
 * baseline.h - leaks that are known: only new ones fail, and more blocks of a
 * known one.
 *
 * A leak is known by its kind and the fingerprint of its stack: the names of
 * functions and modules, without addresses, offsets, lines and files, so that
 * it survives shifted lines and rebuilds.  The file is a line of version and
 * one line per leak, sorted, to be kept beside the sources:
 *
 *     memtrace-baseline 1
 *     definite 3 300 5f2a90c8e1b7d346 lose < leak < main
 *
 * KIND BLOCKS BYTES FINGERPRINT STACK.  BLOCKS may be `*`: any number; BYTES
 * and STACK are for the reader.  Blocks are those of the process that had the
 * most of them.
 */
#ifndef MT_BASELINE_H
#define MT_BASELINE_H

#include "coreanalyze/ci/findings.h"

#include <stdio.h>

struct mt_baseline_entry {
    unsigned kind; /* enum mt_leak_kind */
    uint64_t fingerprint;
    uint64_t count, bytes;
    bool any_count;
    bool seen;
    char *stack; /* for people */
};

struct mt_baseline {
    struct mt_baseline_entry *known; /* sorted */
    size_t n;
};

/* A hash of the frames' names without the compiler's suffixes (.cold, .isra.0)
 * and versions of libraries.  A function that calls itself counts once, and the
 * callers of main are left out. */
uint64_t mt_fingerprint(const struct mt_leak_frame *frames, size_t n);

/* False with `error` filled: "FILE:LINE: what is wrong". */
bool mt_baseline_read(struct mt_baseline *, const char *path,
                      struct mt_error *error);
void mt_baseline_free(struct mt_baseline *);

/* How the baseline classes a leak: MT_LEAK_NEW, GROWN or KNOWN; *count is set
 * to the blocks it has. */
enum mt_leak_state mt_baseline_find(struct mt_baseline *,
                                    const struct mt_leak *, uint64_t *count);

/* Writes a baseline of the leaks in the findings that fail, or would if they
 * were not known.  Leaks of `old` that were not seen are kept if `keep`: not
 * all was checked.  A `*` of `old` stays. */
bool mt_baseline_write(const struct mt_baseline *old, bool keep,
                       const struct mt_findings *findings, FILE *out,
                       struct mt_error *error);

#endif
