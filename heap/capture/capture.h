/* SPDX-License-Identifier: BSD-2-Clause
 *
 * capture.h - settings and figures of capture; its interface is in
 * internal.h.
 */
#ifndef MT_CAPTURE_H
#define MT_CAPTURE_H

#include "heap/internal.h"

/* Bound of one thread's memo, 0 for none; all threads' together get at most 8
 * times that (but each its first 128). To be set before the first capture. */
extern uint32_t mt_memo_kib;

/* Debugging: unwind on every hit of a memo, and compare; a line on stderr at
 * exit says what came of it. */
extern uint32_t mt_capture_verify;

/* Hits and misses of memos that were folded (mt_capture_merge_counts); what
 * came of verification, at once. */
extern struct mt_capture_totals {
    uint64_t hits, misses, verified, mismatches;
} mt_capture_totals;
/* With those of memos that are in use, as far as they are seen from here. */
struct mt_capture_totals mt_capture_sum(void);

#endif
