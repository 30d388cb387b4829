/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack_frames.h - which function's frame an address of a stack lies in, by
 * unwinding the stack.
 */
#ifndef MT_STACK_FRAMES_H
#define MT_STACK_FRAMES_H

#include "coreanalyze/names/backtrace.h"

/* The frames of the thread that was asked about last; starts as all zeros. */
struct mt_stack_frames {
    const struct mt_thread *of;
    size_t n;
    struct mt_call calls[MT_MAX_CALLS];
};

/* The call whose frame holds `address`, of a thread of the source; NULL if that
 * is not known. */
const struct mt_call *mt_frame_of(struct mt_stack_frames *frames,
                                  struct mt_resolver *resolver,
                                  struct mt_source *source,
                                  const struct mt_thread *thread,
                                  uint64_t address);

#endif
