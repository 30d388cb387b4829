/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Page sizes, transparent huge pages and NUMA nodes of heaps.
 */
#include "heap/page_kinds.h"
#include "heap/memtrace.h"
#include "tests/heap_model.h"
#include "tests/unit.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static memtrace_heap *create(size_t page_size, const char *nodes,
                             unsigned flags, size_t size)
{
    return memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "pages",
                                        .page_size = page_size,
                                        .numa_nodes = nodes,
                                        .flags = flags,
                                        .size = size});
}

static const struct mt_heap_record *record_of(const memtrace_heap *heap)
{
    return heap->record;
}

static void node_lists(void)
{
    static const struct {
        const char *text;
        uint64_t nodes;
    } good[] = {{"0", 1},           {"1,3", 10},     {"0-2", 7},
                {"63", 1ull << 63}, {"0-63", ~0ull}, {"2,0-1,2", 7}};
    static const char *const bad[] = {
        "",   ",", "1,", "-1",    "64",   "2-1",
        "0-", "a", "0 ", "0-1-2", "0,,1", "99999999999999999999"};
    uint64_t nodes;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CU_ASSERT(mt_memory_nodes(good[i].text, strlen(good[i].text), &nodes));
        CU_ASSERT_EQUAL(nodes, good[i].nodes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_FALSE(mt_memory_nodes(bad[i], strlen(bad[i]), &nodes));
}

static void wrong_options(void)
{
    char given[65536];
    errno = 0;
    CU_ASSERT_PTR_NULL(create(8192, NULL, 0, 0));
    CU_ASSERT_EQUAL(errno, EINVAL);
    errno = 0;
    CU_ASSERT_PTR_NULL(create(0, "x", 0, 0));
    CU_ASSERT_EQUAL(errno, EINVAL);
    errno = 0;
    CU_ASSERT_PTR_NULL(memtrace_heap_create(
        &(struct memtrace_heap_options){.name = "given",
                                        .base = given,
                                        .size = sizeof given,
                                        .numa_nodes = "0"}));
    CU_ASSERT_EQUAL(errno, EINVAL);
}

/* Can the kernel give a page of this size? */
static bool have_page(size_t bytes, int shift)
{
    void *page =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | shift << 26, -1, 0);
    if (page == MAP_FAILED)
        return false;
    munmap(page, bytes);
    return true;
}

/* With large pages in the pool, a heap lives on them; without, creating it
 * fails cleanly. */
static void use_large_pages(size_t bytes, int shift)
{
    errno = 0;
    memtrace_heap *heap = create(bytes, NULL, 0, 0);
    if (!have_page(bytes, shift)) {
        CU_ASSERT_PTR_NULL(heap);
        /* A processor that lacks the size gives EINVAL. */
        CU_ASSERT(errno == ENOMEM || errno == EINVAL);
        return;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    CU_ASSERT_EQUAL(record_of(heap)->page_bytes, bytes);
    char *blocks[1000];
    size_t n = 0, wrong = 0;
    while (n < 1000 && (blocks[n] = memtrace_alloc(heap, 100000)))
        memset(blocks[n], (int)n, 100000), n++;
    CU_ASSERT(n >= bytes / 131072);
    if (n < 1000)
        CU_ASSERT_EQUAL(errno, ENOMEM);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 100000; j += 1000)
            wrong += blocks[i][j] != (char)i;
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(record_of(heap)->committed % bytes, 0);
    for (size_t i = 0; i < n; i++)
        memtrace_free(blocks[i]);
    memtrace_trim();
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    CU_ASSERT_EQUAL(memtrace_heap_destroy(heap), 0);
    CU_ASSERT(have_page(bytes, shift)); /* it is back in the pool */
}

static void pages_of_2m(void)
{
    use_large_pages(2 * MIB, 21);
}

static void pages_of_1g(void)
{
    use_large_pages(1024 * MIB, 30);
}

