/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which memory the allocator has touched, for what is asked of it.
 */
#include "heap/alloc.h"
#include "heap/memtrace.h"
#include "tests/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 64, MOST_PAGES = 4096 };

static uintptr_t pages[MOST_PAGES];
static unsigned n_pages;

static void count_page(uintptr_t page)
{
    for (unsigned i = 0; i < n_pages; i++)
        if (pages[i] == page)
            return;
    CU_ASSERT_FATAL(n_pages < MOST_PAGES);
    pages[n_pages++] = page;
}

static void *get(size_t size)
{
    char *p = memtrace_alloc(NULL, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memset(p, 1, size);
    for (uintptr_t at = (uintptr_t)p & ~(uintptr_t)4095;
         at < (uintptr_t)p + size; at += 4096)
        count_page(at);
    return p;
}

static void start_again(void)
{
    memtrace_trim();
    n_pages = 0;
}

/* One block of each size: 33 KiB of 32 classes. */
static void few_blocks_share_pages(void)
{
    void *blocks[SIZES];
    start_again();
    for (size_t i = 0; i < SIZES; i++)
        blocks[i] = get((i + 1) * 16);
    CU_ASSERT(n_pages >= 9 && n_pages <= 24);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
    for (size_t i = 0; i < SIZES; i++) {
        size_t usable = memtrace_usable_size(blocks[i]), size = (i + 1) * 16;
        CU_ASSERT(usable >= size && usable <= size + size / 2 + 32);
        memtrace_free(blocks[i]);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

/* A class whose blocks are wanted again and again has spans of its own. */
static void many_blocks_are_exact(void)
{
    enum { N = 4000, SIZE = 111 };
    static void *blocks[N];
    unsigned larger = 0;
    start_again();
    void *lender = get(SIZE + 16);
    for (unsigned i = 0; i < N; i++) {
        blocks[i] = get(SIZE);
        larger += mt_span_of((uintptr_t)blocks[i])->block_bytes > SIZE + 1;
    }
    CU_ASSERT(larger > 0 && larger < N / 10);
    for (unsigned i = 0; i < N; i++)
        memtrace_free(blocks[i]);
    memtrace_free(lender);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

/* Blocks of a larger class are not aligned as the own class's are. */
static void alignment_is_kept(void)
{
    enum { N = 2000 };
    static void *blocks[N];
    start_again();
    unsigned seed = 1, wrong = 0;
    for (unsigned i = 0; i < N; i++) {
        seed = seed * 1103515245 + 12345;
        size_t size = 1 + (seed >> 16) % 3000;
        size_t align = (size_t)16 << (seed >> 8) % 9;
        if (i % 2) {
            blocks[i] = memtrace_alloc_aligned(NULL, align, size);
            wrong += (uintptr_t)blocks[i] % align != 0;
            wrong += memtrace_usable_size(blocks[i]) < size;
        } else {
            blocks[i] = get(size);
        }
        if (seed % 3 == 0) {
            memtrace_free(blocks[i / 2]);
            blocks[i / 2] = get(24);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
    for (unsigned i = 0; i < N; i++)
        memtrace_free(blocks[i]);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

/* Touched memory is used again before untouched memory. */
static void touched_first(void)
{
    void *blocks[100];
    start_again();
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 100; i++)
            blocks[i] = get(32);
        for (unsigned i = 100; i-- > 0;)
            memtrace_free(blocks[i]);
    }
    CU_ASSERT(n_pages <= 2);
}

static size_t found[SIZES];

static int note_size(const struct memtrace_block *block, void *unused)
{
    (void)unused;
    if (block->requested % 16 == 5 && block->requested / 16 < SIZES &&
        block->depth > 0)
        found[block->requested / 16]++;
    return 0;
}

/* The tag of a block has the requested size, whatever its class. */
static void tags_tell_requests(void)
{
    void *blocks[SIZES];
    start_again();
    memtrace_heap_trace(NULL, 1);
    for (size_t i = 0; i < SIZES; i++)
        blocks[i] = get(i * 16 + 5);
    memset(found, 0, sizeof found);
    memtrace_heap_walk(NULL, note_size, NULL);
    for (size_t i = 0; i < SIZES; i++)
        CU_ASSERT_EQUAL(found[i], 1);
    memtrace_heap_trace(NULL, 0);
    for (size_t i = 0; i < SIZES; i++)
        memtrace_free(blocks[i]);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

/* --- what threads leave --- */

enum { LEFT = 20000 };
static void *left[LEFT];

struct leaver {
    size_t size;
    unsigned from, to, step; /* of `left` */
    bool frees;
};

static void *leave(void *arg)
{
    const struct leaver *l = arg;
    for (unsigned i = l->from; i < l->to; i += l->step) {
        if (l->frees)
            memtrace_free(left[i]);
        else
            left[i] = memtrace_alloc(NULL, l->size);
    }
    return NULL;
}

static void run_and_end(struct leaver l)
{
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, leave, &l), 0);
    pthread_join(thread, NULL);
}

static size_t span_bytes(void)
{
    struct memtrace_stats stats;
    memtrace_heap_stats(NULL, &stats);
    return stats.span_bytes;
}

/* A thread gets the free blocks of threads that have ended, of the size that it
 * wants, whichever of their caches it has. */
static void left_blocks_serve_others(void)
{
    static const size_t sizes[] = {48, 1000, 300, 96};
    start_again();
    for (unsigned t = 0; t < 4; t++) /* each leaves half of its blocks free */
        run_and_end((struct leaver){sizes[t], t * 5000, t * 5000 + 5000, 1, 0});
    run_and_end((struct leaver){0, 0, LEFT, 2, true});
    size_t before = span_bytes();
    for (unsigned t = 4; t-- > 0;)
        run_and_end((struct leaver){sizes[t], t * 5000, t * 5000 + 5000, 2, 0});
    CU_ASSERT(span_bytes() <= before + 4 * MT_SLICE_BYTES);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
    /* All free: nothing is left of them, though their owners are gone. */
    for (unsigned i = 0; i < LEFT; i++)
        memtrace_free(left[i]);
    memtrace_trim();
    CU_ASSERT(span_bytes() < before / 10);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

/* A thread that frees a block of an ended thread may take its span. */
static void who_frees_may_have(void)
{
    start_again();
    run_and_end((struct leaver){200, 0, 5000, 1, false});
    void *freed = left[777];
    memtrace_free(freed);
    bool again = false;
    for (unsigned i = 0; i < 200; i++) {
        left[5000 + i] = memtrace_alloc(NULL, 200);
        again |= left[5000 + i] == freed;
    }
    CU_ASSERT(again);
    for (unsigned i = 0; i < 5200; i++)
        if (i != 777)
            memtrace_free(left[i]);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

/* At a limit blocks of other sizes, what threads left and spans that are kept
 * for later do as well. */
static void last_resorts(void)
{
    start_again();
    run_and_end((struct leaver){3000, 0, 200, 1, false});
    struct memtrace_stats stats;
    memtrace_heap_stats(NULL, &stats);
    memtrace_heap_limit(NULL, stats.span_bytes);
    for (unsigned i = 0; i < 200; i += 2)
        memtrace_free(left[i]); /* no span is empty */
    unsigned got = 0;
    for (; got < 100 && (left[got * 2] = memtrace_alloc(NULL, 64)); got++)
        ;
    CU_ASSERT(got >= 90);
    memtrace_heap_limit(NULL, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
    for (unsigned i = 0; i < 200; i++)
        if (i % 2 || i / 2 < got)
            memtrace_free(left[i]);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
}

static const struct unit_test tests[] = {
    {"few blocks of many sizes share pages", few_blocks_share_pages},
    {"many blocks of a size are of its class", many_blocks_are_exact},
    {"alignment is kept among borrowed blocks", alignment_is_kept},
    {"what was touched is used first", touched_first},
    {"tags tell what was asked for", tags_tell_requests},
    {"what ended threads left serves others", left_blocks_serve_others},
    {"who frees a block of an ended thread may have it", who_frees_may_have},
    {"at a limit any block will do", last_resorts},
};
UNIT_MAIN(tests)
