/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fork: all locks, in their order, before; the child's own trace after.
 */
#include "alloc.h"
#include "region.h"

#include <pthread.h>

static void prepare(void)
{
    if (!mt_started())
        return;
    mt_heaps_fork_prepare();
    mt_pages_fork_prepare();
    mt_side_fork_prepare();
}

static void parent(void)
{
    if (!mt_started())
        return;
    mt_side_fork_parent();
    mt_pages_fork_parent();
    mt_heaps_fork_parent();
}

static void child(void)
{
    if (!mt_started())
        return;
    mt_region_fork_child();
    mt_side_fork_child();
    mt_pages_fork_child();
    mt_epoch_fork_child();
    mt_heaps_fork_child();
    mt_capture_fork_child();
    mt_threads_fork_child(mt_tls);
}

/* Before main and before other libraries' constructors (with priority 101):
 * handlers run last before the fork and first after it. */
__attribute__((constructor(101))) static void mt_fork_init(void)
{
    pthread_atfork(prepare, parent, child);
}
