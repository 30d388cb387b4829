/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stack_is.h - the frames of a stack in the table, compared with others.
 */
#ifndef MT_TESTS_STACK_IS_H
#define MT_TESTS_STACK_IS_H

#include "heap/capture/stacks.h"

#include <string.h>

static inline bool stack_is(uint32_t id, const uint64_t *frames, unsigned n)
{
    uint64_t there[MT_DEPTH_MAX];
    return mt_stacks_frames(id, there) == n &&
           memcmp(there, frames, n * sizeof *frames) == 0;
}

#endif
