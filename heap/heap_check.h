/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heap_check.h - memtrace_heap_check() every so often, in debug builds.
 */
#ifndef MT_HEAP_CHECK_H
#define MT_HEAP_CHECK_H

#include "heap/debug.h"

#include <stdint.h>

#if defined(MT_DEBUG) && MT_DEBUG > 0
/* Counts an allocation; at some of them, checks all heaps, and aborts if a
 * check fails.  No lock of the heap is held. */
void mt_heap_check_sometimes(void);
/* For tests: 1 while a heap is damaged on purpose. */
extern uint32_t mt_heap_checks_off;
#else
static inline void mt_heap_check_sometimes(void)
{
}
#endif

#endif
