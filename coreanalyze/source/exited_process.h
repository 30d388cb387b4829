/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exited_process.h - a process at its end, as a source.
 */
#ifndef MT_EXITED_PROCESS_H
#define MT_EXITED_PROCESS_H

#include "coreanalyze/source/source.h"

/* A signal as it was delivered to a thread. */
struct mt_exit_signal {
    int signal, code; /* 0: none was; code as in siginfo_t */
    uint32_t tid;
    uint64_t address; /* si_addr */
};

/* A process at its end: all its threads stand still in the kernel. */
struct mt_exited {
    pid_t pid;
    bool program; /* it is the one that was started */
    bool oom;     /* the OOM killer has ended a process, perhaps this one */
    pid_t reader; /* thread that its memory is read by */
    int status;   /* as waitpid(2) will give it */
    struct mt_exit_signal signal; /* the last one that `status` is of */
    struct mt_thread *threads;    /* with the registers that they ended with */
    size_t n_threads;
    struct mt_kernel_word *words; /* that the threads have in no memory */
    size_t n_words;
};

/* The memory of such a process, with its threads as they ended; NULL with
 * `error` filled. */
struct mt_source *mt_exited_open(const struct mt_exited *ended,
                                 struct mt_error *error);

/* Has the kernel's reaper begun with a process?  After that, a page of
 * anonymous memory that is not there cannot be read.  It takes mappings in the
 * order of their addresses, by the kernel's release up or down. */
bool mt_memory_is_reaped(pid_t pid);
/* Has the kernel taken the memory of such a process?  It does so a moment after
 * its OOM killer ended one that stands still; `error` then says it. */
bool mt_exited_reaped(const struct mt_exited *ended, struct mt_error *error);

#endif
