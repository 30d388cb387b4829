/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sandbox.h - a thread that gives up most system calls (seccomp) and allocates
 * after that.
 */
#ifndef MT_SANDBOX_H
#define MT_SANDBOX_H

#include "heap/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mt_sandbox_level {
    MT_SANDBOX_NONE,
    MT_SANDBOX_FILTER, /* the calls that glibc's malloc makes may be allowed */
    MT_SANDBOX_STRICT  /* there are read(), write() and _exit() */
};

/* Of the calling thread.  [low, high) is its stack, as far as it can be read or
 * will be. */
struct mt_sandbox {
    uint64_t low, high;
    uint32_t level; /* enum mt_sandbox_level */
};
extern MT_TLS struct mt_sandbox mt_sandbox;
/* Has any thread of the process a filter?  Threads that it makes have it, too,
 * and know nothing of it. */
extern uint32_t mt_sandbox_any;
/* Is any in strict mode?  It can wake nobody. */
extern uint32_t mt_sandbox_strict;

/* Readable segments of what was loaded when a thread was first sandboxed.  One
 * that is unloaded is not asked for any more. */
#define MT_SANDBOX_SEGMENTS 512
struct mt_sandbox_segment {
    uint64_t start, end;
};
extern struct mt_sandbox_segment mt_sandbox_segments[MT_SANDBOX_SEGMENTS];
extern uint32_t mt_sandbox_n_segments;

/* sandbox_enter.c: the calling thread is about to enter a sandbox; it still can
 * do all.  The trace and the main heap get memory for later. */
void mt_sandbox_prepare(enum mt_sandbox_level level);
/* It did not come to that. */
void mt_sandbox_cancel(const struct mt_sandbox *before);
/* mt_os_readable() without a system call: false where it is not known. */
bool mt_sandbox_readable(uint64_t address, uint64_t bytes);
/* gettid() without a system call; 0: that cannot be had. */
uint32_t mt_sandbox_tid(void);

#endif
