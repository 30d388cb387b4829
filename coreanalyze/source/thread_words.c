/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_words.c - asks the kernel for the vector registers and the queued
 * signals of threads that the caller has stopped by ptrace.
 */
#include "coreanalyze/source/thread_words.h"
#include "coreanalyze/source/vector_words.h"

#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define SIGNALS_AT_ONCE 32u
#define FEW_WORDS 4u
#define MAX_SIGNALS (1u << 16) /* of one queue */

size_t mt_thread_vectors(pid_t tid, const uint64_t registers[MT_N_REGISTERS],
                         struct mt_kernel_word *words, size_t most)
{
    uint8_t area[MT_XSAVE_MOST];
    struct iovec io = {area, sizeof area};
    size_t n;

    if (!mt_thread_in_user_code(registers) ||
        ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io) != 0 ||
        io.iov_len < MT_XSAVE_XMM_END)
        return 0;
    n = mt_vector_words(area, MT_XSAVE_XMM, MT_XSAVE_XMM_END, (uint32_t)tid,
                        words, most);
    return n + mt_vector_words(area, MT_XSAVE_REST, io.iov_len, (uint32_t)tid,
                               words + n, most - n);
}

/* Signals with a value have a negative code; two of the kernel's own
 * are negative and have none. */
static bool thread_has_value(const siginfo_t *info)
{
    return info->si_code < 0 && info->si_code != SI_SIGIO &&
           info->si_code != SI_TKILL;
}

static struct mt_kernel_word thread_signal_word(const siginfo_t *info,
                                                uint32_t tid)
{
    return (struct mt_kernel_word){
        .value = (uint64_t)(uintptr_t)info->si_value.sival_ptr,
        .kind = MT_KERNEL_SIGNAL,
        .id = tid,
        .watched = (uint32_t)info->si_signo};
}

size_t mt_thread_signals(pid_t tid, bool shared, struct mt_kernel_word *words,
                         size_t most)
{
    siginfo_t infos[SIGNALS_AT_ONCE];
    struct __ptrace_peeksiginfo_args ask = {
        .flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0, .nr = SIGNALS_AT_ONCE};
    size_t n = 0;
    long got;

    while (ask.off < MAX_SIGNALS &&
           (got = ptrace(PTRACE_PEEKSIGINFO, tid, &ask, infos)) > 0) {
        for (long i = 0; i < got && n < most; i++)
            if (thread_has_value(&infos[i]))
                words[n++] =
                    thread_signal_word(&infos[i], shared ? 0 : (uint32_t)tid);
        ask.off += (uint64_t)got;
    }
    return n;
}

size_t mt_thread_signal_now(pid_t tid, struct mt_kernel_word *words,
                            size_t most)
{
    siginfo_t info;

    if (most == 0 || ptrace(PTRACE_GETSIGINFO, tid, 0, &info) != 0 ||
        !thread_has_value(&info))
        return 0;
    words[0] = thread_signal_word(&info, (uint32_t)tid);
    return 1;
}

static size_t threads_fill(const struct mt_thread *threads, size_t n_threads,
                           struct mt_kernel_word *words, size_t most)
{
    bool queue_taken = false;
    size_t n = 0;

    for (size_t i = 0; i < n_threads; i++) {
        const struct mt_thread *t = &threads[i];
        pid_t tid = (pid_t)t->tid;
        if (!t->has_registers)
            continue;
        n += mt_thread_vectors(tid, t->registers, words + n, most - n);
        n += mt_thread_signals(tid, false, words + n, most - n);
        n += mt_thread_signal_now(tid, words + n, most - n);
        if (!queue_taken)
            n += mt_thread_signals(tid, true, words + n, most - n);
        queue_taken = true;
    }
    return n;
}

bool mt_threads_words(const struct mt_thread *threads, size_t n_threads,
                      struct mt_kernel_word **words, size_t *n)
{
    const size_t room = MT_MAX_THREAD_WORDS * sizeof **words;
    struct mt_kernel_word few[FEW_WORDS], *all;

    *words = NULL;
    *n = 0;
    /* One thread in a system call has no words, mostly. */
    if (n_threads == 1 && threads_fill(threads, 1, few, FEW_WORDS) == 0)
        return true;
    all = mmap(NULL, room, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return false;
    *n = threads_fill(threads, n_threads, all, MT_MAX_THREAD_WORDS);
    if (*n > 0)
        *words = malloc(*n * sizeof **words);
    if (*words)
        memcpy(*words, all, *n * sizeof **words);
    munmap(all, room);
    return *n == 0 || *words;
}
