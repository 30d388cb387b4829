/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sandbox.c - what a thread knows that has entered a sandbox; the theory is in
 * sandbox_enter.c.
 */
#include "heap/seldom.h"
#include "heap/sandbox.h"
#include "heap/attributes.h"

#include <pthread.h>

MT_TLS struct mt_sandbox mt_sandbox;
uint32_t mt_sandbox_any, mt_sandbox_strict;

MT_SELDOM_BSS struct mt_sandbox_segment
    mt_sandbox_segments[MT_SANDBOX_SEGMENTS];
uint32_t mt_sandbox_n_segments;

bool mt_sandbox_readable(uint64_t address, uint64_t bytes)
{
    const struct mt_sandbox *s = &mt_sandbox;
    uint64_t end = address + bytes;
    if (address >= s->low && end <= s->high)
        return true;
    for (uint32_t i = 0; i < mt_load_acquire(&mt_sandbox_n_segments); i++)
        if (address >= mt_sandbox_segments[i].start &&
            end <= mt_sandbox_segments[i].end)
            return true;
    return false;
}

uint32_t mt_sandbox_tid(void)
{
    pthread_mutex_t mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
    uint32_t tid = 0;
    if (pthread_mutex_lock(&mutex) == 0) {
        tid = (uint32_t)mutex.__data.__owner;
        pthread_mutex_unlock(&mutex);
    }
    return tid;
}
