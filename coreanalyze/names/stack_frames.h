/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack_frames.h - which function's frame an address of a stack lies in.
 *
 * The call before a return address shows whether it is stale: the call must
 * lead to the function that runs below.  Calls by pointer or through a PLT
 * cannot be checked and are believed.
 */
#ifndef MT_STACK_FRAMES_H
#define MT_STACK_FRAMES_H

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
