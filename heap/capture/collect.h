/* SPDX-License-Identifier: BSD-2-Clause
 *
 * collect.h - gives back the stacks that nothing refers to any longer.  All of
 * it is AS-safe and takes no lock.
 */
#ifndef MT_COLLECT_H
#define MT_COLLECT_H

#include "heap/capture/capture_fast.h"

/* Makes what steps can be made now; `own` has just begun a capture, and has no
 * id in its hands.  `all`: the list of those there are. */
MT_COLD void mt_collect_step(struct mt_capture *own, struct mt_capture *all);

/* No steps are made until mt_collect_let_go(); false: one is being made. */
bool mt_collect_hold(void);
void mt_collect_let_go(void);

/* A collection that `own` was making will not be continued by it. */
void mt_collect_abandon(const struct mt_capture *own);

#endif
