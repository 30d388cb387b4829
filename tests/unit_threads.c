/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sixty-four threads at a time, thousands in all, that free each other's
 * blocks.
 */
#include "heap/alloc.h"
#include "heap/memtrace.h"
#include "tests/unit.h"

#include <pthread.h>
#include <stdlib.h>

#define AT_ONCE 64
#define GENERATIONS 40
#define SLOTS 4096
#define OPERATIONS 400

/* The contents of a block: its own bytes only. */
struct content {
    size_t size;
    uint64_t mark;
};

static struct content *slots[SLOTS];
static uint64_t wrong;

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static unsigned char last_byte(const struct content *c)
{
    return (unsigned char)(c->mark ^ c->size);
}

static void give_up(struct content *c)
{
    if (c == NULL)
        return;
    const unsigned char *bytes = (const unsigned char *)c;
    if (c->mark != (uintptr_t)c * 3 || bytes[c->size - 1] != last_byte(c))
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    c->mark = 0;
    memtrace_free(c);
}

static struct content *make(uint64_t *random)
{
    uint64_t r = next(random);
    size_t size =
        sizeof(struct content) + 1 + (r >> 8) % (r % 64 ? 500 : 70000);
    struct content *c = memtrace_alloc(NULL, size);
    if (c == NULL)
        abort();
    c->size = size;
    c->mark = (uintptr_t)c * 3;
    ((unsigned char *)c)[size - 1] = last_byte(c);
    return c;
}

static void *work(void *arg)
{
    uint64_t random = (uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < OPERATIONS; i++) {
        struct content **slot = &slots[next(&random) % SLOTS];
        struct content *mine = next(&random) % 8 ? make(&random) : NULL;
        give_up(__atomic_exchange_n(slot, mine, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static uint64_t used(unsigned section)
{
    return memtrace_root->sections[section].used;
}

static void run(int trace)
{
    memtrace_heap_trace(NULL, trace);
    for (uintptr_t g = 0; g < GENERATIONS; g++) {
        pthread_t threads[AT_ONCE];
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 << 10);
        for (uintptr_t i = 0; i < AT_ONCE; i++)
            CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], &attributes, work,
                                                 (void *)(g * AT_ONCE + i + 1)),
                                  0);
        for (int i = 0; i < AT_ONCE; i++)
            pthread_join(threads[i], NULL);
        pthread_attr_destroy(&attributes);
    }
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
    for (int i = 0; i < SLOTS; i++) {
        give_up(slots[i]);
        slots[i] = NULL;
    }
    memtrace_trim();
    struct memtrace_stats s;
    memtrace_heap_stats(NULL, &s);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(s.blocks, 0);
    CU_ASSERT_EQUAL(s.span_bytes, 0);
    CU_ASSERT_EQUAL(memtrace_heap_check(NULL), 0);
    /* Records and caches of threads that are gone serve others. */
    CU_ASSERT(used(MT_SECTION_THREADS) <=
              (AT_ONCE + 3) * sizeof(struct mt_thread_record));
    /* A span of each class for each, and the bits of it, at the most. */
    CU_ASSERT(used(MT_SECTION_SPANS) + used(MT_SECTION_BITMAPS) <=
              AT_ONCE * MT_N_CLASSES * (sizeof(mt_span) + 64));
}

static void untraced(void)
{
    run(0);
}

static void traced(void)
{
    run(1);
}

static const struct unit_test tests[] = {
    {"2560 threads, 64 at a time", untraced},
    {"2560 threads, 64 at a time, traced", traced},
};
UNIT_MAIN(tests)
