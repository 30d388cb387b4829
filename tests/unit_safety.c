/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Guards, quarantine and fills.  The main heap of this program has all of
 * them; named heaps have those that a test asks for.
 */
#include "heap/alloc.h"
#include "heap/memtrace.h"
#include "tests/heap_model.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GUARD MEMTRACE_HEAP_GUARD
#define FILL_FREE MEMTRACE_HEAP_FILL_FREE
#define FILL_ALLOC MEMTRACE_HEAP_FILL_ALLOC
#define TRACE MEMTRACE_HEAP_TRACE

static char said[8192]; /* what an operation wrote to stderr */

__attribute__((constructor)) static void all_modes(void)
{
    mt_config_read("guard=on:fill_free=on:fill_alloc=on:quarantine=1M");
    mt_start();
    mt_config.modes = 0;
    mt_config.quarantine = 0;
}

static memtrace_heap *create(unsigned flags, size_t quarantine)
{
    memtrace_heap *heap = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "safe",
                                        .flags = flags | MEMTRACE_HEAP_LOCKED,
                                        .quarantine = quarantine});
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    return heap;
}

static int saved_stderr, capture_file;

static void capture_begin(void)
{
    char name[] = "/tmp/memtrace-unit-XXXXXX";
    capture_file = mkstemp(name);
    saved_stderr = dup(2);
    unlink(name);
    dup2(capture_file, 2);
    mt_config.abort_on_error = false;
}

