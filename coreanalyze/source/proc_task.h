/* SPDX-License-Identifier: BSD-2-Clause
 *
 * proc_task.h - /proc of a process, whichever of its threads still lives.
 *
 * When a process's first thread has ended, /proc/PID has neither memory nor
 * mappings, but /proc/TID of any other thread has.
 */
#ifndef MT_PROC_TASK_H
#define MT_PROC_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of a table that the kernel writes at once; the C library asks for a
 * quarter of them. */
#define MT_PROC_BUFFER 4096

/* A thread of the process that has not ended: the first one if that lives.
 * 0 if there is none. */
pid_t mt_proc_living(pid_t pid);
/* Opens /proc/TID/NAME for reading; -1 with errno. */
int mt_proc_open(pid_t tid, const char *name);
/* Reads a file of /proc whole; returns its bytes, which NUL follows, or NULL.
 * The caller frees them.  NO_MEMORY, which may be NULL, is set if memory for
 * them was short. */
char *mt_proc_text(pid_t tid, const char *name, bool *no_memory);
/* A number of /proc/TID/status, for example "Tgid:"; -1 if it has none. */
long mt_proc_status(pid_t tid, const char *field);
/* The state letter of /proc/TID/stat; 0 if the thread is gone. */
char mt_proc_state(pid_t tid);
/* The name of a process for a message; "?" if it is not known. */
void mt_proc_name(pid_t tid, char name[16]);

#endif
