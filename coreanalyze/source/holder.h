/* SPDX-License-Identifier: BSD-2-Clause
 *
 * holder.h - a process of ours that holds a target: it stops the target's
 * threads, and lets them go.
 *
 * The kernel lets a target go when its tracer ends.  So the tracer is a
 * process that does nothing else: this one may be suspended, hang, or be
 * killed, and the holder sees that and lets the target go.
 */
#ifndef MT_HOLDER_H
#define MT_HOLDER_H

#include "coreanalyze/source/source.h"

enum mt_held_state { MT_HELD_NOT, MT_HELD_STOPPED, MT_HELD_ENDED };

/* Other processes that share the target's memory (clone with CLONE_VM): their
 * threads are held as its own are. */
#define MT_MOST_SHARERS 64u

struct mt_held_thread {
    pid_t tid;
    uint32_t process; /* 0: the target, n: the nth sharer */
    enum mt_held_state state;
    int signal; /* to hand back */
    bool has_registers;
    uint64_t registers[MT_N_REGISTERS];
};

struct mt_holder {
    struct mt_hold *shared; /* with the holder; NULL: nothing is held */
    size_t shared_bytes;
    pid_t process;
    int go, ready; /* ends of pipes */
};

struct mt_hold_options {
    uint64_t stop_ns; /* to wait for threads to stop */
    uint64_t idle_ns; /* the target resumes after this time without a beat */
    const pid_t *sharers;
    size_t n_sharers;                   /* at most MT_MOST_SHARERS */
    const struct mt_progress *progress; /* or NULL */
};

/* Stops all threads of the process that `tid` is a thread of, but those that
 * do not stop in time.  Waits for other memtrace commands that hold it. */
bool mt_hold_begin(struct mt_holder *holder, pid_t tid,
                   const struct mt_hold_options *options,
                   struct mt_error *error);
/* Lets go what is held.  False if that had been done before, since this
 * process gave no sign of life. */
bool mt_hold_end(struct mt_holder *holder);
/* A sign of life.  May be called by many threads at once. */
void mt_hold_beat(const struct mt_holder *holder);
/* The threads that are known; valid until mt_hold_end. */
const struct mt_held_thread *mt_held_threads(const struct mt_holder *holder,
                                             size_t *n);
/* Sharers that could not be held; valid until mt_hold_end. */
uint32_t mt_held_not(const struct mt_holder *holder);
/* Words that the threads had in no memory: of vector registers, and values of
 * queued signals; valid until mt_hold_end. */
const struct mt_kernel_word *mt_held_words(const struct mt_holder *holder,
                                           size_t *n);

/* --- holder_process.c: what the two processes share --- */

enum mt_hold_phase {
    MT_HOLD_STARTS,
    MT_HOLD_HOLDS,
    MT_HOLD_REFUSED,
    MT_HOLD_OVER
};

struct mt_hold {
    pid_t target, parent;
    uint64_t stop_ns, idle_ns;
    uint64_t beat;  /* counted up by the parent */
    uint32_t phase; /* enum mt_hold_phase, set by the holder */
    int error;      /* errno, if refused */
    pid_t refused;  /* the thread that it was refused for */
    uint32_t n_sharers, sharers_refused;
    pid_t sharers[MT_MOST_SHARERS];
    struct mt_kernel_word *words;
    uint32_t n_words, words_capacity;
    uint32_t n, capacity;
    struct mt_held_thread threads[];
};

#define MT_HOLDER_NAME "memtrace-hold" /* in /proc/PID/comm */

/* The holder's whole life; does not return. */
_Noreturn void mt_hold_run(struct mt_hold *hold, int go, int ready);

#endif
