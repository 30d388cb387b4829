/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unwind.h - the return addresses of a thread's own stack.
 *
 * All of it is async-signal-safe and takes no lock. No memory is read that
 * is not known to be readable.
 */
#ifndef MT_UNWIND_H
#define MT_UNWIND_H

#include "heap/capture/capture.h"
#include "heap/capture/walk.h"

/* Unwinds the calling thread from `regs`. */
void mt_unwind(struct mt_unwinding *u, const struct mt_regs *regs);

/* An unwinding in steps: mt_walk_begin(), fast, finish. */
enum mt_walk_end mt_walk_fast(struct mt_walk *w);
void mt_walk_finish(struct mt_walk *w, enum mt_walk_end end);

#endif
