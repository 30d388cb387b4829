/* SPDX-License-Identifier: BSD-2-Clause
 *
 * whatis_frames.h - which function's frame an address of a stack lies in.
 *
 * Return addresses are told from stale ones by the calls before them: a call
 * must lead to the function that runs below.  So the frames are those of the
 * thread's own code as it was compiled, but for calls that cannot be checked
 * (by pointer, or through a PLT), which are believed.
 */
#ifndef MT_WHATIS_FRAMES_H
#define MT_WHATIS_FRAMES_H

#include "coreanalyze/snapshot/model.h"
#include "coreanalyze/names/resolve.h"
#include "coreanalyze/names/variables.h"

/* A pc in the function of whose frame `address` is a part, on the stack of a
 * thread of the source; 0 if that cannot be told. */
uint64_t mt_frame_of(const struct mt_model *model,
                     struct mt_variables *variables,
                     struct mt_resolver *resolver,
                     const struct mt_thread *thread, uint64_t address);

#endif
