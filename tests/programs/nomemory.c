/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nomemory.c - a preloaded library whose allocation number NOMEMORY_AT fails.
 *
 * The allocations of the program itself and of the libraries that it calls
 * count alike.  NOMEMORY_FROM makes all fail from that one on.  With
 * NOMEMORY_PLACES, a file's name, none fails; the number of each allocation
 * whose place (its DEPTH innermost return addresses) is new is written there,
 * and the number of all on the last line.  With NOMEMORY_ERRNO none fails, and
 * each leaves ENOMEM in errno, as malloc() may.
 *
 * A crash in a library that the command uses ends it with status 99 and the
 * library's name on stderr.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

#define DEPTH 10
#define SLOTS 65536u

static unsigned long calls, fail_at, fail_from;
static int ready, spoils, places = -1;
static uint64_t seen[SLOTS]; /* hashes of places */
static int lock;
static __thread int inside;

static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

static void write_number(unsigned long number)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%lu\n", number);
    if (write(places, text, (size_t)length) != length)
        _exit(99);
}

/* Does the code belong to a library?  Then the process ends. */
static void crash_at(void *pc)
{
    Dl_info where;
    if (dladdr(pc, &where) && strstr(where.dli_fname, ".so")) {
        dprintf(2, "crash in %s\n", where.dli_fname);
        _exit(99);
    }
}

/* free() aborts in libc: what counts is who called it. */
static void crash_of_caller(void)
{
    void *frames[32];
    Dl_info where;
    inside = 1;
    int n = backtrace(frames, 32), i = 0;
    while (i < n && dladdr(frames[i], &where) &&
           (strstr(where.dli_fname, "libc.so") ||
            strstr(where.dli_fname, "nomemory.so")))
        i++;
    if (i < n)
        crash_at(frames[i]);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    const ucontext_t *at = context;
    (void)info;
    signal(number, SIG_DFL);
    if (number == SIGABRT)
        crash_of_caller();
    else
        crash_at((void *)at->uc_mcontext.gregs[REG_RIP]);
    raise(number);
}

static __attribute__((constructor)) void begin(void)
{
    const char *file = getenv("NOMEMORY_PLACES");
    void *frames[DEPTH];
    if (strcmp(program_invocation_short_name, "memtrace") != 0)
        return; /* a program that the command runs */
    const struct sigaction crash = {.sa_sigaction = on_crash,
                                    .sa_flags = SA_SIGINFO | SA_RESETHAND};
    sigaction(SIGSEGV, &crash, NULL);
    sigaction(SIGABRT, &crash, NULL);
    fail_at = number_of("NOMEMORY_AT");
    fail_from = number_of("NOMEMORY_FROM");
    spoils = number_of("NOMEMORY_ERRNO") != 0;
    if (file) {
        places = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        backtrace(frames, DEPTH); /* the first call allocates */
        if (places < 0)
            _exit(99);
    }
    ready = 1;
}

static void note_place(unsigned long call)
{
    void *frames[DEPTH];
    uint64_t hash = 1;
    uint32_t slot;
    inside = 1;
    int n = backtrace(frames, DEPTH);
    inside = 0;
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uintptr_t)frames[i]) * UINT64_C(0x9fb21c651e98df25);
    hash = hash ^ hash >> 32 ? hash ^ hash >> 32 : 1;
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        continue;
    for (slot = (uint32_t)hash % SLOTS; seen[slot] && seen[slot] != hash;)
        slot = (slot + 1) % SLOTS;
    if (seen[slot] == 0)
        write_number(call);
    seen[slot] = hash;
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static int fails(void)
{
    if (!ready || inside) /* before main() */
        return 0;
    unsigned long call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (places >= 0) {
        note_place(call);
        return 0;
    }
    if (call != fail_at && (fail_from == 0 || call < fail_from))
        return 0;
    errno = ENOMEM;
    return 1;
}

static void *done(void *block)
{
    if (ready && spoils)
        errno = ENOMEM;
    return block;
}

void *malloc(size_t bytes)
{
    return fails() ? NULL : done(__libc_malloc(bytes));
}

void *calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : done(__libc_calloc(count, bytes));
}

void *realloc(void *block, size_t bytes)
{
    return fails() ? NULL : done(__libc_realloc(block, bytes));
}

void *aligned_alloc(size_t align, size_t bytes)
{
    return fails() ? NULL : done(__libc_memalign(align, bytes));
}

int posix_memalign(void **out, size_t align, size_t bytes)
{
    if (fails())
        return ENOMEM;
    *out = done(__libc_memalign(align, bytes));
    return *out ? 0 : ENOMEM;
}

static __attribute__((destructor)) void end(void)
{
    if (places >= 0)
        write_number(calls);
}
