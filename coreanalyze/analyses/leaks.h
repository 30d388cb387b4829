/* SPDX-License-Identifier: BSD-2-Clause
 *
 * leaks.h - live blocks that nothing reaches any more, by stack and kind.
 */
#ifndef MT_LEAKS_H
#define MT_LEAKS_H

#include "coreanalyze/analyses/leak_kind.h"
#include "coreanalyze/reach/roots.h"
#include "coreanalyze/analyses/show.h"

struct mt_leaks_options {
    struct mt_show_options show; /* classify is set by mt_leaks_run */
    struct mt_mark_options mark;
    struct mt_roots_options roots;
    unsigned kinds; /* bits of those that rows are wanted of */
    bool times;     /* reports say how long the search took */
};

struct mt_leaks {
    const struct mt_leaks_options *options;
    struct mt_show_options show_options;
    struct mt_show show;                      /* its rows are the leaks */
    struct mt_show_sum sums[MT_N_LEAK_KINDS]; /* that --heap, --since allow */
    /* The part of those outside of all rows: suppressed, or in a baseline. */
    struct mt_show_sum suppressed[MT_N_LEAK_KINDS], known[MT_N_LEAK_KINDS];
    struct mt_roots_coverage roots;
    uint64_t scanned_bytes, missing_bytes; /* of roots and blocks */
    uint64_t ignored_blocks; /* that the program wants ignored, as roots */
    uint64_t idle_blocks;    /* that only stacks without a thread hold */
    uint64_t in_vectors; /* words of vector registers that lead to lost ones */
    uint64_t search_ns, search_cpu_ns; /* that this took; all threads */
    bool stopped;                      /* by the user: kinds mean nothing */
};

/* False with `error` filled.  Model and options must outlive the result. */
bool mt_leaks_run(struct mt_model *model,
                  const struct mt_leaks_options *options,
                  struct mt_leaks *leaks, struct mt_error *error);
void mt_leaks_free(struct mt_leaks *leaks);

/* The sum of a kind without what is suppressed or known. */
struct mt_show_sum mt_leaks_left(const struct mt_leaks *leaks,
                                 enum mt_leak_kind kind);

/* Was everything seen that a pointer to a block could be in? */
bool mt_leaks_complete(const struct mt_model *model,
                       const struct mt_leaks *leaks);

#endif
