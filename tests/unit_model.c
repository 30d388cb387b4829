/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random operations against a model: 12 million in all, in one thread and
 * many, with blocks freed by other threads, forks, limits and toggling.
 */
#include "heap/alloc.h"
#include "tests/heap_model.h"
#include "tests/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8

static uint64_t operations;

static struct model *new_model(memtrace_heap *heap, uint64_t seed)
{
    struct model *m = malloc(sizeof *m);
    model_init(m, heap, seed);
    return m;
}

/* Runs n operations in steps, with every invariant checked after each. */
static void run_checked(memtrace_heap *heap, uint64_t seed, uint64_t n)
{
    struct model *m = new_model(heap, seed);
    for (uint64_t done = 0; done < n; done += n / 20) {
        model_run(m, n / 20);
        CU_ASSERT_EQUAL_FATAL(memtrace_heap_check(heap), 0);
    }
    model_verify(m);
    struct memtrace_stats s;
    memtrace_heap_stats(heap, &s);
    size_t live = 0;
    for (size_t i = 0; i < MODEL_SLOTS; i++)
        live += m->blocks[i].p != NULL;
    if (heap != memtrace_heap_main())
        CU_ASSERT_EQUAL(s.blocks, live);
    model_clear(m);
    CU_ASSERT_EQUAL(m->wrong, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    operations += m->operations;
    free(m);
}

static void main_untraced(void)
{
    memtrace_heap_trace(NULL, 0);
    run_checked(memtrace_heap_main(), 1, 2000000);
}

static void main_traced(void)
{
    memtrace_heap_trace(NULL, 1);
    run_checked(memtrace_heap_main(), 2, 2000000);
}

static void named(void)
{
    memtrace_heap *heap = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "model", .flags = 4});
    run_checked(heap, 3, 1000000);
    memtrace_heap_destroy(heap);
}

static void fixed_and_full(void)
{
    memtrace_heap *heap = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "full", .size = 8 << 20});
    struct model *m = new_model(heap, 4);
    model_run(m, 1000000);
    CU_ASSERT(m->failures > 100);
    model_verify(m);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    model_clear(m);
    CU_ASSERT_EQUAL(m->wrong, 0);
    operations += m->operations;
    memtrace_heap_destroy(heap);
    free(m);
}

/* Threads that each take any of the models in turn, so that most blocks are
 * freed by a thread that did not allocate them. */
static struct {
    struct model *models[THREADS];
    pthread_mutex_t locks[THREADS];
    uint64_t rounds;
    int toggle, forks, trim;
} shared;

static void fork_once(struct model *m)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        model_run(m, 3000);
        model_verify(m);
        model_clear(m);
        _exit(m->wrong != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
}

static void *thread(void *arg)
{
    uintptr_t self = (uintptr_t)arg;
    for (uint64_t i = 0; i < shared.rounds; i++) {
        size_t which = (self * 7 + i * 5) % THREADS;
        pthread_mutex_lock(&shared.locks[which]);
        model_run(shared.models[which], 500);
        if (shared.forks && self == 0 && i % 50 == 0)
            fork_once(shared.models[which]);
        pthread_mutex_unlock(&shared.locks[which]);
        if (shared.toggle && self == 0)
            memtrace_heap_trace(shared.models[0]->heap, (int)(i & 1));
        if (shared.trim && self == 1)
            memtrace_trim();
    }
    return NULL;
}

static void run_threads(memtrace_heap *heap, uint64_t rounds, int generations)
{
    shared.rounds = rounds;
    for (int i = 0; i < THREADS; i++) {
        shared.models[i] = new_model(heap, 100 + (uint64_t)i);
        pthread_mutex_init(&shared.locks[i], NULL);
    }
    for (int g = 0; g < generations; g++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, thread, (void *)i);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL_FATAL(memtrace_heap_check(heap), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        model_verify(shared.models[i]);
        model_clear(shared.models[i]);
        CU_ASSERT_EQUAL(shared.models[i]->wrong, 0);
        operations += shared.models[i]->operations;
        free(shared.models[i]);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    struct memtrace_stats s;
    memtrace_heap_stats(heap, &s);
    CU_ASSERT_EQUAL(s.blocks, 0);
}

static void threads_untraced(void)
{
    memtrace_heap_trace(NULL, 0);
    run_threads(memtrace_heap_main(), 50, 10);
}

static void threads_traced(void)
{
    memtrace_heap_trace(NULL, 1);
    run_threads(memtrace_heap_main(), 50, 5);
}

static void threads_toggling(void)
{
    shared.toggle = 1;
    run_threads(memtrace_heap_main(), 100, 2);
    shared.toggle = 0;
}

static void threads_forking(void)
{
    shared.forks = 1;
    run_threads(memtrace_heap_main(), 100, 2);
    shared.forks = 0;
}

/* Pages of records, tags and bitmaps go and come back under the threads. */
static void threads_trimming(void)
{
    memtrace_heap_trace(NULL, 1);
    shared.trim = shared.forks = 1;
    run_threads(memtrace_heap_main(), 100, 3);
    shared.trim = shared.forks = 0;
}

static void threads_named(void)
{
    memtrace_heap *heap = memtrace_heap_create(&(struct memtrace_heap_options){
        .name = "locked", .flags = MEMTRACE_HEAP_LOCKED | 4});
    run_threads(heap, 50, 2);
    memtrace_heap_destroy(heap);
}

/* Blocks that a thread leaves when it exits serve those who come later. */
static void *leave(void *arg)
{
    void **blocks = arg;
    for (int i = 0; i < 1000; i++)
        blocks[i] = memtrace_alloc(NULL, (size_t)(i % 200));
    return NULL;
}

static void threads_by_the_thousand(void)
{
    static void *blocks[1000];
    memtrace_trim();
    struct memtrace_stats before, after;
    uint64_t used = 0;
    for (int i = 0; i < 2000; i++) {
        pthread_t t;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, leave, blocks), 0);
        pthread_join(t, NULL);
        for (int j = 0; j < 1000; j++)
            memtrace_free(blocks[j]);
        if (i == 1000) {
            memtrace_heap_stats(NULL, &before);
            used = memtrace_root->sections[MT_SECTION_PRIVATE].used;
        }
    }
    memtrace_heap_stats(NULL, &after);
    CU_ASSERT_EQUAL(after.blocks, 0);
    CU_ASSERT(after.span_bytes <= before.span_bytes + (1 << 20));
    /* A cache each would be more; memos grow to their bound. */
    CU_ASSERT(memtrace_root->sections[MT_SECTION_PRIVATE].used <=
              used + 1000 * sizeof(struct mt_cache) / 2);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

static void enough_operations(void)
{
    printf("  %llu operations\n", (unsigned long long)operations);
    CU_ASSERT(operations >= 10000000);
}

static const struct unit_test tests[] = {
    {"model: main heap", main_untraced},
    {"model: main heap, traced", main_traced},
    {"model: named heap", named},
    {"model: a fixed heap that is full", fixed_and_full},
    {"model: threads", threads_untraced},
    {"model: threads, traced", threads_traced},
    {"model: threads while tracing is switched", threads_toggling},
    {"model: threads that fork", threads_forking},
    {"model: threads while memory is given back", threads_trimming},
    {"model: threads on a named heap", threads_named},
    {"model: threads by the thousand", threads_by_the_thousand},
    {"model: at least 10 million operations", enough_operations},
};
UNIT_MAIN(tests)
