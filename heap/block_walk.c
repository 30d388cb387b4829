/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the heap in process: walk, statistics, and the calls of memtrace.h
 * that set something.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/live_words.h"
#include "heap/memtrace.h"
#include "heap/block_walk.h"
#include "heap/capture/stacks.h"

#include <errno.h>
#include <string.h>

static uint32_t span_count(void)
{
    return (uint32_t)(mt_load_acquire(
                          &memtrace_root->sections[MT_SECTION_SPANS].used) /
                      sizeof(mt_span));
}

static bool is_span_of(const struct memtrace_heap *heap, const mt_span *span)
{
    uint8_t state = mt_load_acquire(&span->state);
    return (state == MT_SPAN_SMALL || state == MT_SPAN_LARGE) &&
           span->heap == heap->id;
}

int mt_blocks_walk(struct memtrace_heap *heap, mt_visitor visit, void *arg)
{
    uint32_t n = span_count();
    int stop = 0;
    for (uint32_t id = 1; id < n && !stop; id++) {
        mt_span *span = mt_span_at(id);
        if (!is_span_of(heap, span))
            continue;
        uint32_t words = mt_bitmap_words(span->n_blocks);
        for (uint32_t w = 0; w < words && !stop; w++) {
            uint64_t live = ~(mt_load_relaxed(&mt_local(span)[w]) |
                              mt_load_relaxed(&mt_remote(span)[w])) &
                            mt_word_mask(span, w);
            for (; live && !stop; live &= live - 1)
                stop =
                    visit(span, w * 64 + (uint32_t)__builtin_ctzll(live), arg);
        }
    }
    return stop;
}

uint64_t mt_block_requested(const mt_span *span, uint64_t tag)
{
    if (MT_TAG_STACK(tag) == MT_STACK_UNTRACED)
        return span->block_bytes;
    return span->state == MT_SPAN_LARGE ? span->requested
                                        : span->block_bytes - MT_TAG_SLACK(tag);
}

uint64_t mt_block_tag(const mt_span *span, uint32_t index)
{
    uint64_t *tags = (uint64_t *)mt_load_acquire(&span->tags);
    return tags ? mt_load_relaxed(&tags[index]) : 0;
}

static int walk_count(mt_span *span, uint32_t index, void *arg)
{
    struct memtrace_stats *stats = arg;
    uint64_t tag = mt_block_tag(span, index);
    stats->blocks++;
    stats->used += span->block_bytes;
    stats->requested += mt_block_requested(span, tag);
    if (MT_TAG_STACK(tag) == MT_STACK_UNTRACED) {
        stats->untraced_blocks++;
        stats->untraced_bytes += span->block_bytes;
    }
    return 0;
}

/* Live blocks of a span: by counting bits. */
static size_t live_blocks(const mt_span *span)
{
    size_t n = 0;
    for (uint32_t w = 0; w < mt_bitmap_words(span->n_blocks); w++)
        n += (size_t)mt_live_count(~(mt_load_relaxed(&mt_local(span)[w]) |
                                     mt_load_relaxed(&mt_remote(span)[w])) &
                                   mt_word_mask(span, w));
    return n;
}

void mt_heap_usage(const struct memtrace_heap *heap,
                   struct memtrace_stats *stats)
{
    const struct mt_heap_record *record = heap->record;
    memset(stats, 0, sizeof *stats);
    stats->name = record->name;
    stats->base = (const void *)record->base;
    stats->size = record->size;
    stats->committed = record->committed;
    stats->span_bytes = record->span_bytes;
    stats->span_peak = record->span_bytes_peak;
    stats->trimmable = record->dirty_bytes;
    stats->failures = record->failures;
    uint32_t n = span_count();
    for (uint32_t id = 1; id < n; id++) {
        const mt_span *span = mt_span_at(id);
        if (span->heap != heap->id)
            continue;
        stats->free_runs += span->state == MT_SPAN_FREE;
        if (!is_span_of(heap, span))
            continue;
        size_t live = live_blocks(span);
        stats->blocks += live;
        stats->used += live * span->block_bytes;
        stats->free_blocks += span->n_blocks - live;
    }
}

MT_EXPORT int memtrace_heap_stats(memtrace_heap *heap,
                                  struct memtrace_stats *stats)
{
    heap = mt_heap_meant(heap);
    if (heap == NULL)
        return -1;
    mt_heap_usage(heap, stats);
    size_t total = stats->blocks + stats->free_blocks;
    stats->blocks = stats->used = 0; /* those that are counted one by one */
    mt_blocks_walk(heap, walk_count, stats);
    stats->free_blocks = total > stats->blocks ? total - stats->blocks : 0;
    return 0;
}

