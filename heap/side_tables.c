/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The arrays beside spans: free bits and tags.  They are cut from their
 * sections.  Freed ones are kept for reuse in lists by size; when those hold
 * much, they are joined with their neighbours, and what is then larger than
 * any array is a hole: all of it but its first page goes to the kernel.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/debug.h"

#include <string.h>

/* Sizes are multiples of 64 bytes: no two spans share a cache line of bits. */
#define UNIT 64u
#define MAX_UNITS 128u /* 1024 tags */
#define PAGE 4096u
#define LEAST_TO_TRIM (UINT64_C(1) << 20)

/* At the start of a free array or hole. */
struct free_array {
    struct free_array *next;
    uint64_t units; /* in holes, and while trimming */
};

/* A leaf of the lock order. */
struct pool {
    struct mt_lock lock;
    uint64_t free_bytes; /* in the lists */
    uint64_t trim_more;  /* when free_bytes reaches this and LEAST_TO_TRIM,
                          * trimming may pay */
    uint64_t nonempty[MAX_UNITS / 64 + 1];
    struct free_array *free[MAX_UNITS + 1];
    struct free_array *holes;
};

/* Without initial values: these would be in the library's file, which every
 * process maps and writes to. */
static struct pool bitmaps, tags;

static unsigned pool_section(const struct pool *pool)
{
    return pool == &tags ? MT_SECTION_TAGS : MT_SECTION_BITMAPS;
}

static uint32_t side_units(size_t bytes)
{
    return (uint32_t)((bytes + UNIT - 1) / UNIT);
}

/* The array lies in what its section has given out. */
static inline MT_CHECK_ONLY bool is_in_pool(const struct pool *pool,
                                            const void *array, uint64_t n)
{
    const struct mt_section_record *s =
        &memtrace_root->sections[pool_section(pool)];
    uintptr_t at = (uintptr_t)array - s->base;
    return at % UNIT == 0 && at < s->used && n * UNIT <= s->used - at;
}

static inline MT_CHECK_ONLY bool
is_listed(const struct pool *pool, const struct free_array *array, uint64_t n)
{
    const struct free_array *a = pool->free[n];
    while (a && a != array)
        a = a->next;
    return a != NULL;
}

static void list_put(struct pool *pool, struct free_array *array, uint64_t n)
{
    MT_ASSERT(n > 0 && n <= MAX_UNITS && is_in_pool(pool, array, n));
    MT_ASSERT(pool->free[n] != array);
    MT_ASSERT_COSTLY(!is_listed(pool, array, n));
    array->next = pool->free[n];
    pool->free[n] = array;
    pool->nonempty[n / 64] |= UINT64_C(1) << (n % 64);
    pool->free_bytes += n * UNIT;
}

static struct free_array *list_take(struct pool *pool, uint32_t n)
{
    struct free_array *array = pool->free[n];
    if (array) {
        MT_ASSERT(is_in_pool(pool, array, n));
        MT_ASSERT(pool->free_bytes >= n * UNIT);
        pool->free[n] = array->next;
        if (array->next == NULL)
            pool->nonempty[n / 64] &= ~(UINT64_C(1) << (n % 64));
        pool->free_bytes -= n * UNIT;
    }
    return array;
}

