/* SPDX-License-Identifier: BSD-2-Clause
 *
 * peak.h - what the heaps held at their peak, by stack: the section `peaks`.
 */
#ifndef MT_PEAK_H
#define MT_PEAK_H

#include <stdbool.h>
#include <stdint.h>

/* The totals that the peak is taken for. */
struct mt_peak_now {
    uint64_t ns, live_bytes, live_blocks, span_bytes;
    uint64_t may_take_ns; /* as far as possible */
    uint64_t took_ns;     /* the one before */
};

/* Sums the live blocks by stack; false: not now.  One caller at a time, with
 * signals blocked. */
bool mt_peak_take(const struct mt_peak_now *);
/* In the child of a fork: the thread that was in there is not here. */
void mt_peak_fork_child(void);

#endif
