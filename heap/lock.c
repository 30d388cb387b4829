/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A futex lock of one word.  pthread_mutex_t would do, but this one can be
 * reset in the child of a fork without undefined behaviour.
 */
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "heap/lock.h"
#include "heap/raw_print.h"
#include "heap/sandbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#define OWN_WAITS 1000 /* of a moment each */

#define WAITED UINT32_C(1)

/* By its control block, which lies at multiples of 64. Never 0, which is a free
 * lock, nor odd. */
static uint32_t lock_self(void)
{
    uint64_t pointer;
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return (uint32_t)(pointer >> 6) << 2 | 2;
}

/* Not for ever: who let go of the lock may have left the heap by longjmp()
 * before it woke anybody. */
static void futex_wait(uint32_t *word, uint32_t seen, bool briefly)
{
    static const struct timespec moment = {.tv_nsec = 1000000},
                                 second = {.tv_sec = 1};
    if (MT_UNLIKELY(mt_sandbox.level == MT_SANDBOX_STRICT))
        __builtin_ia32_pause();
    else
        mt_kernel(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen,
                  briefly || mt_load_relaxed(&mt_sandbox_strict) ? &moment
                                                                 : &second);
}

/* The lock is taken, and known to be this thread's, in one step: a handler of a
 * signal comes before it or after it. */
static bool lock_take(struct mt_lock *lock, uint32_t value)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(&lock->word, &expected, value, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

bool mt_lock_try(struct mt_lock *lock)
{
    return lock_take(lock, lock_self());
}

static _Noreturn MT_COLD void lock_is_own(void)
{
    char text[200];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: the heap waits for its own thread: a handler of "
                   "a signal allocates, or was left by longjmp(), where it "
                   "interrupted malloc() or free()\n");
    mt_print_flush(&out);
    abort();
}

static MT_COLD void acquire_slow(struct mt_lock *lock)
{
    for (int spin = 0; spin < 100; spin++) {
        if (mt_load_relaxed(&lock->word) == 0 && mt_lock_try(lock))
            return;
        __builtin_ia32_pause();
    }
    int saved = errno;
    unsigned waits = 0;
    /* Others may wait, too: who has waited lets the next one know. */
    while (!lock_take(lock, lock_self() | WAITED)) {
        uint32_t seen = mt_load_relaxed(&lock->word);
        if (seen == 0 ||
            (!(seen & WAITED) && !__atomic_compare_exchange_n(
                                     &lock->word, &seen, seen | WAITED, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED)))
            continue;
        /* Tasks of clone(2) may share a control block: the other one lets go
         * of the lock soon. */
        bool own = (seen & ~WAITED) == lock_self();
        if (own && ++waits > OWN_WAITS)
            lock_is_own();
        futex_wait(&lock->word, seen | WAITED, own);
    }
    errno = saved;
}

void mt_lock_acquire(struct mt_lock *lock)
{
    if (MT_UNLIKELY(!mt_lock_try(lock)))
        acquire_slow(lock);
}

void mt_lock_release(struct mt_lock *lock)
{
    if (MT_UNLIKELY(__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) &
                    WAITED) &&
        mt_sandbox.level != MT_SANDBOX_STRICT) {
        int saved = errno;
        mt_kernel(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1);
        errno = saved;
    }
}

void mt_lock_reset(struct mt_lock *lock)
{
    if (mt_load_relaxed(&lock->word)) /* or its page stays the parent's */
        mt_store_release(&lock->word, 0);
}
