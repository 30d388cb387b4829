/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each kind of wrong pointer is recognized; planted damage is found; running
 * out at every system call leaves all blocks as they were.
 */
#include "heap/alloc.h"
#include "heap/memtrace.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls f with stderr in a file; returns what it wrote. */
static const char *stderr_of(void (*f)(void *), void *arg)
{
    static char text[8192];
    char name[] = "/tmp/memtrace-unit-XXXXXX";
    int file = mkstemp(name), saved = dup(2);
    unlink(name);
    dup2(file, 2);
    mt_config.abort_on_error = false;
    f(arg);
    dup2(saved, 2);
    ssize_t n = pread(file, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(file);
    close(saved);
    return text;
}

static void do_free(void *p)
{
    errno = 77;
    memtrace_free(p);
    CU_ASSERT_EQUAL(errno, 77);
}

static void expect(void *p, uint32_t kind, const char *text)
{
    uint64_t before = memtrace_root->error_count;
    const char *said = stderr_of(do_free, p);
    CU_ASSERT_EQUAL(memtrace_root->error_count, before + 1);
    CU_ASSERT_EQUAL(memtrace_root->error_kind, kind);
    CU_ASSERT_EQUAL(memtrace_root->error_address, (uintptr_t)p);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, text));
    if (!strstr(said, text))
        printf("%s", said);
}

static void wrong_pointers(void)
{
    int on_stack;
    memtrace_heap *main_heap = memtrace_heap_main();
    memtrace_heap_trace(main_heap, 1);
    memtrace_heap *named = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "n", .flags = 4});
    memtrace_heap *heaps[] = {main_heap, named};
    static const size_t sizes[] = {16, 100, 5000, 32768, 40000, 3000000};
    for (int h = 0; h < 2; h++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            char *p = memtrace_alloc(heaps[h], sizes[i]);
            char *q = memtrace_alloc(heaps[h], sizes[i]);
            expect(p + 8, MT_ERROR_INTERIOR, "inside a block");
            expect(p + 1, MT_ERROR_INTERIOR, "last allocated by");
            memtrace_free(p);
            expect(p, MT_ERROR_DOUBLE_FREE, "is freed already");
            expect(p, MT_ERROR_DOUBLE_FREE, "last allocated by");
            if (sizes[i] <= 5000) /* larger ones may have a span each */
                expect(p + 8, MT_ERROR_MISALIGNED, "where no live block");
            memtrace_free(q);
        }
    expect(&on_stack, MT_ERROR_FOREIGN, "in no heap");
    expect((void *)1, MT_ERROR_FOREIGN, "in no heap");
    expect(memtrace_root, MT_ERROR_FOREIGN, "in no heap");
    memtrace_heap_destroy(named);
}

static void do_realloc(void *p)
{
    CU_ASSERT_PTR_NULL(memtrace_realloc(NULL, p, 100));
}

static void realloc_of_freed(void)
{
    char *p = memtrace_alloc(NULL, 50);
    memtrace_free(p);
    const char *said = stderr_of(do_realloc, p);
    CU_ASSERT_EQUAL(memtrace_root->error_kind, MT_ERROR_FREED);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "realloc(): "));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "freed block"));
}

/* --- planted damage --- */

static int violations;

static void do_check(void *heap)
{
    violations = memtrace_heap_check(heap);
}

static int check_quietly(memtrace_heap *heap)
{
    stderr_of(do_check, heap);
    return violations;
}

/* Changes one field, expects the check to see it, and puts it back. */
#define PLANT(heap, lvalue, wrong)                                             \
    do {                                                                       \
        __typeof__(lvalue) was = (lvalue);                                     \
        (lvalue) = (__typeof__(lvalue))(wrong);                                \
        CU_ASSERT(check_quietly(heap) > 0);                                    \
        (lvalue) = was;                                                        \
        CU_ASSERT_EQUAL(check_quietly(heap), 0);                               \
    } while (0)

static void planted_damage(void)
{
    memtrace_heap *heap = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "damaged", .flags = 4});
    void *blocks[600];
    for (int i = 0; i < 600; i++)
        blocks[i] = memtrace_alloc(heap, 40);
    char *large = memtrace_alloc(heap, 100000);
    void *hole = memtrace_alloc(heap, 200000);
    memtrace_alloc(heap, 50000);
    memtrace_free(hole);
    memtrace_free(blocks[3]);
    CU_ASSERT_EQUAL(check_quietly(heap), 0);
    mt_span *small = mt_span_of((uintptr_t)blocks[0]);
    mt_span *big = mt_span_of((uintptr_t)large);
    mt_span *run = mt_span_of((uintptr_t)hole);
    struct mt_region_record *r = mt_region_of((uintptr_t)large);
    uint32_t *map = (uint32_t *)r->slice_map;
    CU_ASSERT_EQUAL_FATAL(run->state, MT_SPAN_FREE);
    PLANT(heap, small->base, small->base + 16);
    PLANT(heap, small->recip, small->recip + 1);
    PLANT(heap, small->block_bytes, 64);
    PLANT(heap, small->n_blocks, small->n_blocks - 1);
    PLANT(heap, small->size_class, 70);
    PLANT(heap, small->local, 4096);
    PLANT(heap, small->tags, 4096);
    PLANT(heap, small->owner, 9999);
    PLANT(heap, small->owner_key, 9999);
    PLANT(heap, small->first_slice, small->first_slice + 1);
    PLANT(heap, small->n_slices, 5);
    PLANT(heap, small->state, MT_SPAN_LARGE);
    PLANT(heap, small->heap, 77);
    PLANT(heap, mt_local(small)[mt_bitmap_words(small->n_blocks) - 1],
          UINT64_C(1) << 63);
    PLANT(heap, big->requested, 1 << 30);
    PLANT(heap, big->inline_local, 1);
    PLANT(heap, big->n_slices, 0);
    PLANT(heap, run->state, MT_SPAN_UNUSED);
    PLANT(heap, run->flags, run->flags ^ MT_SPAN_DIRTY);
    PLANT(heap, run->prev, 3);
    PLANT(heap, map[big->first_slice + 1], 0);
    PLANT(heap, map[run->first_slice + 1], mt_span_id(run));
    PLANT(heap, heap->record->span_bytes, 1);
    PLANT(heap, heap->record->dirty_bytes, 1);
    PLANT(heap, heap->runs[MT_RUNS_DIRTY].nonempty[0], 0);
    PLANT(heap, heap->cache->bins[2].span, mt_span_id(big));
    PLANT(heap, heap->cache->bins[2].word, (uint64_t *)map);
    memtrace_heap_destroy(heap);
}