/* The smallest list size above n that has an array, or 0. */
static uint32_t side_larger(const struct pool *pool, uint32_t n)
{
    for (uint32_t w = (n + 1) / 64; w <= MAX_UNITS / 64; w++) {
        uint64_t bits = pool->nonempty[w];
        if (w == (n + 1) / 64)
            bits &= ~UINT64_C(0) << ((n + 1) % 64);
        if (bits)
            return w * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return 0;
}

/* n units off the end of the first hole. */
static void *cut_hole(struct pool *pool, uint32_t n)
{
    struct free_array *hole = pool->holes;
    if (hole == NULL)
        return NULL;
    MT_ASSERT(hole->units > MAX_UNITS && is_in_pool(pool, hole, hole->units));
    hole->units -= n; /* a hole is larger than any array */
    char *got = (char *)hole + hole->units * UNIT;
    if (hole->units <= MAX_UNITS) {
        pool->holes = hole->next;
        list_put(pool, hole, hole->units);
    }
    return got;
}

static void *cut_larger(struct pool *pool, uint32_t n)
{
    uint32_t have = side_larger(pool, n);
    if (have == 0)
        return NULL;
    struct free_array *array = list_take(pool, have);
    list_put(pool, array, have - n);
    return (char *)array + (have - n) * UNIT;
}

static uint64_t *pool_get(struct pool *pool, size_t bytes)
{
    uint32_t n = side_units(bytes);
    mt_lock_acquire(&pool->lock);
    void *got = list_take(pool, n);
    if (got == NULL)
        got = cut_larger(pool, n);
    if (got == NULL)
        got = cut_hole(pool, n);
    mt_lock_release(&pool->lock);
    if (got)
        memset(got, 0, n * UNIT);
    else
        got = mt_section_alloc(pool_section(pool), n * UNIT);
    return got;
}

static void pool_put(struct pool *pool, uint64_t *array, size_t bytes)
{
    mt_lock_acquire(&pool->lock);
    list_put(pool, (struct free_array *)array, side_units(bytes));
    mt_lock_release(&pool->lock);
}

/* --- trimming --- */

static struct free_array *side_merge(struct free_array *a, struct free_array *b)
{
    struct free_array *head = NULL, **tail = &head;
    while (a && b) {
        struct free_array **less = a < b ? &a : &b;
        *tail = *less;
        tail = &(*less)->next;
        *less = *tail;
    }
    *tail = a ? a : b;
    return head;
}

/* Adds one array to lists of which list i is sorted and has 2^i arrays. */
static void sort_in(struct free_array **lists, struct free_array *array)
{
    uint32_t i = 0;
    array->next = NULL;
    for (; lists[i]; i++) {
        array = side_merge(lists[i], array);
        lists[i] = NULL;
    }
    lists[i] = array;
}

/* All that is free in the pool, by address; the pool has none then. */
static struct free_array *take_all(struct pool *pool)
{
    struct free_array *lists[48] = {NULL}, *next, *all = NULL;
    for (uint32_t n = 1; n <= MAX_UNITS; n++)
        for (struct free_array *a = pool->free[n]; a; a = next) {
            next = a->next;
            a->units = n;
            sort_in(lists, a);
        }
    for (struct free_array *a = pool->holes; a; a = next) {
        next = a->next;
        sort_in(lists, a);
    }
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
        all = side_merge(lists[i], all);
    memset(pool->free, 0, sizeof pool->free);
    memset(pool->nonempty, 0, sizeof pool->nonempty);
    pool->holes = NULL;
    pool->free_bytes = 0;
    return all;
}

static void keep_hole(struct pool *pool, struct free_array *hole)
{
    uintptr_t start = (uintptr_t)hole;
    uintptr_t from = (start + sizeof *hole + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uintptr_t to = (start + hole->units * UNIT) & ~(uintptr_t)(PAGE - 1);
    if (to > from)
        mt_trace_decommit((void *)from, to - from);
    hole->next = pool->holes;
    pool->holes = hole;
}

static void side_trim(struct pool *pool, bool all)
{
    mt_lock_acquire(&pool->lock);
    if (all || pool->free_bytes >= pool->trim_more + LEAST_TO_TRIM) {
        struct free_array *a = take_all(pool), *next;
        for (; a; a = next) {
            next = a->next;
            MT_ASSERT(!next || (char *)next >= (char *)a + a->units * UNIT);
            while (next && (char *)next == (char *)a + a->units * UNIT) {
                a->units += next->units;
                next = next->next;
            }
            if (a->units > MAX_UNITS)
                keep_hole(pool, a);
            else
                list_put(pool, a, a->units);
        }
        pool->trim_more = pool->free_bytes * 2;
    }
    mt_lock_release(&pool->lock);
}

void mt_side_trim(bool all)
{
    side_trim(&bitmaps, all);
    side_trim(&tags, all);
}

/* --- of spans --- */

static size_t bitmap_bytes(const mt_span *span)
{
    return (size_t)mt_bitmap_words(span->n_blocks) * 16;
}

bool mt_side_bitmaps(mt_span *span)
{
    if (span->n_blocks <= 64) {
        span->inline_local = span->inline_remote = 0;
        span->local = (uintptr_t)&span->inline_local;
        span->remote = (uintptr_t)&span->inline_remote;
        return true;
    }
    uint64_t *bits = pool_get(&bitmaps, bitmap_bytes(span));
    if (bits == NULL)
        return false;
    span->local = (uintptr_t)bits;
    span->remote = (uintptr_t)(bits + mt_bitmap_words(span->n_blocks));
    return true;
}

bool mt_side_tags(mt_span *span)
{
    if (span->n_blocks == 1) {
        span->inline_tag = 0;
        mt_store_release(&span->tags, (uintptr_t)&span->inline_tag);
        return true;
    }
    uint64_t *array = pool_get(&tags, span->n_blocks * sizeof(uint64_t));
    if (array == NULL) {
        __atomic_add_fetch(&memtrace_root->untagged_spans, 1, __ATOMIC_RELAXED);
        return false;
    }
    uint64_t none = 0;
    if (!__atomic_compare_exchange_n(&span->tags, &none, (uintptr_t)array,
                                     false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        pool_put(&tags, array, span->n_blocks * sizeof(uint64_t));
    return true;
}

void mt_side_free(mt_span *span)
{
    MT_ASSERT(span->state != MT_SPAN_UNUSED || !span->local);
    if (span->tags && span->n_blocks > 1)
        pool_put(&tags, mt_tags(span), span->n_blocks * sizeof(uint64_t));
    if (span->local && span->n_blocks > 64)
        pool_put(&bitmaps, mt_local(span), bitmap_bytes(span));
    span->tags = span->local = span->remote = 0;
}

void mt_side_fork_child(void)
{
    mt_lock_reset(&bitmaps.lock);
    mt_lock_reset(&tags.lock);
}

void mt_side_fork_prepare(void)
{
    mt_lock_acquire(&bitmaps.lock);
    mt_lock_acquire(&tags.lock);
}

void mt_side_fork_parent(void)
{
    mt_lock_release(&tags.lock);
    mt_lock_release(&bitmaps.lock);
}
