/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unwind_full.h - unwinding with all registers.
 */
#ifndef MT_UNWIND_FULL_H
#define MT_UNWIND_FULL_H

#include "heap/capture/walk.h"

/* Unwinds by interpreting the unwind data of every frame. */
enum mt_walk_end mt_walk_full(struct mt_walk *w);

#endif
