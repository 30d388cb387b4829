/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The modes of safety.h.  Reports are made with no lock held, so that a
 * handler of SIGABRT may still allocate.
 */
#include "heap/seldom.h"
#include "heap/safety.h"

#include <errno.h>
#include <string.h>

#define LEAST_RING 1024u
#define MOST_RING (1u << 22)

static struct mt_cache *locked_cache(struct memtrace_heap *heap)
{
    if (heap->cache == NULL)
        heap->cache = mt_cache_new(heap, MT_THREAD_HEAP);
    return heap->cache;
}

/* A ring for blocks of 128 bytes on average; when it is full, the oldest go
 * sooner. A heap that is used again keeps it. */
static bool ring_setup(struct mt_quarantine *q, uint64_t bytes)
{
    uint32_t n = LEAST_RING;
    while (n < MOST_RING && (uint64_t)n * 128 < bytes)
        n *= 2;
    if (q->ring == NULL || n > q->capacity) {
        uint64_t *ring = NULL;
        for (; n >= LEAST_RING && ring == NULL; n /= 2) {
            ring = mt_section_alloc(MT_SECTION_PRIVATE, n * sizeof *ring);
            if (ring)
                q->capacity = n;
        }
        if (ring == NULL)
            return false;
        q->ring = ring;
    }
    q->first = q->count = 0;
    q->bytes = 0;
    q->most = bytes;
    return true;
}

bool mt_safety_setup(struct memtrace_heap *heap, uint32_t modes,
                     uint64_t quarantine)
{
    modes |= mt_config.modes;
    if (heap->record->flags & MT_HEAP_GIVEN)
        modes &= ~MT_MODE_GUARD; /* its pages are not ours to protect */
    if (quarantine < mt_config.quarantine)
        quarantine = mt_config.quarantine;
    if (modes == 0 && quarantine == 0)
        return true;
    if (locked_cache(heap) == NULL ||
        (quarantine && !ring_setup(&heap->quarantine, quarantine))) {
        errno = ENOMEM;
        return false;
    }
    heap->modes = modes;
    if (heap == mt_main)
        mt_hot.small_sizes = 0;
    return true;
}

void mt_safety_forget(struct memtrace_heap *heap)
{
    heap->modes = 0;
    heap->quarantine.most = heap->quarantine.bytes = 0;
    heap->quarantine.first = heap->quarantine.count = 0;
}

/* --- quarantine --- */

/* The large block is free; nobody may touch it until it leaves. */
static void shut_large(struct memtrace_heap *heap, mt_span *span)
{
    uintptr_t page = span->base & ~(uintptr_t)4095;
    if (heap->record->flags & MT_HEAP_GIVEN)
        return;
    if (mt_os_protect((void *)page, span->base + span->block_bytes - page)) {
        mt_os_decommit((void *)page, span->base + span->block_bytes - page);
        span->flags |= MT_SPAN_SHUT;
    }
}

static void safety_push(struct mt_quarantine *q, uintptr_t block,
                        uint64_t bytes)
{
    q->ring[(q->first + q->count) % q->capacity] = block;
    q->count++;
    q->bytes += bytes;
}

/* Lets the oldest block go; cache_lock held. */
static void safety_leave(struct memtrace_heap *heap, struct mt_finding *finding)
{
    struct mt_quarantine *q = &heap->quarantine;
    uintptr_t block = q->ring[q->first];
    q->first = (q->first + 1) % q->capacity;
    q->count--;
    mt_span *span = mt_span_of(block);
    q->bytes -= span->block_bytes;
    if (span->state == MT_SPAN_LARGE) {
        mt_span_release(heap, span);
        return;
    }
    uint32_t index = (uint32_t)mt_block_index(span, block);
    uint64_t bit = UINT64_C(1) << (index % 64);
    if (heap->modes & MT_MODE_FILL_FREE)
        mt_fill_check(span, index, finding);
    /* Never live in between, for a reader. */
    uint64_t *word = &mt_local(span)[index / 64];
    mt_store_release(word, *word | bit);
    __atomic_fetch_and(&mt_remote(span)[index / 64], ~bit, __ATOMIC_RELEASE);
    mt_free_other(heap->cache, span, index);
}

void mt_safe_free(struct memtrace_heap *heap, mt_span *span, uint32_t index,
                  struct mt_finding *finding)
{
    struct mt_quarantine *q = &heap->quarantine;
    unsigned char *block = mt_block_start(span, index);
    bool large = span->state == MT_SPAN_LARGE;
    if (heap->modes & MT_MODE_FILL_FREE && !large)
        memset(block, MT_FILL_FREED, span->block_bytes);
    if (q->most == 0) { /* large blocks come here for the quarantine alone */
        mt_free_other(heap->cache, span, index);
        return;
    }
    if (large) {
        span->flags |= MT_SPAN_DELAYED;
        shut_large(heap, span);
    } else {
        __atomic_fetch_or(&mt_remote(span)[index / 64],
                          UINT64_C(1) << (index % 64), __ATOMIC_RELEASE);
    }
    if (q->count == q->capacity)
        safety_leave(heap, finding);
    safety_push(q, (uintptr_t)block, span->block_bytes);
}

bool mt_quarantine_shrink(struct memtrace_heap *heap, uint64_t keep)
{
    struct mt_quarantine *q = &heap->quarantine;
    bool more = true, any = false;
    while (more) {
        struct mt_finding finding = {0};
        mt_lock_acquire(&heap->cache_lock);
        more = q->count > 0 && q->bytes > keep;
        if (more)
            safety_leave(heap, &finding);
        mt_lock_release(&heap->cache_lock);
        any |= more;
        mt_finding_report(&finding, "quarantine");
    }
    return any;
}

/* Blocks that nobody asked for again, at exit; one finding for each span. */
__attribute__((destructor)) static void final_check(void)
{
    if (!mt_started())
        return;
    for (uint32_t i = 0; i < MT_MAX_HEAPS; i++) {
        struct memtrace_heap *heap = mt_heap_at(i);
        if (heap == NULL)
            break;
        if (!(heap->modes & MT_MODE_FILL_FREE))
            continue;
        uint64_t n = memtrace_root->sections[MT_SECTION_SPANS].used;
        for (uint32_t id = 1; id < n / sizeof(mt_span); id++) {
            struct mt_finding finding = {0};
            mt_span *span = mt_span_at(id);
            mt_lock_acquire(&heap->cache_lock);
            if (span->state == MT_SPAN_SMALL && span->heap == heap->id)
                mt_fill_check_span(span, &finding);
            mt_lock_release(&heap->cache_lock);
            mt_finding_report(&finding, "exit");
        }
    }
}
