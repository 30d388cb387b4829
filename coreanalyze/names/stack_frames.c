/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack_frames.c - the frame that an address of a stack lies in.
 */
#include "coreanalyze/names/stack_frames.h"

#define RED_ZONE 128u

const struct mt_call *mt_frame_of(struct mt_stack_frames *frames,
                                  struct mt_resolver *resolver,
                                  struct mt_source *source,
                                  const struct mt_thread *thread,
                                  uint64_t address)
{
    if (frames->of != thread) {
        frames->n =
            mt_backtrace(resolver, source, thread, frames->calls, MT_MAX_CALLS);
        frames->of = thread;
    }
    for (size_t i = 0; i < frames->n; i++) {
        const struct mt_call *call = &frames->calls[i];
        uint64_t start = i == 0 ? call->sp - RED_ZONE : call->sp;
        if (address >= start && address < call->end)
            return call;
    }
    return NULL;
}
