/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_limits.h - the limits of memory that this process lives under.
 */
#ifndef MT_MEMORY_LIMITS_H
#define MT_MEMORY_LIMITS_H

#include "heap/corenote.h"

#include <stdbool.h>
#include <stdint.h>

/* In the note of a file: what the number that was reached is of. */
struct mt_limit_now {
    enum mt_limit_kind kind;
    uint64_t limit; /* 0: there is none now */
    uint64_t usage;
};

/* Finds the cgroups that have one.  As the others, not for two threads at
 * once. */
void mt_limits_find(void);
/* The same by the texts of /proc/self/mountinfo and /proc/self/cgroup. */
void mt_limits_find_in(const char *mounts, const char *own);
/* The i-th; false if there are no more. */
bool mt_limits_get(unsigned i, struct mt_limit_now *now);
/* Bytes of this process that are resident. */
uint64_t mt_limits_resident(void);

#endif
