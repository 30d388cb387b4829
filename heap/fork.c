/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fork: all locks, in their order, before; the child's own trace after.
 *
 * THE C LIBRARY'S LOCKS.  glibc's fork() runs these handlers, then takes the
 * lock of its list of open files, then copies the process.  A thread in
 * fflush(NULL) holds that list and waits for a file; one in getline() holds
 * the file and allocates.  If the heap's locks were taken first, the three
 * would wait for each other.  So the list's lock, which its holder may take
 * again, comes before ours, as it comes before those of glibc's own malloc.
 * The lock of its configuration of name services, which fork() takes too, is
 * held by nobody who allocates.
 *
 * A process with one thread takes no lock: fork() may be called in a signal
 * handler that interrupted the one who holds it.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/exit/at_exit.h"
#include "heap/exit/save_at.h"
#include "heap/map_table.h"
#include "heap/timeline.h"
#include "heap/trace_region.h"

extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));
extern char __libc_single_threaded __attribute__((weak)); /* glibc 2.32 */

static bool fork_locked; /* written and read with the locks, or one thread */

static bool has_one_thread(void)
{
    return &__libc_single_threaded && __libc_single_threaded;
}

static void fork_prepare(void)
{
    if (has_one_thread()) {
        if (fork_locked)
            fork_locked = false;
        if (mt_box_on)
            mt_box_fork_prepare(false);
        return;
    }
    if (_IO_list_lock && _IO_list_unlock && _IO_list_resetlock)
        _IO_list_lock();
    if (mt_box_on)
        mt_box_enter();
    mt_heaps_fork_prepare();
    mt_pages_fork_prepare();
    mt_side_fork_prepare();
    mt_records_fork_prepare();
    mt_map_fork(MT_MAP_FORK_PREPARE);
    fork_locked = true;
    mt_box_fork_prepare(true);
}

static void fork_parent(void)
{
    if (mt_box_on)
        mt_box_fork_parent(fork_locked);
    if (!fork_locked)
        return;
    mt_map_fork(MT_MAP_FORK_PARENT);
    mt_records_fork_parent();
    mt_side_fork_parent();
    mt_pages_fork_parent();
    mt_heaps_fork_parent();
    if (mt_box_on)
        mt_box_leave();
    if (_IO_list_lock && _IO_list_unlock && _IO_list_resetlock)
        _IO_list_unlock();
}

static void fork_child(void)
{
    if (mt_box_on) {
        mt_box_gate_reset();
        mt_box_fork_child(); /* there is no region before */
    }
    mt_region_fork_child();
    mt_side_fork_child();
    if (mt_map_is_busy())
        mt_map_fork(MT_MAP_FORK_CHILD);
    mt_records_fork_child();
    mt_pages_fork_child();
    mt_epoch_fork_child();
    mt_timeline_fork_child();
    mt_heaps_fork_child();
    mt_threads_fork_child(mt_tls);
    if (fork_locked && _IO_list_lock && _IO_list_unlock && _IO_list_resetlock)
        _IO_list_resetlock();
    if (mt_box_on)
        mt_box_publish();
    mt_exit_begin();
    mt_save_at_begin();
    if (fork_locked)
        mt_map_fork(MT_MAP_FORK_CHILD_END);
}

/* The function that pthread_atfork() calls. pthread_atfork() itself would be
 * linked last, and bring the end of the library's code into memory
 * (alloc.mk). */
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void),
                             void *);
extern void *__dso_handle __attribute__((visibility("hidden")));

/* At start-up, before any other library can register: handlers run last before
 * the fork and first after it.  glibc keeps the first 48 in static memory. */
void mt_fork_init(void)
{
    __register_atfork(fork_prepare, fork_parent, fork_child, &__dso_handle);
}
