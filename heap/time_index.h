/* SPDX-License-Identifier: BSD-2-Clause
 *
 * time_index.h - the epochs: coarse times with an index, which tags hold.  An
 * epoch is opened when the last one is older than the grain.  AS-safe.
 */
#ifndef MT_TIME_INDEX_H
#define MT_TIME_INDEX_H

#include "heap/attributes.h"
#include "heap/os.h"
#include "heap/trace_region.h"

extern MT_HIDDEN uint64_t mt_epoch_next_ns; /* when the next may open */
/* Called when an epoch was opened, not before that time; NULL: nobody is. */
typedef void mt_epoch_hook(uint64_t now);
extern mt_epoch_hook *mt_epoch_listener;
extern uint64_t mt_epoch_listen_ns;
/* The next tick opens an epoch, and the listener is called. */
void mt_epoch_hasten(void);
MT_REALIGN MT_COLD void mt_epoch_open(uint64_t now);
static inline uint32_t mt_epoch_at(uint64_t now)
{
    if (MT_UNLIKELY(now >= mt_load_folded(&mt_epoch_next_ns)))
        mt_epoch_open(now);
    return mt_load_relaxed(&memtrace_root->epoch);
}
static inline uint32_t mt_epoch_tick(void)
{
    return mt_epoch_at(mt_os_monotonic_ns());
}
uint32_t mt_epoch_mark(const char *label);
void mt_epoch_fork_child(void);

#endif
