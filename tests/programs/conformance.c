/* SPDX-License-Identifier: BSD-2-Clause
 *
 * conformance.c - what the malloc family owes its callers.
 *
 * Prints one line per fact.  The facts are those that standards and glibc's
 * manual give, so that the output on any good heap is the output on glibc's.
 * A line begins with "bad" when the fact is wrong on any heap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Hidden from the compiler, which knows too much about these functions. */
static void *(*volatile f_malloc)(size_t) = malloc;
static void *(*volatile f_calloc)(size_t, size_t) = calloc;
static void *(*volatile f_realloc)(void *, size_t) = realloc;
static void *(*volatile f_reallocarray)(void *, size_t, size_t) = reallocarray;
static void (*volatile f_free)(void *) = free;
static void *(*volatile f_aligned)(size_t, size_t) = aligned_alloc;
static void *(*volatile f_memalign)(size_t, size_t) = memalign;
static int (*volatile f_posix)(void **, size_t, size_t) = posix_memalign;

static const size_t too_big[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096,
                                 (size_t)PTRDIFF_MAX + 1};

static void fact(const char *name, int holds)
{
    printf("%s %s\n", holds ? "ok " : "bad", name);
}

static const char *error_name(int error)
{
    return error == 0        ? "0"
           : error == ENOMEM ? "ENOMEM"
           : error == EINVAL ? "EINVAL"
                             : strerror(error);
}

static int filled(const void *p, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((const unsigned char *)p)[i] != byte)
            return 0;
    return 1;
}

static void overflow(void)
{
    for (size_t i = 0; i < sizeof(too_big) / sizeof(*too_big); i++) {
        void *p = f_malloc(10);
        memset(p, 7, 10);
        errno = 0;
        fact("malloc of too much is NULL", !f_malloc(too_big[i]));
        printf("  errno %s\n", error_name(errno));
        errno = 0;
        fact("calloc of too much is NULL", !f_calloc(1, too_big[i]));
        printf("  errno %s\n", error_name(errno));
        errno = 0;
        fact("realloc to too much is NULL", !f_realloc(p, too_big[i]));
        printf("  errno %s\n", error_name(errno));
        fact("and the block is as before", filled(p, 7, 10));
        errno = 0;
        fact("memalign of too much is NULL", !f_memalign(64, too_big[i]));
        printf("  errno %s\n", error_name(errno));
        f_free(p);
    }
    const size_t half = (size_t)1 << 33;
    errno = 0;
    fact("calloc whose product overflows is NULL", !f_calloc(half, half));
    printf("  errno %s\n", error_name(errno));
    errno = 0;
    fact("calloc whose product wraps to 0", !f_calloc(SIZE_MAX / 2 + 1, 2));
    printf("  errno %s\n", error_name(errno));
    void *p = f_malloc(1);
    errno = 0;
    fact("reallocarray that overflows is NULL", !f_reallocarray(p, half, half));
    printf("  errno %s\n", error_name(errno));
    p = f_reallocarray(p, 10, 10);
    fact("reallocarray gives room", p && malloc_usable_size(p) >= 100);
    f_free(p);
}

static void zero(void)
{
    void *a = f_malloc(0), *b = f_malloc(0), *c = f_calloc(0, 8);
    fact("malloc(0) is not NULL", a && b && c);
    fact("and is unique", a != b && b != c && a != c);
    f_free(a);
    f_free(b);
    f_free(c);
    errno = 0;
    fact("realloc(p, 0) frees p and is NULL", !f_realloc(f_malloc(5), 0));
    printf("  errno %s\n", error_name(errno));
    a = f_realloc(NULL, 0);
    fact("realloc(NULL, 0) is malloc(0)", a != NULL);
    f_free(a);
    a = f_realloc(NULL, 33);
    fact("realloc(NULL, n) is malloc(n)", a && malloc_usable_size(a) >= 33);
    f_free(a);
    fact("malloc_usable_size(NULL) is 0", malloc_usable_size(NULL) == 0);
    f_free(NULL);
    a = f_memalign(64, 0);
    fact("memalign(64, 0) is not NULL", a != NULL);
    f_free(a);
}

