/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process_tree.h - processes by their numbers: since when, and whose children.
 */
#ifndef MT_PROCESS_TREE_H
#define MT_PROCESS_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The time of its start, which tells a process from a later one of its number;
 * 0 if it has ended, also if its parent has not waited for it. */
uint64_t mt_process_start(pid_t pid);

/* Calls `visit` for each child of a process that lives. */
void mt_process_children(pid_t pid, void (*visit)(void *context, pid_t child),
                         void *context);

#endif