static void capture_end(void)
{
    dup2(saved_stderr, 2);
    ssize_t n = pread(capture_file, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    close(capture_file);
    close(saved_stderr);
}

static bool was_said(const char *text)
{
    if (strstr(said, text))
        return true;
    printf("  wanted '%s' in:\n%s", text, said);
    return false;
}

/* Does a child that touches the byte die of it? */
static bool faults(volatile char *byte, bool write_it)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        if (write_it)
            *byte = 1;
        else
            (void)*byte;
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* --- fills --- */

static void write_found_at_reuse(void)
{
    memtrace_heap *heap = create(FILL_FREE | TRACE, 0);
    char *p = memtrace_alloc(heap, 100);
    memset(p, 1, 100);
    memtrace_free(p);
    CU_ASSERT_EQUAL((unsigned char)p[0], 0xfd);
    CU_ASSERT_EQUAL((unsigned char)p[99], 0xfd);
    p[42] = 'x';
    uint64_t before = memtrace_root->error_count;
    capture_begin();
    char *q = memtrace_alloc(heap, 100);
    capture_end();
    CU_ASSERT_PTR_EQUAL(q, p);
    CU_ASSERT_EQUAL(memtrace_root->error_count, before + 1);
    CU_ASSERT_EQUAL(memtrace_root->error_kind, MT_ERROR_WRITTEN);
    CU_ASSERT_EQUAL(memtrace_root->error_address, (uintptr_t)p);
    CU_ASSERT(was_said("is a freed block that was written to, at offset 42\n"));
    CU_ASSERT(was_said("last allocated by\n"));
    CU_ASSERT(memtrace_root->error_stack >= MT_STACK_FIRST);
    memtrace_heap_destroy(heap);
}

/* Every byte of a block counts, and every class is filled. */
static void every_byte_is_compared(void)
{
    static const size_t sizes[] = {1, 16, 48, 500, 5000, 32767};
    memtrace_heap *heap = create(FILL_FREE, 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t usable = memtrace_usable_size(memtrace_alloc(heap, sizes[s]));
        for (size_t at = 0; at < usable; at += 1 + usable / 50) {
            unsigned char *p = memtrace_alloc(heap, sizes[s]);
            memtrace_free(p);
            p[at] ^= 1;
            uint64_t before = memtrace_root->error_count;
            capture_begin();
            void *q = memtrace_alloc(heap, sizes[s]);
            capture_end();
            CU_ASSERT_PTR_EQUAL(q, p);
            CU_ASSERT_EQUAL(memtrace_root->error_count, before + 1);
            memtrace_free(q);
        }
    }
    uint64_t errors = memtrace_root->error_count;
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    CU_ASSERT_EQUAL(memtrace_root->error_count, errors);
    memtrace_heap_destroy(heap);
}

static void check_finds_writes(void)
{
    memtrace_heap *heap = create(FILL_FREE, 0);
    char *never = memtrace_alloc(heap, 64);
    never[64 * 3 + 5] = 0; /* three blocks on, never handed out */
    capture_begin();
    int found = memtrace_heap_check(heap);
    capture_end();
    CU_ASSERT_EQUAL(found, 1);
    CU_ASSERT(was_said("freed block that was written to"));
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

static void allocations_are_filled(void)
{
    memtrace_heap *heap = create(FILL_ALLOC, 0);
    static const size_t sizes[] = {1, 33, 4000, 32768, 100000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t wrong = 0;
        for (int round = 0; round < 3; round++) {
            unsigned char *p = memtrace_alloc(heap, sizes[s]);
            for (size_t i = 0; i < sizes[s]; i++)
                wrong += p[i] != 0xba;
            memset(p, 7, sizes[s]);
            memtrace_free(p);
            p = memtrace_calloc(heap, sizes[s], 1);
            for (size_t i = 0; i < sizes[s]; i++)
                wrong += p[i] != 0;
            memset(p, 7, sizes[s]);
            memtrace_free(p);
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
    memtrace_heap_destroy(heap);
}

/* --- quarantine --- */

static void reuse_is_delayed(void)
{
    enum { SIZE = 1024, HELD = 64 };
    memtrace_heap *heap = create(TRACE, SIZE * HELD);
    void *first = memtrace_alloc(heap, SIZE);
    memtrace_free(first);
    struct memtrace_stats s;
    memtrace_heap_stats(heap, &s);
    CU_ASSERT_EQUAL(s.blocks, 0);
    int n = 0;
    while (n < 10 * HELD) {
        void *p = memtrace_alloc(heap, SIZE);
        memtrace_free(p);
        n++;
        if (p == first)
            break;
    }
    CU_ASSERT(n >= HELD);
    CU_ASSERT(n <= 3 * HELD);
    capture_begin();
    memtrace_free(first);
    capture_end();
    CU_ASSERT_EQUAL(memtrace_root->error_kind, MT_ERROR_DOUBLE_FREE);
    CU_ASSERT(was_said("last allocated by"));
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

static void write_found_when_it_leaves(void)
{
    memtrace_heap *heap = create(FILL_FREE | TRACE, 10000);
    char *p = memtrace_alloc(heap, 200);
    memtrace_free(p);
    p[199] = 0;
    uint64_t before = memtrace_root->error_count;
    capture_begin();
    for (int i = 0; i < 100; i++)
        memtrace_free(memtrace_alloc(heap, 300));
    capture_end();
    CU_ASSERT_EQUAL(memtrace_root->error_count, before + 1);
    CU_ASSERT_EQUAL(memtrace_root->error_address, (uintptr_t)p);
    CU_ASSERT(was_said("quarantine: 0x"));
    CU_ASSERT(was_said("offset 199\n"));
    memtrace_heap_destroy(heap);
}

static void large_blocks_are_shut(void)
{
    memtrace_heap *heap = create(TRACE, 1 << 20);
    char *p = memtrace_alloc(heap, 100000);
    memset(p, 1, 100000);
    CU_ASSERT_FALSE(faults(p, false));
    memtrace_free(p);
    CU_ASSERT(faults(p, false));
    CU_ASSERT(faults(p + 99999, true));
    capture_begin();
    memtrace_free(p);
    capture_end();
    CU_ASSERT_EQUAL(memtrace_root->error_kind, MT_ERROR_DOUBLE_FREE);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    for (int i = 0; i < 30; i++) {
        char *q = memtrace_alloc(heap, 90000);
        memset(q, 2, 90000);
        memtrace_free(q);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

/* Blocks in quarantine are used before an allocation fails. */
static void quarantine_gives_way(void)
{
    memtrace_heap *heap = memtrace_heap_create(&(struct memtrace_heap_options){
        .name = "small", .size = 1 << 20, .quarantine = 1 << 30});
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    size_t failed = 0;
    for (int i = 0; i < 5000; i++) {
        void *p = memtrace_alloc(heap, i % 10 == 9 ? 50000 : 2000);
        failed += p == NULL;
        memtrace_free(p);
    }
    CU_ASSERT_EQUAL(failed, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

/* The ring ends before the bytes do. */
static void many_small_blocks(void)
{
    memtrace_heap *heap = create(FILL_FREE, 100000);
    static void *blocks[20000];
    for (int i = 0; i < 20000; i++)
        blocks[i] = memtrace_alloc(heap, 1);
    for (int i = 0; i < 20000; i++)
        memtrace_free(blocks[i]);
    struct memtrace_stats s;
    memtrace_heap_stats(heap, &s);
    CU_ASSERT_EQUAL(s.blocks, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

/* --- guards --- */

static void guards_stop_overruns(void)
{
    memtrace_heap *heap = create(GUARD | TRACE, 0);
    static const size_t sizes[] = {32769, 36864, 40000, 49152, 1000000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t align = 16; align <= 65536; align *= 16) {
            char *p = memtrace_alloc_aligned(heap, align, sizes[s]);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            CU_ASSERT_EQUAL((uintptr_t)p % align, 0);
            size_t usable = memtrace_usable_size(p);
            size_t slack = align < 4096 ? align : 4096;
            CU_ASSERT_EQUAL(usable, sizes[s]);
            memset(p, 1, usable);
            CU_ASSERT(faults(p + (usable + slack - 1) / slack * slack, true));
            CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
            memtrace_free(p);
        }
    /* Guards are gone with their blocks. */
    for (int i = 0; i < 200; i++) {
        char *p = memtrace_alloc(heap, 30000);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        memset(p, 1, 30000);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

static void guarded_realloc(void)
{
    memtrace_heap *heap = create(GUARD, 0);
    size_t size = 33000, wrong = 0;
    unsigned char *p = memtrace_alloc(heap, size);
    memset(p, 9, size);
    for (int i = 0; i < 100; i++) {
        size_t next = 33000 + (size_t)(i * 7919 % 200000);
        p = memtrace_realloc(heap, p, next);
        for (size_t j = 0; j < size && j < next; j++)
            wrong += p[j] != 9;
        memset(p, 9, next);
        size = next;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(faults((char *)p + memtrace_usable_size(p), false));
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_free(p);
    memtrace_heap_destroy(heap);
}

static void given_memory_has_no_guards(void)
{
    char *memory = aligned_alloc(16384, 1 << 20);
    memtrace_heap *heap = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "given",
                                        .base = memory,
                                        .size = 1 << 20,
                                        .quarantine = 100000,
                                        .flags = GUARD | FILL_FREE});
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    for (int i = 0; i < 100; i++)
        memtrace_free(memtrace_alloc(heap, 40000));
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
    memset(memory, 0, 1 << 20); /* all of it is the caller's again */
    free(memory);
}

/* --- all together --- */

static void run_model(memtrace_heap *heap, uint64_t seed, uint64_t n)
{
    struct model *m = malloc(sizeof *m);
    model_init(m, heap, seed);
    uint64_t errors = memtrace_root->error_count;
    for (int i = 0; i < 10; i++) {
        model_run(m, n / 10);
        CU_ASSERT_EQUAL_FATAL(memtrace_heap_check(heap), 0);
    }
    model_verify(m);
    model_clear(m);
    CU_ASSERT_EQUAL(m->wrong, 0);
    CU_ASSERT_EQUAL(m->failures, 0);
    CU_ASSERT_EQUAL(memtrace_root->error_count, errors);
    free(m);
}

static void model_of_each_mode(void)
{
    static const unsigned flags[] = {GUARD, FILL_FREE, FILL_ALLOC, TRACE,
                                     GUARD | FILL_FREE | FILL_ALLOC | TRACE};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        memtrace_heap *heap = create(flags[i], i >= 3 ? 4 << 20 : 0);
        run_model(heap, 50 + i, 20000);
        memtrace_heap_destroy(heap);
    }
}

static void model_of_main(void)
{
    run_model(NULL, 60, 40000);
}

static pthread_mutex_t turn[4] = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static struct model *models[4];

static void *take_turns(void *arg)
{
    for (uintptr_t i = (uintptr_t)arg; i < 40; i++) {
        pthread_mutex_lock(&turn[i % 4]);
        model_run(models[i % 4], 200);
        pthread_mutex_unlock(&turn[i % 4]);
    }
    return NULL;
}

static void model_of_threads(void)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        model_init(models[i] = malloc(sizeof **models), NULL, 80 + i);
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, take_turns, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        model_clear(models[i]);
        CU_ASSERT_EQUAL(models[i]->wrong, 0);
        free(models[i]);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

/* A child's heap works, its quarantine included. */
static void forked(void)
{
    void *p = memtrace_alloc(NULL, 5000), *q = memtrace_alloc(NULL, 50000);
    memtrace_free(q);
    pid_t child = fork();
    if (child == 0) {
        memtrace_free(p);
        for (int i = 0; i < 5000; i++)
            memtrace_free(memtrace_alloc(NULL, (size_t)i * 20));
        _exit(memtrace_heap_check(NULL) == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    memtrace_free(p);
}

/* Each of the first system calls fails once: blocks stay whole, and the heap
 * consistent. */
static void failing_calls(void)
{
    bool completed = false;
    for (uint64_t n = 1; !completed && n < 500; n++) {
        char *blocks[40] = {NULL};
        memtrace_heap *heap = create(GUARD | FILL_FREE, 300000);
        mt_os_calls = 0;
        mt_os_fail_at = n;
        for (int i = 0; i < 40; i++) {
            size_t size = i % 2 ? 5000 : 50000;
            blocks[i] = memtrace_alloc(heap, size);
            if (blocks[i])
                memset(blocks[i], i, size);
            if (i >= 20) {
                memtrace_free(blocks[i - 20]);
                blocks[i - 20] = NULL;
            }
        }
        completed = mt_os_calls < n;
        mt_os_fail_at = 0;
        for (int i = 20; i < 40; i++)
            CU_ASSERT(!blocks[i] || blocks[i][4999] == i);
        CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
        memtrace_heap_destroy(heap);
    }
    CU_ASSERT(completed);
}

/* Heaps with quarantines come and go without taking more. */
static void they_come_and_go(void)
{
    uint64_t used[2];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) {
            memtrace_heap *heap = create(FILL_FREE, 1 << 20);
            for (int j = 0; j < 100; j++)
                memtrace_free(memtrace_alloc(heap, 1000));
            memtrace_heap_destroy(heap);
        }
        used[round] = memtrace_root->sections[MT_SECTION_PRIVATE].used;
    }
    CU_ASSERT_EQUAL(used[0], used[1]);
}

/* As when a handler of a signal that has interrupted the heap allocates. */
static void own_lock(void)
{
    static struct mt_lock lock;
    int status = 0;
    mt_lock_acquire(&lock);
    CU_ASSERT(!mt_lock_try(&lock));
    capture_begin();
    pid_t child = fork();
    if (child == 0) {
        mt_lock_acquire(&lock);
        _exit(0);
    }
    waitpid(child, &status, 0);
    capture_end();
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CU_ASSERT(was_said("the heap waits for its own thread"));
    mt_lock_release(&lock);
    CU_ASSERT(mt_lock_try(&lock));
    mt_lock_release(&lock);
}

struct hold {
    struct mt_lock lock;
    uint32_t taken;
};

static void *take_lock(void *argument)
{
    struct hold *hold = argument;
    mt_lock_acquire(&hold->lock);
    hold->taken = 1;
    mt_lock_release(&hold->lock);
    return NULL;
}

/* Another thread may hold it for as long as it likes. */
static void another_lock(void)
{
    static struct hold hold;
    const struct timespec longer = {.tv_sec = 2};
    pthread_t thread;
    mt_lock_acquire(&hold.lock);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, take_lock, &hold), 0);
    nanosleep(&longer, NULL);
    CU_ASSERT_EQUAL(mt_load_relaxed(&hold.taken), 0);
    mt_lock_release(&hold.lock);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(hold.taken, 1);
}

static const struct unit_test tests[] = {
    {"a write to a freed block is found at reuse", write_found_at_reuse},
    {"every byte of a freed block is compared", every_byte_is_compared},
    {"the check finds writes to free blocks", check_finds_writes},
    {"new blocks are filled", allocations_are_filled},
    {"reuse is delayed", reuse_is_delayed},
    {"a write is found when its block leaves", write_found_when_it_leaves},
    {"large freed blocks are inaccessible", large_blocks_are_shut},
    {"the quarantine gives way before memory ends", quarantine_gives_way},
    {"a full ring lets the oldest go", many_small_blocks},
    {"guards stop overruns", guards_stop_overruns},
    {"realloc of guarded blocks", guarded_realloc},
    {"given memory has no guards", given_memory_has_no_guards},
    {"model: named heaps of each mode", model_of_each_mode},
    {"model: the main heap in all modes", model_of_main},
    {"model: threads in all modes", model_of_threads},
    {"a fork's quarantine", forked},
    {"every system call fails once", failing_calls},
    {"safe heaps come and go", they_come_and_go},
    {"a thread that waits for itself ends the process", own_lock},
    {"a thread that waits for another one goes on", another_lock},
};
UNIT_MAIN(tests)
