/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Heaps through memtrace.h.
 */
#include "heap/alloc.h"
#include "heap/memtrace.h"
#include "tests/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static memtrace_heap *create(const char *name, void *base, size_t size,
                             unsigned flags)
{
    return memtrace_heap_create(&(struct memtrace_heap_options){
        .name = name, .base = base, .size = size, .flags = flags});
}

static struct memtrace_stats stats_of(memtrace_heap *heap)
{
    struct memtrace_stats s;
    CU_ASSERT_EQUAL_FATAL(memtrace_heap_stats(heap, &s), 0);
    return s;
}

static void creation(void)
{
    errno = 0;
    CU_ASSERT_PTR_NULL(memtrace_heap_create(NULL));
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT_PTR_NULL(create("", NULL, 0, 0));
    CU_ASSERT_PTR_NULL(create("x", (void *)4096, 100, 0));
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT_PTR_NULL(create("x", NULL, (size_t)1 << 62, 0));
    CU_ASSERT_EQUAL(errno, ENOMEM);

    memtrace_heap *heap = create("a", NULL, 1 << 20, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    CU_ASSERT_PTR_EQUAL(memtrace_heap_find("a"), heap);
    void *p = memtrace_alloc(heap, 100);
    CU_ASSERT_PTR_EQUAL(memtrace_heap_of(p), heap);
    CU_ASSERT_EQUAL(memtrace_heap_destroy(heap), 0);
    CU_ASSERT_PTR_NULL(memtrace_heap_find("a"));
    CU_ASSERT_EQUAL(errno, ENOENT);
    CU_ASSERT_PTR_NULL(memtrace_heap_of(p));
    CU_ASSERT_EQUAL(memtrace_heap_destroy(heap), -1);
    CU_ASSERT_EQUAL(memtrace_heap_destroy(memtrace_heap_main()), -1);
    CU_ASSERT_PTR_NULL(memtrace_alloc(heap, 1));
}

static void fixed_runs_out(void)
{
    memtrace_heap *heap = create("fixed", NULL, 1 << 20, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    void *blocks[2000];
    size_t n = 0;
    while (n < 2000 && (blocks[n] = memtrace_alloc(heap, 1000)) != NULL) {
        memset(blocks[n], (int)n, 1000);
        n++;
    }
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT(n > 900 && n < 1050);
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 1000; j++)
            wrong += ((unsigned char *)blocks[i])[j] != (unsigned char)i;
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(stats_of(heap).blocks, n);
    CU_ASSERT_EQUAL(stats_of(heap).failures, 1);
    for (size_t i = 0; i < n; i++)
        memtrace_free(blocks[i]);
    CU_ASSERT_EQUAL(stats_of(heap).blocks, 0);
    /* All of it can be had as one block of another kind now. */
    memtrace_trim();
    void *large = memtrace_alloc(heap, 1000000);
    CU_ASSERT_PTR_NOT_NULL(large);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    CU_ASSERT_EQUAL(memtrace_heap_destroy(heap), 0);
}

static void given_memory(void)
{
    size_t bytes = 1 << 20;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 0x5a, bytes);
    memtrace_heap *heap = create("given", memory + 1, bytes - 1, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    unsigned char *p;
    size_t dirty = 0;
    while ((p = memtrace_calloc(heap, 1, 40000)) != NULL) {
        CU_ASSERT((char *)p > memory && (char *)p + 40000 <= memory + bytes);
        for (size_t i = 0; i < 40000; i++)
            dirty += p[i];
    }
    CU_ASSERT_EQUAL(dirty, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    CU_ASSERT_EQUAL(memtrace_heap_destroy(heap), 0);
    memory[0] = 1; /* still mapped */
    heap = create("given", memory, bytes, MEMTRACE_HEAP_UNMAP_ON_DESTROY);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    uintptr_t base = (uintptr_t)stats_of(heap).base;
    memtrace_heap_destroy(heap);
    CU_ASSERT_FALSE(mt_os_readable((void *)base, 8));
}

static void alignment(void)
{
    memtrace_heap *heap = create("aligned", NULL, 0, 0);
    for (size_t align = 1; align <= (size_t)1 << 30; align *= 2) {
        for (size_t size = 0; size < 100000; size = size * 3 + 1) {
            void *p = memtrace_alloc_aligned(heap, align, size);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            CU_ASSERT_EQUAL((uintptr_t)p % align, 0);
            CU_ASSERT(memtrace_usable_size(p) >= size);
            if (align <= 1 << 20)
                memset(p, 1, size);
            if (size % 2)
                memtrace_free(p);
        }
    }
    CU_ASSERT_PTR_NULL(memtrace_alloc_aligned(heap, 24, 1));
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

static void impossible_sizes(void)
{
    CU_ASSERT_PTR_NULL(memtrace_alloc(NULL, SIZE_MAX));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_PTR_NULL(memtrace_alloc(NULL, PTRDIFF_MAX));
    CU_ASSERT_PTR_NULL(memtrace_calloc(NULL, SIZE_MAX / 2, 3));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_PTR_NULL(
        memtrace_alloc_aligned(NULL, (size_t)1 << 62, (size_t)1 << 62));
    char *p = memtrace_alloc(NULL, 10);
    CU_ASSERT_PTR_NULL(memtrace_realloc(NULL, p, SIZE_MAX));
    p[9] = 1;
    memtrace_free(p);
}

static void realloc_keeps_contents(void)
{
    memtrace_heap *heap = create("realloc", NULL, 0, 0);
    unsigned char *p = NULL;
    size_t size = 0, wrong = 0;
    for (size_t next = 1; next < 3000000; next = next * 5 / 4 + 1) {
        p = memtrace_realloc(heap, p, next);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        for (size_t i = 0; i < size; i++)
            wrong += p[i] != (unsigned char)(i * 7);
        for (size_t i = size; i < next; i++)
            p[i] = (unsigned char)(i * 7);
        size = next;
    }
    while (size > 1) {
        size = size * 2 / 3;
        p = memtrace_realloc(heap, p, size);
        for (size_t i = 0; i < size; i++)
            wrong += p[i] != (unsigned char)(i * 7);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_PTR_EQUAL(memtrace_heap_of(p), heap);
    CU_ASSERT_PTR_NULL(memtrace_realloc(heap, p, 0));
    CU_ASSERT_EQUAL(stats_of(heap).blocks, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

static long page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* Grows a block of 4 MiB, which has another one after it, and counts its wrong
 * words; `faults` is what that takes. */
static size_t grow_large(uint64_t fail_at, long *faults)
{
    const size_t before = 4 << 20, after = 5 << 20;
    memtrace_heap *heap = create("moves", NULL, 0, 0);
    uint64_t *p = memtrace_alloc(heap, before), *next;
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    for (size_t i = 0; i < before / sizeof *p; i++)
        p[i] = i * 7;
    next = memtrace_alloc(heap, 100000);
    *faults = page_faults();
    if (fail_at)
        mt_os_fail_at = mt_os_calls + fail_at;
    uint64_t *grown = memtrace_realloc(heap, p, after);
    mt_os_fail_at = 0;
    *faults = page_faults() - *faults;
    CU_ASSERT_PTR_NOT_EQUAL(grown, p);
    if (grown == NULL)
        grown = p; /* is as it was */
    else
        memset(grown + before / sizeof *p, 1, after - before);
    size_t wrong = 0;
    for (size_t i = 0; i < before / sizeof *p; i++)
        wrong += grown[i] != i * 7;
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    CU_ASSERT_PTR_EQUAL(memtrace_heap_of(grown), heap);
    memtrace_free(grown);
    memtrace_free(next);
    CU_ASSERT_EQUAL(stats_of(heap).blocks, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
    return wrong;
}

static void large_blocks_move(void)
{
    long faults;
    CU_ASSERT_EQUAL(grow_large(0, &faults), 0);
    CU_ASSERT(faults < 200); /* a copy takes one for each of 1,024 pages */
    for (uint64_t n = 1; n < 8; n++)
        CU_ASSERT_EQUAL(grow_large(n, &faults), 0);
}

static int free_one(memtrace_heap *heap, size_t bytes, void *arg)
{
    void **spare = arg;
    (void)heap, (void)bytes;
    if (*spare == NULL)
        return 0;
    memtrace_free(*spare);
    *spare = NULL;
    return 1;
}

static void limit_and_handler(void)
{
    memtrace_heap *heap = create("limited", NULL, 0, 0);
    CU_ASSERT_EQUAL(memtrace_heap_limit(heap, 1 << 20), 0);
    void *spare = memtrace_alloc(heap, 600000);
    CU_ASSERT_PTR_NOT_NULL(spare);
    CU_ASSERT_PTR_NULL(memtrace_alloc(heap, 600000));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    memtrace_heap_on_full(heap, free_one, &spare);
    CU_ASSERT_PTR_NOT_NULL(memtrace_alloc(heap, 600000));
    CU_ASSERT_PTR_NULL(spare);
    CU_ASSERT_PTR_NULL(memtrace_alloc(heap, 600000));
    memtrace_heap_limit(heap, 0);
    CU_ASSERT_PTR_NOT_NULL(memtrace_alloc(heap, 600000));
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

struct seen {
    size_t blocks, bytes;
    unsigned min_depth;
    uint64_t caller;
};

static int see(const struct memtrace_block *block, void *arg)
{
    struct seen *seen = arg;
    seen->blocks++;
    seen->bytes += block->requested;
    if (block->depth < seen->min_depth)
        seen->min_depth = block->depth;
    if (block->depth)
        seen->caller = block->stack[0];
    CU_ASSERT(block->usable >= block->requested);
    CU_ASSERT(block->age_s >= 0 && block->age_s < 60);
    return 0;
}

static __attribute__((noinline)) void *allocate_here(memtrace_heap *heap,
                                                     size_t size)
{
    void *p = memtrace_alloc(heap, size);
    __asm__ volatile("" : : "r"(p) : "memory"); /* no tail call */
    return p;
}

static void tags_tell(void)
{
    memtrace_heap *heap = create("traced", NULL, 0, MEMTRACE_HEAP_TRACE);
    for (size_t size = 1; size <= 100; size++)
        CU_ASSERT_PTR_NOT_NULL(allocate_here(heap, size));
    allocate_here(heap, 50001);
    struct seen seen = {.min_depth = 1000};
    CU_ASSERT_EQUAL(memtrace_heap_walk(heap, see, &seen), 0);
    CU_ASSERT_EQUAL(seen.blocks, 101);
    CU_ASSERT_EQUAL(seen.bytes, 5050 + 50001);
    CU_ASSERT(seen.min_depth >= 3);
    uint64_t distance = seen.caller - (uintptr_t)allocate_here;
    CU_ASSERT(distance > 0 && distance < 100);
    CU_ASSERT_EQUAL(stats_of(heap).requested, 5050 + 50001);
    CU_ASSERT_EQUAL(stats_of(heap).untraced_blocks, 0);
    memtrace_heap_destroy(heap);
}

/* Off, blocks are untraced, also where traced ones were before. */
static void toggling(void)
{
    memtrace_heap *heap = create("toggled", NULL, 0, 0);
    void *untraced = memtrace_alloc(heap, 20);
    CU_ASSERT_EQUAL(stats_of(heap).untraced_blocks, 1);
    memtrace_heap_trace(heap, 1);
    void *traced = memtrace_alloc(heap, 20);
    CU_ASSERT_EQUAL(stats_of(heap).untraced_blocks, 1);
    CU_ASSERT_EQUAL(stats_of(heap).requested, 32 + 20);
    memtrace_free(traced);
    memtrace_heap_trace(heap, 0);
    void *again = memtrace_alloc(heap, 20);
    CU_ASSERT_PTR_EQUAL(again, traced);
    CU_ASSERT_EQUAL(stats_of(heap).untraced_blocks, 2);
    CU_ASSERT_EQUAL(stats_of(heap).untraced_bytes, 64);
    memtrace_heap_trace(heap, 1);
    CU_ASSERT_PTR_EQUAL(memtrace_realloc(heap, untraced, 30), untraced);
    CU_ASSERT_EQUAL(stats_of(heap).untraced_blocks, 1);
    memtrace_heap_destroy(heap);
}

struct sampled {
    size_t blocks[2], passed_over;
};

static int count_sampled(const struct memtrace_block *block, void *arg)
{
    struct sampled *sampled = arg;
    if (block->depth)
        sampled->blocks[block->requested > 1000]++;
    else
        sampled->passed_over++;
    return 0;
}

/* A block of s bytes is sampled with probability 1 - exp(-s / mean): 100 of
 * 4096: 0.02412, 5000 of 4096: 0.70500.  Five standard deviations are
 * allowed: one run in two million fails by chance. */
static void sampling_is_unbiased(void)
{
    enum { N = 40000 };
    memtrace_heap *heap = create("sampled", NULL, 0, MEMTRACE_HEAP_TRACE);
    memtrace_root->sample_bytes = 4096;
    for (int i = 0; i < N; i++) {
        allocate_here(heap, 100);
        allocate_here(heap, 5000);
    }
    memtrace_root->sample_bytes = 0;
    struct sampled sampled = {{0}, 0};
    memtrace_heap_walk(heap, count_sampled, &sampled);
    CU_ASSERT_EQUAL(sampled.blocks[0] + sampled.blocks[1] + sampled.passed_over,
                    2 * N);
    CU_ASSERT(sampled.blocks[0] > 965 - 5 * 31);
    CU_ASSERT(sampled.blocks[0] < 965 + 5 * 31);
    CU_ASSERT(sampled.blocks[1] > 28200 - 5 * 92);
    CU_ASSERT(sampled.blocks[1] < 28200 + 5 * 92);
    CU_ASSERT_EQUAL(stats_of(heap).requested, N * 5100ul);
    memtrace_heap_destroy(heap);
}

static void memory_goes_back(void)
{
    memtrace_heap *heap = create("peak", NULL, 0, 0);
    void *blocks[4000];
    for (size_t i = 0; i < 4000; i++)
        memset(blocks[i] = memtrace_alloc(heap, 20000), 1, 20000);
    for (size_t i = 0; i < 4000; i++)
        memtrace_free(blocks[i]);
    struct memtrace_stats s = stats_of(heap);
    CU_ASSERT(s.span_peak > 80000000);
    CU_ASSERT(s.trimmable <= 8 << 20);
    CU_ASSERT(s.span_bytes <= 1 << 20);
    memtrace_trim();
    s = stats_of(heap);
    CU_ASSERT_EQUAL(s.trimmable, 0);
    CU_ASSERT_EQUAL(s.span_bytes, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

/* A heap that swings by 256 MiB learns to keep memory, but not all of that. */
static void swings_are_not_kept(void)
{
    memtrace_heap *heap = create("swings", NULL, 0, 0);
    char *blocks[8];
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 8; i++)
            blocks[i] = memtrace_alloc(heap, 32 << 20);
        for (int i = 0; i < 8; i++)
            memtrace_free(blocks[i]);
        CU_ASSERT(stats_of(heap).trimmable <= 64 << 20);
    }
    memtrace_heap_destroy(heap);
}

static void class_statistics(void)
{
    struct memtrace_class_stats before[96], after[96];
    memtrace_heap *heap = create("classes", NULL, 0, 0);
    int n = memtrace_heap_class_stats(heap, before, 96);
    CU_ASSERT_EQUAL_FATAL(n, MT_N_CLASSES + 1);
    CU_ASSERT_EQUAL(before[n - 1].size, 0);
    for (int i = 0; i < n; i++)
        CU_ASSERT(before[i].blocks == 0 && before[i].span_peak == 0);
    void *blocks[300];
    for (int i = 0; i < 300; i++)
        blocks[i] = memtrace_alloc(heap, i % 3 ? 100 : 50000);
    memtrace_heap_class_stats(heap, after, 96);
    struct memtrace_stats s = stats_of(heap);
    size_t used = 0, span_bytes = 0, live = 0, free_blocks = 0;
    for (int i = 0; i < n; i++) {
        used += after[i].used;
        live += after[i].blocks;
        span_bytes += after[i].span_bytes;
        free_blocks += after[i].free_blocks;
        if (after[i].size == 112)
            CU_ASSERT_EQUAL(after[i].blocks, 200);
    }
    CU_ASSERT_EQUAL(after[n - 1].blocks, 100);
    CU_ASSERT_EQUAL(after[n - 1].used, 100 * 53248);
    CU_ASSERT_EQUAL(used, s.used);
    CU_ASSERT_EQUAL(live, s.blocks);
    CU_ASSERT_EQUAL(span_bytes, s.span_bytes);
    CU_ASSERT_EQUAL(free_blocks, s.free_blocks);
    for (int i = 0; i < 300; i++)
        memtrace_free(blocks[i]);
    memtrace_heap_class_stats(heap, before, 96);
    CU_ASSERT_EQUAL(before[n - 1].span_bytes, 0);
    CU_ASSERT_EQUAL(before[n - 1].span_peak, 100 * 65536);
    /* Fewer are asked for than there are. */
    CU_ASSERT_EQUAL(memtrace_heap_class_stats(heap, before, 3), n);
    CU_ASSERT_EQUAL(memtrace_heap_class_stats(heap, NULL, 0), n);
    CU_ASSERT_EQUAL(memtrace_heap_check(heap), 0);
    memtrace_heap_destroy(heap);
}

static void marks(void)
{
    uint32_t before = memtrace_root->epoch;
    CU_ASSERT_EQUAL(memtrace_mark("phase two"), 0);
    const struct mt_epoch_record *epochs =
        (void *)memtrace_root->sections[MT_SECTION_EPOCHS].base;
    const struct mt_epoch_record *mark = &epochs[memtrace_root->epoch];
    CU_ASSERT(memtrace_root->epoch > before);
    CU_ASSERT_EQUAL(mark->kind, MT_EPOCH_MARK);
    CU_ASSERT_STRING_EQUAL(
        (char *)memtrace_root->sections[MT_SECTION_STRINGS].base + mark->label,
        "phase two");
    CU_ASSERT_EQUAL(memtrace_mark(NULL), -1);
}

static void show_prints(void)
{
    memtrace_heap *heap = create("shown", NULL, 0, MEMTRACE_HEAP_TRACE);
    /* volatile: one call in a loop, not seven of them */
    for (volatile int i = 0; i < 7; i++)
        allocate_here(heap, 1111);
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    CU_ASSERT_EQUAL(memtrace_heap_show(heap, fds[1], 0), 0);
    char text[16384];
    ssize_t n = read(fds[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "name 'shown'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "         7777        7 0x"));
    close(fds[0]);
    close(fds[1]);
    memtrace_heap_destroy(heap);
}

static void many_heaps(void)
{
    memtrace_heap *heaps[300];
    size_t n = 0;
    while (n < 300 && (heaps[n] = create("many", NULL, 1 << 20, 0)) != NULL)
        n++;
    CU_ASSERT_EQUAL(n, MT_MAX_HEAPS - 1);
    for (size_t i = 0; i < n; i++)
        CU_ASSERT_PTR_NOT_NULL(memtrace_alloc(heaps[i], 100));
    for (size_t i = 0; i < n; i++)
        CU_ASSERT_EQUAL(memtrace_heap_destroy(heaps[i]), 0);
}

/* Creating and destroying for ever takes no more of the trace region. */
static void heaps_come_and_go(void)
{
    uint64_t used[3][MT_N_SECTIONS];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            memtrace_heap *heap = create("brief", NULL, 8 << 20, 0);
            CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
            for (int j = 0; j < 2000; j++)
                memtrace_alloc(heap, (size_t)(j % 300));
            memtrace_heap_destroy(heap);
        }
        for (int s = 0; s < MT_N_SECTIONS; s++)
            used[round][s] = memtrace_root->sections[s].used;
    }
    for (int s = 0; s < MT_N_SECTIONS; s++)
        if (s != MT_SECTION_EPOCHS)
            CU_ASSERT_EQUAL(used[1][s], used[2][s]);
}

static void child_has_its_own(void)
{
    memtrace_heap *heap = create("forked", NULL, 0, MEMTRACE_HEAP_LOCKED);
    char *p = memtrace_alloc(heap, 1000);
    memset(p, 1, 1000);
    pid_t child = fork();
    if (child == 0) {
        memset(p, 2, 1000);
        memtrace_free(p);
        _exit(memtrace_root->pid == (uint32_t)getpid() &&
                      memtrace_root->parent_pid == (uint32_t)getppid() &&
                      memtrace_alloc(heap, 1000) &&
                      memtrace_heap_check(heap) == 0
                  ? 0
                  : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(p[999], 1);
    memtrace_heap_destroy(heap);
}

static uint64_t last_sample(void)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[MT_SECTION_SAMPLES];
    const struct mt_sample_record *samples =
        (const struct mt_sample_record *)s->base;
    uint64_t last = 0;
    for (uint64_t i = 0; i < s->used / sizeof *samples; i++)
        if (samples[i].monotonic_ns > last)
            last = samples[i].monotonic_ns;
    return last;
}

/* Opens an epoch, after the next sample would be due. */
static void late_allocation(memtrace_heap *heap)
{
    usleep(150000);
    mt_epoch_hasten();
    memtrace_free(memtrace_alloc(heap, 100000));
}

/* A process that forks often would count its whole heap in each child. */
static void child_takes_no_sample_at_once(void)
{
    memtrace_heap *heap = create("sampled", NULL, 0, MEMTRACE_HEAP_LOCKED);
    late_allocation(heap);
    uint64_t before = last_sample();
    CU_ASSERT_NOT_EQUAL(before, 0);
    uint32_t peak = memtrace_root->peak;
    usleep(150000);
    pid_t child = fork();
    if (child == 0) {
        mt_epoch_hasten();
        memtrace_free(memtrace_alloc(heap, 100000));
        bool at_once = last_sample() != before || memtrace_root->peak != peak;
        late_allocation(heap);
        _exit(at_once ? 1 : last_sample() == before ? 2 : 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    memtrace_heap_destroy(heap);
}

static const struct unit_test tests[] = {
    {"creation and destruction", creation},
    {"a fixed heap runs out cleanly", fixed_runs_out},
    {"given memory", given_memory},
    {"alignments to 1 GiB", alignment},
    {"impossible sizes", impossible_sizes},
    {"realloc keeps contents", realloc_keeps_contents},
    {"large blocks move with their pages", large_blocks_move},
    {"limit and out-of-memory handler", limit_and_handler},
    {"tags tell stack and size", tags_tell},
    {"tracing on and off", toggling},
    {"sampling is unbiased", sampling_is_unbiased},
    {"freed memory goes back", memory_goes_back},
    {"what swings is kept within bounds", swings_are_not_kept},
    {"statistics of size classes", class_statistics},
    {"marks open epochs", marks},
    {"show prints live memory", show_prints},
    {"255 heaps", many_heaps},
    {"heaps come and go", heaps_come_and_go},
    {"a forked child has its own", child_has_its_own},
    {"a forked child takes no sample at once", child_takes_no_sample_at_once},
};
UNIT_MAIN(tests)
