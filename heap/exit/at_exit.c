/* SPDX-License-Identifier: BSD-2-Clause
 *
 * at_exit.c - save= and core=: whether the process leaves a file at its end.
 * Every start and every end runs this; exit_file.c writes.
 */
#include "heap/seldom.h"
#include "heap/exit/at_exit.h"
#include "heap/alloc.h"
#include "heap/exit/save_at.h"

static struct {
    bool mini, core; /* files that are wanted */
    bool ends_core;  /* the one that the end writes */
    uint32_t done;   /* it is being written, or was */
} at_exit;

/* Of save_at.c, on a page that every start touches. */
bool mt_save_at_is_set, mt_save_at_wanted;

void mt_exit_want(bool core)
{
    at_exit.mini |= !core;
    at_exit.core |= core;
    at_exit.ends_core = core;
}

bool mt_exit_is_wanted(bool core)
{
    return core ? at_exit.core : at_exit.mini;
}

void mt_exit_begin(void)
{
    if (at_exit.done) /* of the parent, whose page it may be */
        at_exit.done = 0;
    if (at_exit.mini || at_exit.core)
        mt_exit_file_begin(at_exit.ends_core);
}

void mt_exit_write(uint64_t sp, uint64_t pc)
{
    /* A child of vfork is not the process whose trace this is. */
    if (!(at_exit.mini || at_exit.core) || !mt_started() ||
        memtrace_root->pid != mt_os_pid() ||
        __atomic_exchange_n(&at_exit.done, 1, __ATOMIC_ACQ_REL))
        return;
    mt_exit_file_write(at_exit.ends_core, sp, pc, NULL);
}

bool mt_exit_write_early(bool core, uint64_t sp, uint64_t pc,
                         const struct mt_exit_why *why)
{
    return !mt_load_relaxed(&at_exit.done) &&
           mt_exit_file_write(core, sp, pc, why);
}