/* --- failing system calls --- */

static bool intact(unsigned char **blocks, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; blocks[i] && j < 3000; j += 100)
            if (blocks[i][j] != (unsigned char)(i + 1))
                return false;
    return true;
}

/* One heap's life; false if some call of it failed, as it may. */
static bool live(memtrace_heap **heap, unsigned char **blocks)
{
    *heap = memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "failing", .flags = 4});
    if (*heap == NULL)
        return false;
    bool all = true;
    for (int i = 0; i < 200; i++) {
        size_t size = i % 10 == 9 ? 3000000 : 3000;
        blocks[i] = memtrace_alloc(*heap, size);
        if (blocks[i])
            memset(blocks[i], i + 1, 3000);
        else
            all = false;
    }
    return all;
}

static void every_call_fails_once(void)
{
    int completed = 0;
    for (uint64_t n = 1; !completed && n < 300; n++) {
        unsigned char *blocks[200] = {NULL};
        memtrace_heap *heap;
        mt_os_calls = 0;
        mt_os_fail_at = n;
        errno = 0;
        bool all = live(&heap, blocks);
        if (!all)
            CU_ASSERT_EQUAL(errno, ENOMEM);
        completed = mt_os_calls < n;
        CU_ASSERT(intact(blocks, 200));
        if (heap) {
            for (int i = 0; i < 200; i += 2)
                memtrace_free(blocks[i]);
            CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
            memtrace_heap_destroy(heap);
        }
        mt_os_fail_at = 0;
    }
    CU_ASSERT(completed);
}

/* Allocates from ever new stacks, so that a collection is due. */
static __attribute__((noinline)) void *alloc_below(unsigned way)
{
    void *volatile block;
    if (way == 0)
        return memtrace_alloc(NULL, 40);
    block = way & 1 ? alloc_below(way >> 1) : NULL;
    if (!(way & 1))
        block = alloc_below(way >> 1);
    return block;
}

/* What a process does, from the start of its heap; 0: as it should be. */
static int whole_life(void)
{
    unsigned char *blocks[60] = {NULL};
    for (unsigned i = 0; i < 60; i++) {
        size_t size = i % 20 == 19 ? 2000000 : i * 50 + 1;
        blocks[i] = memtrace_alloc(NULL, size);
        if (blocks[i])
            memset(blocks[i], (int)i + 1, size < 3000 ? size : 3000);
        else if (errno != ENOMEM)
            return 2;
    }
    for (unsigned way = 0; way < 3000; way++)
        memtrace_free(alloc_below(way));
    for (unsigned i = 0; i < 60; i++)
        if (blocks[i] && (blocks[i][0] != i + 1 ||
                          blocks[i][i % 20 == 19 ? 2999 : i * 50] != i + 1))
            return 3;
    /* Only a heap that could not start, or has no thread, has no stacks. */
    unsigned char *last = alloc_below(77);
    uint32_t index;
    if (!last)
        return blocks[0] || blocks[59] ? 4 : 0;
    mt_span *span = mt_block_of((uintptr_t)last, &index, "test", 0);
    uint64_t tag = span && span->tags ? mt_tags(span)[index] : 0;
    if (MT_TAG_STACK(tag) < MT_STACK_FIRST)
        return 5;
    return memtrace_heap_check(NULL) ? 6 : 0;
}

/* In children: the heap of this process is not started. */
static void every_call_from_the_start(void)
{
    int completed = 0;
    for (uint64_t n = 1; !completed && n < 300; n++) {
        pid_t child = fork();
        if (child == 0) {
            mt_os_fail_at = n;
            int wrong = whole_life();
            _exit(wrong ? wrong : mt_os_calls < n ? 1 : 0);
        }
        int status = 0;
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        completed = WIFEXITED(status) && WEXITSTATUS(status) == 1;
        CU_ASSERT(completed || status == 0);
        if (!completed && status)
            printf("  call %d: status 0x%x\n", (int)n, (unsigned)status);
    }
    CU_ASSERT(completed);
}

static const struct unit_test tests[] = {
    {"every system call of a process fails once", every_call_from_the_start},
    {"wrong pointers are told apart", wrong_pointers},
    {"realloc of a freed block", realloc_of_freed},
    {"planted damage is found", planted_damage},
    {"every system call fails once", every_call_fails_once},
};
UNIT_MAIN(tests)