static void keeps_errno(void)
{
    const size_t sizes[] = {1, 100, 5000, 200000, 3000000, 100000000};
    int kept = 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        void *p = f_malloc(sizes[i]);
        memset(p, 1, sizes[i]);
        errno = 4711;
        f_free(p);
        kept &= errno == 4711;
    }
    errno = 4711;
    f_free(NULL);
    fact("free keeps errno", kept && errno == 4711);
    kept = 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        errno = 4711;
        void *p = f_calloc(1, sizes[i]);
        p = f_realloc(p, sizes[i] * 2);
        kept &= errno == 4711;
        f_free(p);
    }
    fact("what succeeds keeps errno", kept);
}

static void alignment(void)
{
    int good = 1;
    for (size_t n = 1; n < 3000; n += 7) {
        void *p = f_malloc(n), *q = f_calloc(1, n);
        good &= (uintptr_t)p % (n < 16 ? 8 : 16) == 0;
        good &= (uintptr_t)q % (n < 16 ? 8 : 16) == 0;
        f_free(p);
        f_free(q);
    }
    fact("blocks are aligned for any type", good);
    good = 1;
    for (size_t a = 8; a <= (size_t)1 << 24; a *= 2)
        for (size_t n = 1; n < 300000; n = n * 3 + 1) {
            void *p = f_aligned(a, n), *q = NULL, *r = f_memalign(a, n);
            int error = f_posix(&q, a, n);
            good &= p && !error && q && r && malloc_usable_size(p) >= n &&
                    malloc_usable_size(q) >= n && malloc_usable_size(r) >= n;
            good &= (uintptr_t)p % a == 0 && (uintptr_t)q % a == 0 &&
                    (uintptr_t)r % a == 0;
            memset(p, 1, n);
            memset(q, 2, n);
            memset(r, 3, n);
            good &= filled(p, 1, n) && filled(q, 2, n) && filled(r, 3, n);
            q = f_realloc(q, n + 5000);
            good &= filled(q, 2, n);
            f_free(p);
            f_free(q);
            f_free(r);
        }
    fact("alignments from 8 to 16 MiB are kept", good);
    const size_t wrong[] = {0, 1, 2, 4, 7, 12, 24, 100};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        void *q = &q;
        errno = 4711;
        int error = f_posix(&q, wrong[i], 10);
        printf("posix_memalign %zu: %s, errno %s, pointer %s\n", wrong[i],
               error_name(error), errno == 4711 ? "kept" : "changed",
               q == &q ? "kept" : "changed");
    }
    void *q = &q;
    printf("posix_memalign too big: %s, pointer %s\n",
           error_name(f_posix(&q, 64, PTRDIFF_MAX)),
           q == &q ? "kept" : "changed");
    errno = 0;
    q = f_memalign(((size_t)1 << 63) + 1, 10);
    printf("memalign beyond 2^63: %s, errno %s\n", q ? "block" : "NULL",
           error_name(errno));
    q = f_memalign(24, 10); /* glibc rounds up to 32 */
    fact("memalign(24) rounds the alignment up", q && (uintptr_t)q % 32 == 0);
    f_free(q);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *v = valloc(10), *w = pvalloc(10);
    fact("valloc and pvalloc give pages", v && w && (uintptr_t)v % page == 0 &&
                                              (uintptr_t)w % page == 0 &&
                                              malloc_usable_size(w) >= page);
    f_free(v);
    f_free(w);
    errno = 0;
    fact("pvalloc of too much is NULL", !pvalloc(SIZE_MAX));
    printf("  errno %s\n", error_name(errno));
}