static void fallback(void)
{
    memtrace_heap *heap =
        create(1024 * MIB, NULL, MEMTRACE_HEAP_PAGE_FALLBACK, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    char *p = memtrace_alloc(heap, 3 * MIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memset(p, 1, 3 * MIB);
    if (!have_page(1024 * MIB, 30))
        CU_ASSERT_EQUAL(record_of(heap)->page_bytes, 4096);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

/* Node that the kernel says the address is bound to, or -1. */
static int bound_to(const void *address)
{
    int mode = -1;
    uint64_t nodes = 0;
    if (syscall(SYS_get_mempolicy, &mode, &nodes, 65, address, MPOL_F_ADDR) !=
            0 ||
        mode != MPOL_BIND)
        return -1;
    return nodes ? __builtin_ctzll(nodes) : -1;
}

static void bound_to_node_0(void)
{
    int mode;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) != 0) {
        unit_skip("this kernel has no NUMA policies");
        return;
    }
    memtrace_heap *heap = create(0, "0", 0, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    CU_ASSERT_EQUAL(record_of(heap)->numa_node, 0);
    CU_ASSERT_EQUAL(record_of(heap)->numa_nodes, 1);
    char *small = memtrace_alloc(heap, 100), *large = memtrace_alloc(heap, MIB);
    *small = *large = 1;
    CU_ASSERT_EQUAL(bound_to(small), 0);
    CU_ASSERT_EQUAL(bound_to(large), 0);
    CU_ASSERT_EQUAL(bound_to(&mode), -1);
    memtrace_heap_destroy(heap);
}

static void node_that_is_not_there(void)
{
    errno = 0;
    CU_ASSERT_PTR_NULL(create(0, "63", 0, 0));
    CU_ASSERT(errno == EINVAL || errno == ENOSYS || errno == EPERM);
    CU_ASSERT_PTR_NULL(memtrace_heap_find("pages"));
}

static void model_with(memtrace_heap *heap)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    struct model *m = malloc(sizeof *m);
    model_init(m, heap, 7);
    model_run(m, 50000);
    model_verify(m);
    model_clear(m);
    CU_ASSERT_EQUAL(m->wrong, 0);
    CU_ASSERT_EQUAL(m->failures, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    free(m);
    memtrace_heap_destroy(heap);
}

static void transparent(void)
{
    model_with(create(0, NULL, MEMTRACE_HEAP_THP, 0));
    model_with(create(4096, NULL, MEMTRACE_HEAP_THP, 0));
    model_with(create(2 * MIB, NULL, MEMTRACE_HEAP_PAGE_FALLBACK, 0));
    model_with(create(2 * MIB, NULL, MEMTRACE_HEAP_PAGE_FALLBACK, 512 * MIB));
}

/* Every system call of creation fails once. */
static void failing_calls(void)
{
    bool completed = false;
    for (uint64_t n = 1; !completed && n < 50; n++) {
        mt_os_calls = 0;
        mt_os_fail_at = n;
        memtrace_heap *heap =
            create(2 * MIB, "0", MEMTRACE_HEAP_PAGE_FALLBACK, 4 * MIB);
        void *p = heap ? memtrace_alloc(heap, 100000) : NULL;
        completed = mt_os_calls < n;
        mt_os_fail_at = 0;
        if (p)
            memset(p, 1, 100000);
        if (heap)
            CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
        memtrace_heap_destroy(heap);
    }
    CU_ASSERT(completed);
}

/* [at, at + bytes), mapped by somebody else. */
static char *occupy(uint64_t at, size_t bytes)
{
    char *p = mmap((void *)at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CU_ASSERT_PTR_EQUAL_FATAL(p, (void *)at);
    memset(p, 0x5a, bytes);
    return p;
}

static size_t changed(const char *p, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += p[i] != 0x5a;
    return n;
}

/* A program may ask for addresses that a heap has reserved. */
static void occupied_reservation(void)
{
    memtrace_heap *heap = create(0, NULL, 0, 0);
    char *first = memtrace_alloc(heap, 100000);
    const struct mt_region_record *r = mt_region_of((uintptr_t)first);
    uint64_t end = r->base + r->committed;
    char *theirs = occupy(end + MIB, 65536);
    for (int i = 0; i < 200; i++) {
        char *p = memtrace_alloc(heap, 100000);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT(p + 100000 <= theirs || p >= theirs + 65536);
        memset(p, 1, 100000);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    CU_ASSERT_EQUAL(changed(theirs, 65536), 0);
    CU_ASSERT(heap->record->n_regions > 1);
    CU_ASSERT_EQUAL(memtrace_heap_destroy(heap), 0);
    CU_ASSERT_EQUAL(changed(theirs, 65536), 0);
    CU_ASSERT_FALSE(mt_os_readable((void *)r->base, 8));
    munmap(theirs, 65536);
}

#define LARGE (8 * MIB - 100) /* a span of 8 MiB, with a byte to spare */

/* Large free runs are unmapped; what comes to lie there stays. */
static void occupied_hole(void)
{
    memtrace_heap *heap = create(0, NULL, 0, 0);
    char *blocks[8];
    for (int i = 0; i < 8; i++)
        memset(blocks[i] = memtrace_alloc(heap, LARGE), 1, LARGE);
    uint64_t before = heap->record->committed;
    for (int i = 1; i < 8; i += 2)
        memtrace_free(blocks[i]);
    memtrace_trim();
    CU_ASSERT_EQUAL(before - heap->record->committed, 4 * 8 * MIB);
    CU_ASSERT_FALSE(mt_os_readable(blocks[3], 8));
    char *theirs = occupy((uintptr_t)blocks[3] + MIB, 65536);
    for (int i = 1; i < 8; i += 2) {
        blocks[i] = memtrace_alloc(heap, i == 1 ? 100000 : LARGE);
        CU_ASSERT_PTR_NOT_NULL_FATAL(blocks[i]);
        CU_ASSERT_EQUAL(blocks[i][0], 0);
        memset(blocks[i], 2, i == 1 ? 100000 : LARGE);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    CU_ASSERT_EQUAL(changed(theirs, 65536), 0);
    CU_ASSERT_EQUAL(memtrace_heap_destroy(heap), 0);
    CU_ASSERT_EQUAL(changed(theirs, 65536), 0);
    munmap(theirs, 65536);
}

/* Heaps come and go; their addresses serve again. */
static void many_heaps(void)
{
    for (int i = 0; i < 1000; i++) {
        memtrace_heap *heap = create(0, NULL, 0, i % 2 ? 0 : MIB);
        char *p = memtrace_alloc(heap, 10000);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        *p = 1;
        CU_ASSERT_EQUAL_FATAL(memtrace_heap_destroy(heap), 0);
    }
    CU_ASSERT_EQUAL(mt_os_reserve_most(), UINT64_MAX);
}

static const struct unit_test tests[] = {
    {"what the program maps in a reservation", occupied_reservation},
    {"what the program maps where memory went back", occupied_hole},
    {"a thousand heaps, one after the other", many_heaps},
    {"lists of nodes", node_lists},
    {"wrong options", wrong_options},
    {"pages of 2 MiB, or a clean refusal", pages_of_2m},
    {"pages of 1 GiB, or a clean refusal", pages_of_1g},
    {"fallback to normal pages", fallback},
    {"bound to a node", bound_to_node_0},
    {"a node that is not there", node_that_is_not_there},
    {"model: transparent huge pages, and fallback", transparent},
    {"every system call fails once", failing_calls},
};
UNIT_MAIN(tests)
