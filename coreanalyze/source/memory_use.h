/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_use.h - how near a process or a cgroup is to its limit of memory.
 */
#ifndef MT_MEMORY_USE_H
#define MT_MEMORY_USE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The memory cgroup that is nearest to its limit: the one that was asked for,
 * or one above it.  Files that the kernel can drop are not in `usage`. */
struct mt_memory_use {
    uint64_t limit, usage; /* bytes; limit 0: there is none */
    char folder[4096];     /* of that cgroup */
    bool v2;
};

/* The cgroup of a process; false if it has none that can be read. */
bool mt_memory_use_of_process(pid_t pid, struct mt_memory_use *use);
/* The cgroup of a folder below /sys/fs/cgroup. */
bool mt_memory_use_of_folder(const char *folder, struct mt_memory_use *use);

#endif