static void contents(void)
{
    int good = 1;
    for (int round = 0; round < 3; round++)
        for (size_t n = 1; n < 2000000; n = n * 2 + 13) {
            unsigned char *p = f_malloc(n);
            memset(p, 0xa5, n);
            f_free(p);
            p = f_calloc(n, 1);
            good &= filled(p, 0, n);
            memset(p, 0x5a, malloc_usable_size(p));
            f_free(p);
        }
    fact("calloc clears", good);
    good = 1;
    for (size_t from = 1; from < 500000; from = from * 3 + 1)
        for (size_t to = 1; to < 500000; to = to * 3 + 2) {
            unsigned char *p = f_malloc(from);
            memset(p, 0x3c, from);
            p = f_realloc(p, to);
            good &= filled(p, 0x3c, from < to ? from : to);
            f_free(p);
        }
    fact("realloc keeps contents", good);
    good = 1;
    for (size_t n = 0; n < 40000; n += 11) {
        char *p = f_malloc(n);
        size_t usable = malloc_usable_size(p);
        good &= usable >= n;
        memset(p, 1, usable);
        f_free(p);
    }
    fact("all of the usable size is usable", good);
    good = 1;
    for (size_t n = 1; n < 300000; n = n * 5 / 4 + 1) {
        char *p = f_malloc(n);
        size_t usable = malloc_usable_size(p);
        memset(p, 0x3c, usable);
        p = f_realloc(p, usable);
        good &= filled(p, 0x3c, usable);
        p = f_realloc(p, usable + 1);
        good &= filled(p, 0x3c, usable);
        f_free(p);
    }
    fact("realloc keeps all of the usable size", good);
}

static void many(void)
{
    enum { N = 20000 };
    static unsigned char *blocks[N];
    static size_t sizes[N];
    unsigned seed = 1;
    int good = 1;
    for (int i = 0; i < 20 * N; i++) {
        seed = seed * 1103515245 + 12345;
        const size_t at = (seed >> 8) % N;
        if (blocks[at]) {
            good &= filled(blocks[at], (int)(at & 255), sizes[at]);
            f_free(blocks[at]);
            blocks[at] = NULL;
        } else {
            sizes[at] = (seed >> 4) % 300;
            blocks[at] = f_malloc(sizes[at]);
            memset(blocks[at], (int)(at & 255), sizes[at]);
        }
    }
    for (int i = 0; i < N; i++)
        f_free(blocks[i]);
    fact("20000 blocks do not overlap", good);
}

static void information(void)
{
    void *p = f_malloc(1000000), *q = f_malloc(1000);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo old = mallinfo();
#if __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();
#else
    struct mallinfo info = old;
#endif
    fact("mallinfo2 counts what is in use",
         info.uordblks + info.hblkhd >= 1001000);
    fact("mallinfo agrees",
         (size_t)(unsigned)old.uordblks + (size_t)(unsigned)old.hblkhd >=
             1001000);
    fact("mallopt takes M_ARENA_MAX", mallopt(M_ARENA_MAX, 4) == 1);
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    fact("malloc_info writes XML", malloc_info(0, stream) == 0);
    fclose(stream);
    fact("which is one element",
         text && !strncmp(text, "<malloc", 7) && strstr(text, "</malloc>"));
    f_free(text);
    fact("malloc_info(1) fails", malloc_info(1, stdout) != 0);
    f_free(p);
    f_free(q);
    (void)malloc_trim(0);
    malloc_stats();
    fact("malloc_trim and malloc_stats return", 1);
}

static volatile int threads_end;

static void *allocate(void *unused)
{
    while (!threads_end)
        f_free(f_malloc(1000));
    return unused;
}

/* Of the signals that can be blocked, SIGUSR1 alone is. */
static int has_mask(void)
{
    sigset_t set;
    int n = 0;
    sigprocmask(SIG_BLOCK, NULL, &set);
    for (int i = 1; i < 65; i++)
        n += sigismember(&set, i) == 1;
    return n == 1 && sigismember(&set, SIGUSR1) == 1;
}

static void signal_masks(void)
{
    pthread_t thread;
    sigset_t set;
    int in_child = 1, in_parent = 1;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_SETMASK, &set, NULL);
    pthread_create(&thread, NULL, allocate, NULL);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        int status = 1;
        if (child == 0)
            _exit(!has_mask());
        waitpid(child, &status, 0);
        in_child &= status == 0;
        in_parent &= has_mask();
    }
    threads_end = 1;
    pthread_join(thread, NULL);
    fact("a child of threads has the mask of signals of its parent", in_child);
    fact("which keeps it", in_parent);
}

int main(void)
{
    overflow();
    zero();
    keeps_errno();
    alignment();
    contents();
    many();
    information();
    signal_masks();
    return 0;
}
