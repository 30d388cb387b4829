/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stackshim.c - a library that samples allocations and unwinds each of the
 * sampled ones with libunwind; for tests/e2e/stacks.
 *
 * Preloaded before libmemtrace-preload.so, whose malloc it calls.  A sampled
 * block is not freed, so that its tag still describes the same allocation when
 * all of them are compared (tests/stacks_compare): after SHIM_SAMPLES of them,
 * or where the program ends, they are written to SHIM_OUTPUT.PID and the
 * process stops itself, once.
 *
 *     SHIM_OUTPUT   where to write
 *     SHIM_EVERY    about one allocation in N is sampled (default 1)
 *     SHIM_SAMPLES  at most N samples (default 12000, at most MAX_SAMPLES)
 *     SHIM_WORD     a word of the command line that the program must have
 *
 * The file: a line "shim START END" with the addresses of this library's
 * code, then for every sample "BLOCK PC...", innermost first, in hexadecimal.
 */
#define _GNU_SOURCE
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libunwind.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_SAMPLES 65536u
#define SLOTS (4 * MAX_SAMPLES)
#define MAX_DEPTH 1100u
#define WORDS ((size_t)64 << 20) /* of reserved memory, for all stacks */

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void (*free)(void *);
    size_t (*usable)(void *);
} real;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t *slots; /* set of sampled blocks, open addressing */
static uint64_t *words;  /* block, depth, pc... of every sample */
static size_t n_words;
static unsigned n_samples, max_samples = 12000;
static uint64_t every = 1, skip, seed = 88172645463325252u;
static volatile bool sampling;
static bool written;
static char output[4000]; /* programs may write over their environment */
static __thread bool inside __attribute__((tls_model("initial-exec")));

/* --- samples --- */

static uintptr_t *slot_of(void *block)
{
    uintptr_t key = (uintptr_t)block;
    size_t i = (key >> 4) * 2654435761u % SLOTS;

    while (slots[i] && slots[i] != key)
        i = (i + 1) % SLOTS;
    return &slots[i];
}

static bool sampled(void *block)
{
    bool found;

    if (slots == NULL || n_samples == 0 || block == NULL)
        return false;
    pthread_mutex_lock(&lock);
    found = *slot_of(block) != 0;
    pthread_mutex_unlock(&lock);
    return found;
}

static bool due(void)
{
    bool now;

    if (!sampling || inside)
        return false;
    pthread_mutex_lock(&lock);
    now = skip == 0;
    if (now) { /* the next one, on average `every` further */
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        skip = seed % (2 * every);
    }
    skip -= !now || skip > 0;
    pthread_mutex_unlock(&lock);
    return now;
}

static unsigned unwind(uint64_t *pcs)
{
    unw_context_t context;
    unw_cursor_t cursor;
    unw_word_t pc;
    unsigned n = 0;

    if (unw_getcontext(&context) || unw_init_local(&cursor, &context))
        return 0;
    do {
        if (unw_get_reg(&cursor, UNW_REG_IP, &pc) || pc == 0)
            break;
        pcs[n++] = pc;
    } while (n < MAX_DEPTH && unw_step(&cursor) > 0);
    return n;
}

static void range_of_code(uint64_t *start, uint64_t *end)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long low, high;
    uint64_t here = (uint64_t)(uintptr_t)&range_of_code;

    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx", &low, &high) == 2 && here >= low &&
            here < high) {
            *start = low;
            *end = high;
        }
    if (maps)
        fclose(maps);
}

/* Writes all samples and stops the process. */
static void finish(void)
{
    uint64_t start = 0, end = 0;
    char path[4096];
    int file, copy = errno;

    sampling = false;
    if (written || n_samples == 0)
        return;
    written = inside = true;
    snprintf(path, sizeof path, "%s.%d", output, (int)getpid());
    file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    range_of_code(&start, &end);
    dprintf(file, "shim %lx %lx\n", (unsigned long)start, (unsigned long)end);
    FILE *out = fdopen(file, "w");
    for (size_t at = 0; out && at < n_words; at += 2 + words[at + 1]) {
        fprintf(out, "%lx", (unsigned long)words[at]);
        for (size_t i = 0; i < words[at + 1]; i++)
            fprintf(out, " %lx", (unsigned long)words[at + 2 + i]);
        fputc('\n', out);
    }
    if (out)
        fclose(out);
    raise(SIGSTOP);
    inside = false;
    errno = copy;
}

