/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_key.c - the key of thread-specific data that says when a thread ends.
 *
 * Before glibc 2.34 the functions are in libpthread, which a program need not
 * have: to load it into every program would cost each one time.  A program
 * without it has one thread, whose end is the process's own.  If a library
 * brings libpthread in later, its first new thread finds it.
 */
#include "heap/alloc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#pragma weak pthread_key_create
#pragma weak pthread_setspecific

static pthread_key_t thread_key;
static void (*thread_end)(void *);
static int (*set_value)(pthread_key_t, const void *); /* NULL: no key */

static void make_key(int (*create)(pthread_key_t *, void (*)(void *)),
                     int (*set)(pthread_key_t, const void *))
{
    if (create && set && create(&thread_key, thread_end) == 0)
        mt_store_release(&set_value, set);
}

void mt_thread_key_init(void (*on_end)(void *))
{
    thread_end = on_end;
    make_key(pthread_key_create, pthread_setspecific);
}

static MT_COLD void find_libpthread(void)
{
    static uint32_t looked;
    if (mt_os_tid() == (uint32_t)getpid() ||
        __atomic_exchange_n(&looked, 1, __ATOMIC_RELAXED))
        return;
    int (*create)(pthread_key_t *, void (*)(void *));
    int (*set)(pthread_key_t, const void *);
    *(void **)&create = dlsym(RTLD_DEFAULT, "pthread_key_create");
    *(void **)&set = dlsym(RTLD_DEFAULT, "pthread_setspecific");
    make_key(create, set);
}

bool mt_thread_key_set(void *value)
{
    if (MT_UNLIKELY(!mt_load_acquire(&set_value)))
        find_libpthread();
    int (*set)(pthread_key_t, const void *) = mt_load_acquire(&set_value);
    return set && set(thread_key, value) == 0;
}