MT_EXPORT int memtrace_heap_class_stats(memtrace_heap *heap,
                                        struct memtrace_class_stats *stats,
                                        unsigned n)
{
    heap = mt_heap_meant(heap);
    if (heap == NULL)
        return -1;
    unsigned all = MT_N_CLASSES + 1;
    if (n > all)
        n = all;
    for (unsigned c = 0; c < n; c++)
        stats[c] = (struct memtrace_class_stats){
            .size = c < MT_N_CLASSES ? mt_class_size(c) : 0,
            .span_bytes = heap->class_bytes[c],
            .span_peak = heap->class_peak[c]};
    for (uint32_t id = 1; id < span_count(); id++) {
        const mt_span *span = mt_span_at(id);
        unsigned c =
            span->state == MT_SPAN_SMALL ? span->size_class : MT_N_CLASSES;
        if (!is_span_of(heap, span) || c >= n)
            continue;
        for (uint32_t w = 0; w < mt_bitmap_words(span->n_blocks); w++) {
            uint64_t mask = mt_word_mask(span, w);
            uint64_t free_bits = (mt_load_relaxed(&mt_local(span)[w]) |
                                  mt_load_relaxed(&mt_remote(span)[w])) &
                                 mask;
            size_t live = (size_t)mt_live_count(mask & ~free_bits);
            stats[c].blocks += live;
            stats[c].used += live * span->block_bytes;
            stats[c].free_blocks += (size_t)mt_live_count(free_bits);
        }
    }
    return (int)all;
}

struct public_walk {
    uint64_t frames[MT_DEPTH_MAX]; /* of stack `id` */
    uint32_t id;
    unsigned depth;
    int (*visit)(const struct memtrace_block *, void *);
    void *arg;
    uint64_t now;
};

static int visit_public(mt_span *span, uint32_t index, void *arg)
{
    struct public_walk *walk = arg;
    uint64_t tag = mt_block_tag(span, index);
    struct memtrace_block block = {
        .address = (void *)(span->base + (uint64_t)index * span->block_bytes),
        .requested = mt_block_requested(span, tag),
        .usable = mt_usable_bytes(span),
    };
    uint32_t id = MT_TAG_STACK(tag);
    if (id != MT_STACK_UNTRACED) {
        const struct mt_epoch_record *epochs =
            (void *)memtrace_root->sections[MT_SECTION_EPOCHS].base;
        block.age_s =
            (double)(walk->now - epochs[MT_TAG_EPOCH(tag)].monotonic_ns) / 1e9;
    }
    if (id >= MT_STACK_FIRST) {
        if (id != walk->id)
            walk->depth = mt_stacks_frames(id, walk->frames);
        walk->id = id;
        block.stack = walk->frames;
        block.depth = walk->depth;
    }
    return walk->visit(&block, walk->arg);
}

MT_EXPORT int memtrace_heap_walk(memtrace_heap *heap,
                                 int (*visit)(const struct memtrace_block *,
                                              void *),
                                 void *arg)
{
    heap = mt_heap_meant(heap);
    if (heap == NULL)
        return -1;
    struct public_walk walk = {
        .visit = visit, .arg = arg, .now = mt_os_monotonic_ns()};
    return mt_blocks_walk(heap, visit_public, &walk);
}

MT_EXPORT int memtrace_heap_trace(memtrace_heap *heap, int on)
{
    heap = mt_heap_meant(heap);
    if (heap == NULL)
        return -1;
    uint32_t *word = &heap->record->trace;
    if (on)
        mt_store_release(word, MT_TRACE_ON);
    else if (mt_load_relaxed(word) == MT_TRACE_ON)
        mt_store_release(word, MT_TRACE_ERASE);
    return 0;
}

MT_EXPORT int memtrace_mark(const char *label)
{
    if (label == NULL || *label == '\0') {
        errno = EINVAL;
        return -1;
    }
    if (!mt_start())
        return -1;
    uint64_t before = memtrace_root->epoch_overflow;
    mt_epoch_mark(label);
    if (memtrace_root->epoch_overflow == before)
        return 0;
    errno = ENOMEM;
    return -1;
}

MT_EXPORT int memtrace_heap_limit(memtrace_heap *heap, size_t bytes)
{
    heap = mt_heap_meant(heap);
    if (heap == NULL)
        return -1;
    mt_store_release(&heap->record->limit, bytes);
    return 0;
}

MT_EXPORT int memtrace_heap_on_full(memtrace_heap *heap,
                                    memtrace_full_handler handler, void *arg)
{
    heap = mt_heap_meant(heap);
    if (heap == NULL)
        return -1;
    heap->on_full_arg = arg;
    mt_store_release(&heap->on_full, handler);
    return 0;
}

MT_EXPORT size_t memtrace_trim(void)
{
    if (!mt_started())
        return 0;
    if (mt_tls != &mt_no_cache)
        mt_cache_trim(mt_tls);
    mt_idle_trim();
    size_t given = 0;
    for (uint32_t i = 0; i < MT_MAX_HEAPS; i++) {
        struct memtrace_heap *heap = mt_heap_at(i);
        if (heap == NULL)
            break;
        if (!(heap->record->flags & MT_HEAP_IN_USE))
            continue;
        if (heap->cache) {
            mt_lock_acquire(&heap->cache_lock);
            mt_cache_trim(heap->cache);
            mt_lock_release(&heap->cache_lock);
        }
        given += mt_heap_purge(heap, 0);
    }
    mt_side_trim(true);
    return given;
}
