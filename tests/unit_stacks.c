/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit_stacks.c - the stack table, the module list, and a capture's result.
 */
#include "heap/capture/load_count.h"
#include "heap/capture/module_table.h"
#include "heap/trace_region.h"
#include "heap/capture/stacks.h"
#include "tests/regs.h"
#include "tests/stack_is.h"
#include "tests/unit.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

TEST_REGS_DEFINE

#define KEEP_FRAME __asm__ volatile("" ::: "memory")

static struct mt_thread_record thread_record;
static struct mt_capture *capture;
static bool known;

static struct mt_section_record *section(int id)
{
    return &memtrace_root->sections[id];
}

static void make_frames(uint64_t *frames, unsigned n, uint64_t seed)
{
    for (unsigned i = 0; i < n; i++)
        frames[i] = UINT64_C(0x100000000000) + seed * 4096 + i;
}

static void known_again(void)
{
    uint64_t frames[8];
    enum { N = 20000 };
    static uint32_t ids[N];
    for (uint64_t i = 0; i < N; i++) {
        make_frames(frames, 1 + i % 8, i);
        ids[i] = mt_stacks_intern(frames, 1 + i % 8, 0, NULL, &known);
        CU_ASSERT(ids[i] >= MT_STACK_FIRST);
    }
    for (uint64_t i = 0; i < N; i++) {
        make_frames(frames, 1 + i % 8, i);
        CU_ASSERT_EQUAL(mt_stacks_intern(frames, 1 + i % 8, 0, NULL, &known),
                        ids[i]);
        const struct mt_stack_record *s = mt_stacks_record(ids[i]);
        CU_ASSERT_EQUAL(s->depth, 1 + i % 8);
        CU_ASSERT(stack_is(ids[i], frames, 1 + i % 8));
    }
    make_frames(frames, 4, 3);
    uint32_t whole = mt_stacks_intern(frames, 4, 0, NULL, &known);
    CU_ASSERT_NOT_EQUAL(
        mt_stacks_intern(frames, 4, MT_STACK_TRUNCATED, NULL, &known), whole);
    CU_ASSERT_NOT_EQUAL(mt_stacks_intern(frames, 3, 0, NULL, &known), whole);
}

static uint64_t n_nodes(void)
{
    return section(MT_SECTION_NODES)->used / sizeof(struct mt_node_record);
}

/* Stacks take nodes for those frames alone that no other has. */
static void shared_callers(void)
{
    static struct mt_stack_path path;
    enum { DEPTH = 1000, LEAVES = 500 };
    static uint64_t frames[DEPTH];
    uint32_t ids[LEAVES];
    make_frames(frames, DEPTH, UINT64_C(1) << 24);
    mt_stacks_intern(frames, DEPTH, 0, NULL, &known);
    uint64_t before = n_nodes();
    for (unsigned i = 0; i < LEAVES; i++) {
        frames[0] = 0x7f0000000000 + i;
        ids[i] =
            mt_stacks_intern(frames, DEPTH, 0, i & 1 ? &path : NULL, &known);
        CU_ASSERT_FALSE(known);
    }
    CU_ASSERT_EQUAL(n_nodes(), before + LEAVES);
    for (unsigned i = 0; i < LEAVES; i++) {
        frames[0] = 0x7f0000000000 + i;
        CU_ASSERT(stack_is(ids[i], frames, DEPTH));
        CU_ASSERT_EQUAL(mt_stacks_intern(frames, DEPTH, 0, &path, &known),
                        ids[i]);
        CU_ASSERT(known);
    }
    /* Callers alone, and a path that is longer, shorter or another's. */
    for (unsigned i = 0; i < 2000; i++) {
        unsigned from = i * 7919 % DEPTH, n = DEPTH - from;
        uint32_t id = mt_stacks_intern(frames + from, n, 0, &path, &known);
        CU_ASSERT(stack_is(id, frames + from, n));
        CU_ASSERT_EQUAL(mt_stacks_intern(frames + from, n, 0, NULL, &known),
                        id);
    }
    CU_ASSERT_EQUAL(n_nodes(), before + LEAVES);
}

enum { THREADS = 4, SHARED = 30000 };
static uint32_t shared_ids[THREADS][SHARED];

static void *intern_many(void *argument)
{
    uint32_t *ids = argument;
    uint64_t frames[5];
    for (uint64_t i = 0; i < SHARED; i++) {
        make_frames(frames, 5, (UINT64_C(1) << 20) + i);
        ids[i] = mt_stacks_intern(frames, 5, 0, NULL, &known);
        mt_stacks_count(ids[i], 1, 10);
    }
    return NULL;
}

static void by_many_threads(void)
{
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, intern_many, shared_ids[t]);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (int i = 0; i < SHARED; i++) {
        for (int t = 1; t < THREADS; t++)
            CU_ASSERT_EQUAL(shared_ids[t][i], shared_ids[0][i]);
        const struct mt_stack_record *s = mt_stacks_record(shared_ids[0][i]);
        CU_ASSERT_EQUAL(s->allocs, THREADS);
        CU_ASSERT_EQUAL(s->bytes, THREADS * 10);
        CU_ASSERT_EQUAL(s->depth, 5);
    }
}

static __attribute__((noinline)) uint32_t capture_here(uint64_t bytes)
{
    struct mt_regs regs;
    test_regs(&regs);
    uint32_t id = mt_capture_stack(capture, &regs, bytes);
    KEEP_FRAME;
    return id;
}

