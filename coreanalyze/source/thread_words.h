/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_words.h - words that a stopped thread has in no memory, for the
 * process that traces it.
 *
 * A thread that the caller does not trace has none.  The functions
 * with `most` take that many at most, return how many, and need no lock or
 * memory.
 */
#ifndef MT_THREAD_WORDS_H
#define MT_THREAD_WORDS_H

#include "coreanalyze/source/source.h"

#define MT_MAX_THREAD_WORDS (1u << 18) /* of all threads of a process */

/* Of its vector registers, unless it is in a system call. */
size_t mt_thread_vectors(pid_t tid, const uint64_t registers[MT_N_REGISTERS],
                         struct mt_kernel_word *words, size_t most);
/* Values of the signals that are queued for the thread, or for its process. */
size_t mt_thread_signals(pid_t tid, bool shared, struct mt_kernel_word *words,
                         size_t most);
/* The value of the signal that the thread has stopped for: it is in no queue
 * any longer. */
size_t mt_thread_signal_now(pid_t tid, struct mt_kernel_word *words,
                            size_t most);
/* All of these, of the threads that have registers, and the queue of their
 * process, in an array that the caller frees (NULL: there are none).  False
 * when out of memory. */
bool mt_threads_words(const struct mt_thread *threads, size_t n_threads,
                      struct mt_kernel_word **words, size_t *n);

#endif
