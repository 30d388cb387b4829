/* SPDX-License-Identifier: BSD-2-Clause
 *
 * safety.h - optional checks of what a program does with its memory.
 *
 * A heap with any of these modes serves all threads from one cache, under
 * its cache_lock, as named heaps do: no thread has bins of its own, and no
 * span an owner_key, so that the fast paths find nothing to take and need not
 * ask.  Without modes nothing here runs.
 *
 * FILL_FREE.  Every free block of a small span holds MT_FILL_FREED in every
 * byte: a new span is filled, a block is when it is freed, and before it is
 * handed out again (or leaves the quarantine) it is compared.  Large blocks
 * are not filled.
 *
 * QUARANTINE.  A freed block has its remote bit set, and its local bit not: so
 * it is free to every reader, and no allocation finds it.  It waits in a ring
 * until as many bytes were freed after it as the quarantine holds.  A large
 * block is inaccessible during that time, and its memory goes to the kernel.
 *
 * GUARD.  A large block ends where an inaccessible page begins; see
 * mt_span_new_large().
 */
#ifndef MT_SAFETY_H
#define MT_SAFETY_H

#include "heap/fill.h"

/* Gives a new heap its modes, those of MEMTRACE added; false with ENOMEM. */
bool mt_safety_setup(struct memtrace_heap *, uint32_t modes,
                     uint64_t quarantine);
/* A destroyed heap has none. */
void mt_safety_forget(struct memtrace_heap *);

/* Frees a live block of a heap that has modes; its cache_lock is held. */
void mt_safe_free(struct memtrace_heap *, mt_span *, uint32_t index,
                  struct mt_finding *);
/* Lets the oldest blocks go until `keep` bytes are left; no lock is held.
 * Returns whether any went. */
bool mt_quarantine_shrink(struct memtrace_heap *, uint64_t keep);

#endif
