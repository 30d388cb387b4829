/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_key.c - the key of thread-specific data that says when a thread ends.
 * Programs count on the first keys being theirs, so ours is the last of those
 * whose values lie in the thread itself; glibc allocates for others'. When the
 * program has all others it is given this one, too.
 *
 * Before glibc 2.34 the functions are in libpthread, which a program need not
 * have: to load it into every program would cost each one time.  A program
 * without it has one thread, whose end is the process's own.  If a library
 * brings libpthread in later, its first new thread finds it.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/sandbox.h"

#include <dlfcn.h>
#include <pthread.h>

/* The function that glibc's own parts call: the preload library has another. */
extern int __pthread_key_create(pthread_key_t *, void (*)(void *));
#pragma weak __pthread_key_create
#pragma weak pthread_key_delete
#pragma weak pthread_setspecific

#define KEYS_IN_THREAD 32u

static pthread_key_t thread_key;
static void (*thread_end)(void *);
static int (*set_value)(pthread_key_t, const void *); /* NULL: no key */
static int (*delete_key)(pthread_key_t);
static bool given; /* to the program */

static void make_key(int (*create)(pthread_key_t *, void (*)(void *)),
                     int (*delete)(pthread_key_t),
                     int (*set)(pthread_key_t, const void *))
{
    pthread_key_t keys[KEYS_IN_THREAD + 1];
    unsigned n = 0, best = 0;
    if (!create || !delete || !set)
        return;
    while (n <= KEYS_IN_THREAD && create(&keys[n], thread_end) == 0) {
        if (keys[n++] >= KEYS_IN_THREAD)
            break;
        best = n - 1;
    }
    for (unsigned i = 0; i < n; i++)
        if (i != best)
            delete (keys[i]);
    if (n == 0)
        return;
    thread_key = keys[best];
    delete_key = delete;
    mt_store_release(&set_value, set);
}

void mt_thread_key_init(void (*on_end)(void *))
{
    thread_end = on_end;
}

/* Made by the first thread that is not the process's first, whose end is that
 * of most processes. */
static MT_COLD void find_key(void)
{
    static uint32_t looked;
    int (*create)(pthread_key_t *, void (*)(void *)) = __pthread_key_create;
    int (*delete)(pthread_key_t) = pthread_key_delete;
    int (*set)(pthread_key_t, const void *) = pthread_setspecific;
    uint32_t pid = mt_load_relaxed(&mt_sandbox_any)
                       ? mt_load_relaxed(&memtrace_root->pid)
                       : mt_os_pid();
    if (given || mt_os_tid() == pid ||
        __atomic_exchange_n(&looked, 1, __ATOMIC_RELAXED))
        return;
    if (!create || !delete || !set) {
        *(void **)&create = dlsym(RTLD_DEFAULT, "__pthread_key_create");
        *(void **)&delete = dlsym(RTLD_DEFAULT, "pthread_key_delete");
        *(void **)&set = dlsym(RTLD_DEFAULT, "pthread_setspecific");
    }
    make_key(create, delete, set);
}

bool mt_thread_key_set(void *value)
{
    if (MT_UNLIKELY(!mt_load_acquire(&set_value)))
        find_key();
    int (*set)(pthread_key_t, const void *) = mt_load_acquire(&set_value);
    return set && set(thread_key, value) == 0;
}

bool mt_thread_has_key(void)
{
    return mt_load_acquire(&set_value) != NULL;
}

bool mt_thread_key_give(void)
{
    mt_store_release(&given, true);
    return __atomic_exchange_n(&set_value, NULL, __ATOMIC_ACQ_REL) &&
           delete_key(thread_key) == 0;
}
