/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_sharers.c - asks the kernel (kcmp) of parents and children whether
 * they share memory.
 *
 * No file of /proc names the processes of a memory.  A process that shares it
 * is a child of another one that does.
 */
#include "coreanalyze/source/memory_sharers.h"
#include "coreanalyze/source/proc_task.h"
#include "coreanalyze/source/process_tree.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_PARENTS 64u

struct sharers {
    pid_t pid, tid;
    pid_t *found;
    size_t n, most, all;
};

static bool sharers_same_memory(pid_t a, pid_t b)
{
    return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}

static void sharers_take(void *context, pid_t child)
{
    struct sharers *s = context;

    if (child == s->pid || !sharers_same_memory(child, s->tid))
        return;
    for (size_t i = 0; i < s->n; i++)
        if (s->found[i] == child)
            return;
    s->all++;
    if (s->n < s->most)
        s->found[s->n++] = child;
}

size_t mt_memory_sharers(pid_t pid, pid_t tid, pid_t *sharers, size_t most)
{
    struct sharers s = {.pid = pid, .tid = tid, .found = sharers, .most = most};
    pid_t above = pid;

    for (unsigned i = 0; i < MOST_PARENTS; i++) {
        long parent = mt_proc_status(above, "PPid:");
        if (parent <= 0 || !sharers_same_memory((pid_t)parent, tid))
            break;
        above = (pid_t)parent;
        sharers_take(&s, above);
    }
    mt_process_children(pid, sharers_take, &s);
    for (size_t i = 0; i < s.n; i++)
        mt_process_children(s.found[i], sharers_take, &s);
    return s.all;
}
