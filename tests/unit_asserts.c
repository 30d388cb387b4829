/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_asserts.c - damage to each structure of the heap is met by an assertion,
 * in a build with --enable-debug.
 */
#include "heap/alloc.h"
#include "heap/capture/capture_fast.h"
#include "heap/capture/stacks.h"
#include "heap/heap_check.h"
#include "heap/memtrace.h"
#include "heap/pages.h"
#include "tests/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 4000

static void *blocks[N];

/* In a child: the damage, and what is to meet it. Returns what it wrote to
 * stderr; the empty text if it did not abort. */
static const char *abort_text(void (*damage)(void))
{
    static char text[2000];
    int ends[2], status = 0;
    size_t length = 0;
    ssize_t n;
    if (pipe(ends) != 0)
        return "";
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], 2);
        alarm(30);
        damage();
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : "";
}

/* `file` has the assertion. */
#define CAUGHT(damage, file)                                                   \
    do {                                                                       \
        const char *said = abort_text(damage);                                 \
        CU_ASSERT_PTR_NOT_NULL(strstr(said, file ":"));                        \
        CU_ASSERT_PTR_NOT_NULL(strstr(said, ": assertion failed: "));          \
    } while (0)

static void alloc_all(size_t size)
{
    for (int i = 0; i < N; i++)
        blocks[i] = memtrace_alloc(NULL, size);
}

/* --- spans --- */

static void span_without_a_slice(void)
{
    void *block = memtrace_alloc(NULL, 200000);
    const mt_span *span = mt_span_of((uintptr_t)block);
    mt_slice_map(mt_region_at(span->region))[span->first_slice] = 0;
    mt_span_release(mt_main, (mt_span *)span);
}

static void span_counted_twice(void)
{
    void *block = memtrace_alloc(NULL, 200000);
    mt_main->record->span_bytes = 4096;
    memtrace_free(block);
}

static void run_with_a_wrong_neighbour(void)
{
    void *some[6];
    for (int i = 0; i < 6; i++)
        some[i] = memtrace_alloc(NULL, 200000);
    mt_span *first = mt_span_of((uintptr_t)some[0]);
    memtrace_free(some[0]);
    memtrace_free(some[2]);
    first->prev = first->prev ? 0 : mt_span_id(mt_span_of((uintptr_t)some[1]));
    memtrace_free(some[1]); /* is joined with both */
}

static void span_damage(void)
{
    CAUGHT(span_without_a_slice, "heap/pages.c");
    CAUGHT(span_counted_twice, "heap/pages.c");
    CAUGHT(run_with_a_wrong_neighbour, "heap/runs.c");
}

/* --- caches --- */

static void list_with_a_wrong_link(void)
{
    alloc_all(1000);
    /* A span in the middle of the list of full ones. */
    mt_span *span = mt_span_of((uintptr_t)blocks[N / 2]);
    span->prev = span->next;
    memtrace_free(blocks[N / 2]);
}

static void list_of_anothers_span(void)
{
    alloc_all(1000);
    struct mt_cache *cache = mt_cache_get();
    mt_span_at(cache->full)->owner = 0;
    mt_cache_move_all(cache, cache);
}

static void word_with_a_bit_of_no_block(void)
{
    memtrace_heap *heap = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "one span"});
    const char *first = memtrace_alloc(heap, 5000);
    mt_span *span = mt_span_of((uintptr_t)first);
    *mt_local(span) |= UINT64_C(1) << 63;
    for (int i = 0; i < 100; i++)
        memtrace_free(memtrace_alloc(heap, 5000));
    mt_cache_trim(heap->cache);
}

static void cache_damage(void)
{
    CAUGHT(list_with_a_wrong_link, "heap/cache.c");
    CAUGHT(list_of_anothers_span, "heap/cache.c");
    CAUGHT(word_with_a_bit_of_no_block, "heap/cache.c");
}

/* --- orphans --- */

static void *alloc_and_end(void *arg)
{
    for (int i = 0; i < N; i++)
        blocks[i] = memtrace_alloc(NULL, 1000);
    for (int i = 0; i < N; i += 2)
        memtrace_free(blocks[i]);
    return arg;
}

static void orphan_with_an_owner(void)
{
    pthread_t thread;
    struct mt_cache *cache = mt_start() ? mt_cache_get() : NULL;
    pthread_create(&thread, NULL, alloc_and_end, NULL);
    pthread_join(thread, NULL);
    uint32_t c = mt_class_for(1000, MT_MIN_BLOCK);
    mt_span_at(mt_cache_of(mt_orphan_owner)->bins[c].partial)->owner =
        cache->id;
    mt_take_orphan(cache, c);
}

static void orphan_damage(void)
{
    CAUGHT(orphan_with_an_owner, "heap/threads.c");
}

/* --- side tables --- */