/* After the allocation of `block`, in the same frame. */
static __attribute__((noinline)) void note(void *block)
{
    static uint64_t pcs[MAX_DEPTH];
    unsigned n;
    bool full;

    if (block == NULL)
        return;
    inside = true;
    pthread_mutex_lock(&lock);
    n = unwind(pcs);
    if (n_samples < max_samples && n_words + n + 2 <= WORDS / 8) {
        *slot_of(block) = (uintptr_t)block;
        words[n_words++] = (uint64_t)(uintptr_t)block;
        words[n_words++] = n;
        memcpy(words + n_words, pcs, n * sizeof *pcs);
        n_words += n;
        n_samples++;
    }
    full = n_samples >= max_samples;
    pthread_mutex_unlock(&lock);
    if (full)
        finish();
    inside = false;
}

/* --- the malloc family --- */

/* Before the others are found: never given back. */
static void *early(size_t size)
{
    static char room[65536] __attribute__((aligned(16)));
    static size_t used;
    void *block = room + used;

    size = (size + 15) & ~(size_t)15;
    if (size > sizeof room - used)
        return NULL;
    used += size;
    return block;
}

static bool ready(void)
{
    /* Read by the calloc that dlsym calls, which gcc does not know of. */
    static volatile bool looking;

    if (real.free)
        return true;
    if (looking)
        return false;
    looking = true;
    *(void **)&real.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real.memalign = dlsym(RTLD_NEXT, "memalign");
    *(void **)&real.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&real.usable = dlsym(RTLD_NEXT, "malloc_usable_size");
    *(void **)&real.free = dlsym(RTLD_NEXT, "free");
    looking = false;
    return true;
}

EXPORT void *malloc(size_t size)
{
    void *block;

    if (!ready())
        return early(size);
    block = real.malloc(size);
    if (due())
        note(block);
    return block;
}

EXPORT void *calloc(size_t count, size_t size)
{
    void *block;

    if (!ready())
        return early(count * size); /* zeros */
    block = real.calloc(count, size);
    if (due())
        note(block);
    return block;
}

EXPORT void *memalign(size_t align, size_t size)
{
    void *block = ready() ? real.memalign(align, size) : NULL;

    if (due())
        note(block);
    return block;
}

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    int status = ready() ? real.posix_memalign(out, align, size) : ENOMEM;

    if (status == 0 && due())
        note(*out);
    return status;
}

EXPORT void *realloc(void *block, size_t size)
{
    void *to;

    if (!ready())
        return early(size);
    if (sampled(block)) { /* it stays as it is */
        to = real.malloc(size);
        if (to)
            memcpy(to, block,
                   real.usable(block) < size ? real.usable(block) : size);
    } else {
        to = real.realloc(block, size);
    }
    if (due())
        note(to);
    return to;
}

EXPORT void free(void *block)
{
    if (ready() && !sampled(block))
        real.free(block);
}

/* --- start and end --- */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static bool is_wanted(void)
{
    const char *word = getenv("SHIM_WORD");
    char line[65536];
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, line, sizeof line);

    if (file >= 0)
        close(file);
    return word == NULL ||
           (n > 0 && memmem(line, (size_t)n, word, strlen(word)));
}

static void forget(void)
{
    sampling = false; /* the samples are the parent's */
    written = true;
}

__attribute__((constructor)) static void start(void)
{
    const int access = PROT_READ | PROT_WRITE;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

    if (getenv("SHIM_OUTPUT"))
        snprintf(output, sizeof output, "%s", getenv("SHIM_OUTPUT"));
    every = number("SHIM_EVERY", 1);
    max_samples = (unsigned)number("SHIM_SAMPLES", max_samples);
    if (!ready() || !*output || every == 0 || max_samples > MAX_SAMPLES ||
        !is_wanted())
        return;
    slots = mmap(NULL, SLOTS * sizeof *slots, access, flags, -1, 0);
    words = mmap(NULL, WORDS, access, flags, -1, 0);
    if (slots == MAP_FAILED || words == MAP_FAILED)
        _exit(125);
    unw_set_caching_policy(unw_local_addr_space, UNW_CACHE_PER_THREAD);
    pthread_atfork(NULL, NULL, forget);
    sampling = true;
}

__attribute__((destructor)) static void end(void)
{
    finish();
}
