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

/* A limit that a process has of its own (setrlimit). */
struct mt_process_limit {
    uint64_t bytes;   /* 0: there is none */
    const char *name; /* RLIMIT_AS or RLIMIT_DATA */
};
/* The lower one of them. */
void mt_process_limit(pid_t pid, struct mt_process_limit *limit);

/* The cgroup of a process; false if it has none that can be read. */
bool mt_memory_use_of_process(pid_t pid, struct mt_memory_use *use);
/* The cgroup of a folder below /sys/fs/cgroup. */
bool mt_memory_use_of_folder(const char *folder, struct mt_memory_use *use);

/* How many processes the OOM killer has ended since the machine's start, in all
 * cgroups; 0 if the kernel does not say it. */
uint64_t mt_oom_kills(void);

#endif