/* The tags of a span of a heap that is gone, which are in a list. */
static uint64_t *free_tags(void)
{
    memtrace_heap *heap = memtrace_heap_create(&(struct memtrace_heap_options){
        .name = "gone", .flags = MEMTRACE_HEAP_TRACE});
    void *block = memtrace_alloc(heap, 100);
    uint64_t *tags = mt_tags(mt_span_of((uintptr_t)block));
    memtrace_heap_destroy(heap);
    return tags;
}

static void take_arrays(void)
{
    for (int i = 0; i < 3; i++) {
        memtrace_heap *heap =
            memtrace_heap_create(&(struct memtrace_heap_options){
                .name = "new", .flags = MEMTRACE_HEAP_TRACE});
        memtrace_alloc(heap, 100);
    }
}

static void array_outside_its_section(void)
{
    static uint64_t elsewhere[1024] __attribute__((aligned(64)));
    uint64_t *tags = free_tags();
    *tags = (uintptr_t)elsewhere; /* the next one of the list */
    take_arrays();
}

static void array_freed_twice(void)
{
    memtrace_heap *heap = memtrace_heap_create(&(struct memtrace_heap_options){
        .name = "twice", .flags = MEMTRACE_HEAP_TRACE});
    mt_span *span = mt_span_of((uintptr_t)memtrace_alloc(heap, 100));
    mt_span again = *span;
    mt_side_free(span);
    mt_side_free(&again);
}

static void side_damage(void)
{
    CAUGHT(array_outside_its_section, "heap/side_tables.c");
    CAUGHT(array_freed_twice, "heap/side_tables.c");
}

/* --- memo --- */

static void counter_of_another_stack(void)
{
    alloc_all(100);
    struct mt_memo *memo = &mt_cache_get()->capture->memo;
    for (uint32_t i = 0; i < memo->n_slots; i++)
        if (memo->counters[i].stack)
            memo->counters[i].stack++;
    mt_memo_clear(memo);
}

static void slot_of_another_entry(void)
{
    alloc_all(100);
    struct mt_memo *memo = &mt_cache_get()->capture->memo;
    for (uint32_t i = 0; i < memo->n_slots; i++)
        if (memo->slots[i].at && memo->slots[i].at != MT_MEMO_BRANCH)
            mt_memo_at(memo, memo->slots[i].at)->slot++;
    mt_memo_clear(memo);
}

static void memo_damage(void)
{
    CAUGHT(counter_of_another_stack, "heap/capture/memo.c");
    CAUGHT(slot_of_another_entry, "heap/capture/memo.c");
}

/* --- stack table --- */

static void add_stacks(uint64_t n)
{
    bool known;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t frames[2] = {0x7000000000 + 16 * i, 0x7100000000};
        mt_stacks_intern(frames, 2, 0, NULL, &known);
    }
}

static void node_of_another_caller(void)
{
    alloc_all(100);
    add_stacks(10);
    for (uint32_t id = MT_NODE_FIRST; id < MT_NODE_FIRST + 5; id++)
        mt_tree_node(id)->parent ^= 1u << 20;
    add_stacks(5000);
}

static void count_of_no_stack(void)
{
    alloc_all(100);
    mt_stacks_count(1000000, 1, 1);
}

static void stack_damage(void)
{
    CAUGHT(node_of_another_caller, "heap/capture/frame_tree.c");
    CAUGHT(count_of_no_stack, "heap/capture/stacks.c");
}

/* --- the check now and then --- */

static void heap_with_a_wrong_sum(void)
{
    alloc_all(100);
    mt_main->class_bytes[0] += 16;
    mt_main->class_peak[0] = mt_main->class_bytes[0];
    for (int i = 0; i < 10; i++)
        alloc_all(100);
}

static void check_damage(void)
{
    const char *said = abort_text(heap_with_a_wrong_sum);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "bytes of a class are not the sum"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "heap/heap_check.c:"));
}

static void nothing_wrong(void)
{
    alloc_all(100);
    for (int i = 0; i < N; i++)
        memtrace_free(blocks[i]);
}

static void no_damage(void)
{
    CU_ASSERT_STRING_EQUAL(abort_text(nothing_wrong), "");
}

static const struct unit_test tests[] = {
    {"a heap that is whole meets no assertion", no_damage},
    {"damage to a span, or a free run, is met by an assertion", span_damage},
    {"damage to a thread's cache is met by an assertion", cache_damage},
    {"an orphan of another owner is met by an assertion", orphan_damage},
    {"damage to the lists of side tables is met by an assertion", side_damage},
    {"damage to a memo is met by an assertion", memo_damage},
    {"damage to the stack table is met by an assertion", stack_damage},
    {"a heap is checked every few thousand allocations", check_damage},
};
UNIT_MAIN(tests)
