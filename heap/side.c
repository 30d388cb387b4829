/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The arrays beside spans: free bits and tags.  They are cut from their
 * sections and kept for reuse in lists by size; both are leaves of the lock
 * order.
 */
#include "alloc.h"

#include <string.h>

/* Sizes are multiples of 64 bytes: no two spans share a cache line of bits. */
#define UNIT 64u
#define MAX_UNITS 128u /* 1024 tags */

struct pool {
    struct mt_lock lock;
    unsigned section;
    uint64_t *free[MAX_UNITS + 1]; /* linked by their first word */
};

static struct pool bitmaps = {.section = MT_SECTION_BITMAPS};
static struct pool tags = {.section = MT_SECTION_TAGS};

static uint32_t units(size_t bytes)
{
    return (uint32_t)((bytes + UNIT - 1) / UNIT);
}

static uint64_t *pool_get(struct pool *pool, size_t bytes)
{
    uint32_t n = units(bytes);
    mt_lock_acquire(&pool->lock);
    uint64_t *got = pool->free[n];
    if (got)
        pool->free[n] = (uint64_t *)(uintptr_t)*got;
    mt_lock_release(&pool->lock);
    if (got)
        memset(got, 0, n * UNIT);
    else
        got = mt_section_alloc(pool->section, n * UNIT);
    return got;
}

static void pool_put(struct pool *pool, uint64_t *array, size_t bytes)
{
    uint32_t n = units(bytes);
    mt_lock_acquire(&pool->lock);
    *array = (uintptr_t)pool->free[n];
    pool->free[n] = array;
    mt_lock_release(&pool->lock);
}

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
        span->tags = (uintptr_t)&span->inline_tag;
        return true;
    }
    uint64_t *array = pool_get(&tags, span->n_blocks * sizeof(uint64_t));
    if (array == NULL) {
        __atomic_add_fetch(&memtrace_root->untagged_spans, 1, __ATOMIC_RELAXED);
        return false;
    }
    mt_store_release(&span->tags, (uintptr_t)array);
    return true;
}

void mt_side_free(mt_span *span)
{
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
