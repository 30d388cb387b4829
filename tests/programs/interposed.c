/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A program, or with -DLIBRARY a library to be preloaded, that has its own
 * mmap(), munmap(), mremap(), mprotect(), madvise(), getpid(), gettid(),
 * clock_gettime(), gettimeofday(), time(), sched_yield(), getcwd(), readlink(),
 * prctl() and syscall().  Each allocates, and its clocks run backwards.  The
 * program allocates in all ways, in threads and in a child; it prints "done"
 * and the number of such calls that came from inside malloc.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static __thread int depth;
static int calls;
static long now = 1000000;

/* What the functions have in common: no memory or time is had of it. */
static long own(long result, int number)
{
    if (depth++ < 3) {
        void *p = malloc(100);
        free(realloc(p, 3000));
        __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    }
    depth--;
    if (number)
        errno = number;
    return result;
}

#define OWN(type, name, parameters, result, number)                            \
    type name parameters;                                                      \
    type name parameters                                                       \
    {                                                                          \
        return (type)own((long)(result), number);                              \
    }

OWN(void *, mmap, (void *a, size_t n, int p, int f, int d, off_t o), -1, ENOSYS)
OWN(void *, mmap64, (void *a, size_t n, int p, int f, int d, off_t o), -1,
    ENOSYS)
OWN(int, munmap, (void *a, size_t n), -1, ENOSYS)
OWN(void *, mremap, (void *a, size_t n, size_t m, int f, ...), -1, ENOSYS)
OWN(int, mprotect, (void *a, size_t n, int p), -1, ENOSYS)
OWN(int, madvise, (void *a, size_t n, int p), -1, ENOSYS)
OWN(pid_t, getpid, (void), 1, 0)
OWN(pid_t, gettid, (void), 1, 0)
OWN(int, sched_yield, (void), -1, ENOSYS)
OWN(char *, getcwd, (char *text, size_t n), NULL, ENOSYS)
OWN(ssize_t, readlink, (const char *path, char *text, size_t n), -1, ENOSYS)
OWN(int, prctl, (int what, ...), -1, ENOSYS)
OWN(long, syscall, (long number, ...), -1, ENOSYS)
OWN(time_t, time, (time_t * at), __atomic_sub_fetch(&now, 7, __ATOMIC_RELAXED),
    0)

int clock_gettime(clockid_t clock, struct timespec *time)
{
    (void)clock;
    *time = (struct timespec){
        .tv_sec = __atomic_sub_fetch(&now, 7, __ATOMIC_RELAXED)};
    return (int)own(0, 0);
}

int gettimeofday(struct timeval *time, void *zone)
{
    (void)zone;
    *time = (struct timeval){.tv_sec =
                                 __atomic_sub_fetch(&now, 7, __ATOMIC_RELAXED)};
    return (int)own(0, 0);
}

#ifndef LIBRARY
static __thread unsigned seed;

static unsigned next(void)
{
    return seed = seed * 1103515245 + 12345;
}

static void *work(void *number)
{
    static __thread char *p[500];
    seed = (unsigned)(size_t)number;
    for (int i = 0; i < 20000; i++) {
        unsigned r = next() >> 8, k = r % 500;
        size_t bytes = r % 7 ? r % 3000 : r % 300000;
        if (p[k] && (unsigned char)p[k][0] != k % 251)
            abort();
        if (r & 0x100000) {
            free(p[k]);
            p[k] = NULL;
        } else {
            p[k] = realloc(p[k], bytes + 1);
            p[k][0] = (char)(k % 251);
        }
    }
    for (int k = 0; k < 500; k++) {
        free(p[k]);
        p[k] = NULL;
    }
    void *aligned = NULL;
    if (posix_memalign(&aligned, 4096, 100000) != 0)
        abort();
    free(aligned);
    return NULL;
}

int main(void)
{
    static const char text[] = "done\n";
    pthread_t threads[4];
    int status = 0;
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    work((void *)9);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pid_t child = fork();
    if (child == 0) {
        work((void *)11);
        _exit(__atomic_load_n(&calls, __ATOMIC_RELAXED) != 0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return 3;
    if (__atomic_load_n(&calls, __ATOMIC_RELAXED) != 0)
        return 4;
    return write(1, text, sizeof text - 1) < 0;
}
#endif
