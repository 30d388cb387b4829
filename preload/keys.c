/* SPDX-License-Identifier: BSD-2-Clause
 *
 * keys.c - the number of keys of threads is as it is without the heap, which
 * has one: when the program has all others, it is given that one, too.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"

#include <errno.h>
#include <pthread.h>
#include <threads.h>

/* Functions that glibc's own parts call; before glibc 2.34 only programs with
 * threads have it, and call these. */
extern int __pthread_key_create(pthread_key_t *, void (*)(void *))
    __attribute__((weak));

MT_EXPORT int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
    int error = __pthread_key_create(key, destroy);
    if (error == EAGAIN && mt_thread_key_give())
        error = __pthread_key_create(key, destroy);
    return error;
}

MT_EXPORT int tss_create(tss_t *key, tss_dtor_t destroy)
{
    return pthread_key_create(key, destroy) == 0 ? thrd_success : thrd_error;
}
