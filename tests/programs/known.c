/* SPDX-License-Identifier: BSD-2-Clause
 *
 * known.c - leaks amounts that are known from stacks that are known.
 *
 * It obeys one-line commands on stdin, and answers "ok":
 *     all          every site below, as often as its loop says
 *     left N, right N, freed N    that site N times
 *     abort, segv, exit           end so
 * The line of each allocation carries a label that the test looks up.  Nothing
 * here uses stdio, so that the sites are all that this file allocates.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone, noipa))
#ifdef __clang__
#undef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif
/* After a call: keeps it from becoming a jump, which would hide the caller. */
#define NO_TAIL __asm__ volatile("" ::: "memory")

/* n; but the compiler cannot know, and leaves loops as they are written. */
static NOINLINE int times(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

static void *kept[200000];
static size_t n_kept;

static NOINLINE void keep(void *p)
{
    if (!p || n_kept == sizeof(kept) / sizeof(*kept))
        abort();
    kept[n_kept++] = p;
    *(volatile char *)p = 1;
}

NOINLINE void leaf(size_t size)
{
    keep(malloc(size)); /* SITE leaf */
    NO_TAIL;
}

NOINLINE void left(void)
{
    leaf(100); /* SITE left */
    NO_TAIL;
}

NOINLINE void right(void)
{
    leaf(1000); /* SITE right */
    NO_TAIL;
}

NOINLINE void recurse(int depth)
{
    if (depth > 1)
        recurse(depth - 1); /* SITE recurse_again */
    else
        keep(malloc(70)); /* SITE recurse_end */
    NO_TAIL;
}

static inline __attribute__((always_inline)) void *inline_inner(size_t n)
{
    return malloc(n); /* SITE inline_inner */
}

static inline __attribute__((always_inline)) void *inline_outer(size_t n)
{
    return inline_inner(n + 1); /* SITE inline_outer */
}

NOINLINE void inlines(void)
{
    keep(inline_outer(54)); /* SITE inlines */
    NO_TAIL;
}

NOINLINE void with_alloca(size_t n)
{
    char *room = __builtin_alloca(n);
    memset(room, 1, n);
    __asm__ volatile("" ::"r"(room) : "memory");
    keep(calloc(3, 11)); /* SITE with_alloca */
    NO_TAIL;
}

NOINLINE void realigned(void)
{
    char room[64] __attribute__((aligned(64)));
    __asm__ volatile("" ::"r"(room) : "memory");
    keep(malloc(96)); /* SITE realigned */
    NO_TAIL;
}

NOINLINE void grows(void)
{
    void *p = malloc(40); /* SITE grows_first */
    p = realloc(p, 5000); /* SITE grows_then */
    keep(p);
    NO_TAIL;
}

NOINLINE void aligned(void)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, 300)) /* SITE aligned */
        abort();
    keep(p);
    NO_TAIL;
}

NOINLINE void large(void)
{
    keep(malloc(3000000)); /* SITE large */
    NO_TAIL;
}

NOINLINE void through_libc(void)
{
    keep(strdup("twelve bytes")); /* SITE through_libc */
    NO_TAIL;
}

static int compare(const void *a, const void *b)
{
    static int done;
    if (!done++)
        keep(malloc(81)); /* SITE compare */
    return *(const char *)a - *(const char *)b;
}

NOINLINE void callback(void)
{
    char letters[] = "gcafebd";
    qsort(letters, sizeof(letters) - 1, 1, compare); /* SITE callback */
    NO_TAIL;
}

static void on_signal(int number)
{
    (void)number;
    keep(malloc(77)); /* SITE on_signal */
    NO_TAIL;
}

NOINLINE void signalled(void)
{
    raise(SIGUSR1); /* SITE signalled */
    NO_TAIL;
}

NOINLINE void freed(void)
{
    void *p = malloc(500); /* SITE freed */
    *(volatile char *)p = 1;
    free(p);
    NO_TAIL;
}

static void *thread(void *unused)
{
    for (int i = 0; i < times(9); i++)
        keep(malloc(250)); /* SITE thread */
    return unused;
}

NOINLINE void all(void)
{
    pthread_t id;
    for (int i = 0; i < times(50); i++)
        left();
    for (int i = 0; i < times(30); i++)
        right();
    recurse(8);
    for (int i = 0; i < times(4); i++)
        inlines();
    for (int i = 1; i < times(4); i++)
        with_alloca(i * 1000); /* SITE with_alloca_caller */
    realigned();
    for (int i = 0; i < times(6); i++)
        grows();
    for (int i = 0; i < times(5); i++)
        aligned();
    for (int i = 0; i < times(2); i++)
        large();
    for (int i = 0; i < times(7); i++)
        through_libc();
    callback();
    signalled();
    for (int i = 0; i < times(100); i++)
        freed();
    if (pthread_create(&id, NULL, thread, NULL) || pthread_join(id, NULL))
        abort();
}

static NOINLINE void answer(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(2);
}

static NOINLINE void obey(const char *line)
{
    const char *space = strchr(line, ' ');
    int n = space ? atoi(space) : 1;
    if (!strcmp(line, "all"))
        all();
    else if (!strncmp(line, "left", 4))
        for (int i = 0; i < n; i++)
            left();
    else if (!strncmp(line, "right", 5))
        for (int i = 0; i < n; i++)
            right();
    else if (!strncmp(line, "freed", 5))
        for (int i = 0; i < n; i++)
            freed();
    else if (!strcmp(line, "abort"))
        abort();
    else if (!strcmp(line, "segv"))
        raise(SIGSEGV);
    else if (!strcmp(line, "exit"))
        _exit(0);
    answer("ok\n");
}

int main(void)
{
    char line[100];
    size_t n = 0;
    signal(SIGUSR1, on_signal);
    answer("ready\n");
    while (n < sizeof(line) - 1 && read(0, line + n, 1) == 1) {
        if (line[n] != '\n') {
            n++;
            continue;
        }
        line[n] = 0;
        n = 0;
        obey(line);
    }
    return 0;
}
