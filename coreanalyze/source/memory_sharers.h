/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_sharers.h - processes that share the memory of another: children by
 * clone with CLONE_VM but not CLONE_THREAD, and by vfork.
 */
#ifndef MT_MEMORY_SHARERS_H
#define MT_MEMORY_SHARERS_H

#include <stddef.h>
#include <sys/types.h>

/* Finds the processes that share the memory of a process, of which `tid` is a
 * thread that lives, as far as they are its parents or children, or theirs.
 * Keeps at most `most` of them; returns how many there are. */
size_t mt_memory_sharers(pid_t pid, pid_t tid, pid_t *sharers, size_t most);

#endif