static __attribute__((noinline)) uint32_t capture_deeper(uint64_t bytes)
{
    uint32_t id = capture_here(bytes);
    KEEP_FRAME;
    return id;
}

static void captured(void)
{
    uint32_t ids[10];
    volatile int rounds = 10; /* one call in the code, not ten */
    for (int i = 0; i < rounds; i++) {
        uint32_t (*volatile f)(uint64_t) =
            i & 1 ? capture_deeper : capture_here;
        ids[i] = f(i & 1 ? 7 : 5);
    }
    uint32_t first = ids[0], other = ids[1];
    for (int i = 2; i < 10; i++)
        CU_ASSERT_EQUAL(ids[i], ids[i & 1]);
    CU_ASSERT_NOT_EQUAL(first, other);
    mt_capture_merge_counts(capture);
    const struct mt_stack_record *a = mt_stacks_record(first);
    const struct mt_stack_record *b = mt_stacks_record(other);
    CU_ASSERT_EQUAL(a->allocs, 5);
    CU_ASSERT_EQUAL(a->bytes, 25);
    CU_ASSERT_EQUAL(b->allocs, 5);
    CU_ASSERT_EQUAL(b->bytes, 35);
    CU_ASSERT_EQUAL(b->depth, a->depth + 1);
    CU_ASSERT_EQUAL(a->flags, 0);
    uint64_t frames[MT_DEPTH_MAX];
    CU_ASSERT_EQUAL(mt_stacks_frames(first, frames), a->depth);
    CU_ASSERT(frames[0] > (uintptr_t)capture_here);
    CU_ASSERT(frames[0] < (uintptr_t)capture_here + 200);
}

static const struct mt_module_record *module_of(uint64_t pc)
{
    const struct mt_module_record *m =
        (void *)(uintptr_t)section(MT_SECTION_MODULES)->base;
    const struct mt_module_record *found = NULL;
    for (uint32_t i = 0; i < mt_modules_count(); i++)
        if (pc >= m[i].start && pc < m[i].end)
            found = &m[i];
    return found;
}

static const char *path_of(const struct mt_module_record *m)
{
    return (const char *)(uintptr_t)section(MT_SECTION_STRINGS)->base + m->path;
}

static void modules(void)
{
    char exe[1024] = "";
    CU_ASSERT(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    const struct mt_module_record *self = module_of((uintptr_t)modules);
    CU_ASSERT_PTR_NOT_NULL_FATAL(self);
    CU_ASSERT_STRING_EQUAL(path_of(self), exe);
    CU_ASSERT_EQUAL(self->unloaded_ns, 0);
    CU_ASSERT(self->loaded_ns > 0);
    uint64_t pc = (uintptr_t)dlsym(RTLD_DEFAULT, "CU_run_all_tests") + 1;
    const struct mt_module_record *cunit = module_of(pc);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cunit);
    CU_ASSERT_PTR_NOT_NULL(strstr(path_of(cunit), "libcunit.so"));
    CU_ASSERT_EQUAL(cunit->build_id_bytes, 20);
    Dl_info info;
    struct link_map *map = NULL;
    dladdr1((void *)(uintptr_t)pc, &info, (void **)&map, RTLD_DL_LINKMAP);
    CU_ASSERT_EQUAL(cunit->load_bias, map->l_addr);
}

static int report_adds(struct dl_phdr_info *info, size_t bytes, void *out)
{
    (void)bytes;
    *(uint64_t *)out = info->dlpi_adds;
    return 1;
}

static void load_count(void)
{
    uint64_t before = mt_modules_load_count(), adds = 0;
    dl_iterate_phdr(report_adds, &adds);
    CU_ASSERT_EQUAL(
        *mt_modules_loads[0] == adds || *mt_modules_loads[1] == adds, true);
    void *library = dlopen("libz.so.1", RTLD_NOW);
    if (!library)
        library = dlopen("libutil.so.1", RTLD_NOW);
    if (!library) {
        unit_skip("no library to load");
        return;
    }
    uint64_t loaded = mt_modules_load_count();
    CU_ASSERT_NOT_EQUAL(loaded, before);
    dlclose(library);
    uint64_t frames[1] = {(uintptr_t)load_count};
    mt_stacks_intern(frames, 1, 0, NULL, &known);
    CU_ASSERT_PTR_NOT_NULL(dlopen("libutil.so.1", RTLD_NOW));
    CU_ASSERT_NOT_EQUAL(mt_modules_load_count(), loaded);
    CU_ASSERT_NOT_EQUAL(mt_modules_load_count(), before);
}

static const struct unit_test tests[] = {
    {"a stack that is known gets its id again", known_again},
    {"stacks share the nodes of their callers", shared_callers},
    {"threads that add the same stacks", by_many_threads},
    {"a capture counts on its stack", captured},
    {"modules of frames are listed", modules},
    {"loading an object changes the count of loads", load_count},
};

int main(int argc, char **argv)
{
    if (!mt_region_start())
        return 1;
    mt_string_add("", 0);
    memtrace_root->stacks_limit = UINT64_C(1) << 32; /* no bound */
    mt_stacks_trigger = UINT64_MAX; /* no collection */
    capture = mt_section_alloc(MT_SECTION_PRIVATE,
                               (mt_capture_bytes + 7) & ~(size_t)7);
    if (!capture)
        return 1;
    mt_capture_init(capture, &thread_record);
    return unit_run(tests, sizeof tests / sizeof *tests, argc, argv);
}
