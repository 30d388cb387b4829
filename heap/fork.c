/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fork: all locks, in their order, before; the child's own trace after.
 */
#include "heap/alloc.h"
#include "heap/exit/at_exit.h"
#include "heap/trace_region.h"

static void fork_prepare(void)
{
    mt_heaps_fork_prepare();
    mt_pages_fork_prepare();
    mt_side_fork_prepare();
    mt_records_fork_prepare();
}

static void fork_parent(void)
{
    mt_records_fork_parent();
    mt_side_fork_parent();
    mt_pages_fork_parent();
    mt_heaps_fork_parent();
}

static void fork_child(void)
{
    mt_region_fork_child();
    mt_side_fork_child();
    mt_records_fork_child();
    mt_pages_fork_child();
    mt_epoch_fork_child();
    mt_heaps_fork_child();
    mt_threads_fork_child(mt_tls);
    mt_exit_begin();
}

/* What pthread_atfork() calls. That one would be linked behind all else, and
 * bring the end of the library's code into memory (alloc.mk). */
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void),
                             void *);
extern void *__dso_handle __attribute__((visibility("hidden")));

/* At start-up, before any other library can register: handlers run last before
 * the fork and first after it.  glibc keeps the first 48 in static memory. */
void mt_fork_init(void)
{
    __register_atfork(fork_prepare, fork_parent, fork_child, &__dso_handle);
}
