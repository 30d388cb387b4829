/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Span records.  Unused ones are in a list of the heap that had them last;
 * pages of which no record is in use can be given to the kernel, and are found
 * again by a bitmap of such pages. To a reader they are records that are not
 * in use.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/box.h"
#include "heap/debug.h"

#define PAGE 4096u
#define BATCH (PAGE / (uint32_t)sizeof(mt_span)) /* records of a page */
#define LEAST_TO_TRIM 2048u

/* Bit i: page i of the section holds nothing and is in no list. A leaf of the
 * lock order. */
static struct {
    struct mt_lock lock;
    uint64_t *bits;
    uint64_t first; /* no word below it has a bit */
} idle_pages;

void mt_records_fork_prepare(void)
{
    mt_lock_acquire(&idle_pages.lock);
}

void mt_records_fork_parent(void)
{
    mt_lock_release(&idle_pages.lock);
}

void mt_records_fork_child(void)
{
    mt_lock_reset(&idle_pages.lock);
}

static uint64_t bitmap_words(void)
{
    uint64_t pages = memtrace_root->sections[MT_SECTION_SPANS].reserved / PAGE;
    return (pages + 63) / 64;
}

static mt_span *take_idle_page(void)
{
    mt_span *page = NULL;
    if (mt_load_relaxed(&idle_pages.bits) == NULL)
        return NULL;
    mt_lock_acquire(&idle_pages.lock);
    uint64_t words = bitmap_words(), w = idle_pages.first;
    while (w < words && idle_pages.bits[w] == 0)
        w++;
    idle_pages.first = w;
    if (w < words) {
        uint64_t bit = (uint64_t)__builtin_ctzll(idle_pages.bits[w]);
        idle_pages.bits[w] &= idle_pages.bits[w] - 1;
        page = mt_span_at((uint32_t)(w * 64 + bit) * BATCH);
    }
    mt_lock_release(&idle_pages.lock);
    return page;
}

static void give_page(mt_span *page)
{
    uint64_t i = mt_span_id(page) / BATCH;
    mt_lock_acquire(&idle_pages.lock);
    idle_pages.bits[i / 64] |= UINT64_C(1) << (i % 64);
    if (i / 64 < idle_pages.first)
        idle_pages.first = i / 64;
    mt_lock_release(&idle_pages.lock);
}

mt_span *mt_record_new(struct memtrace_heap *heap)
{
    if (heap->free_records == 0) {
        uint32_t n = BATCH;
        mt_span *batch = take_idle_page();
        if (batch == NULL) { /* the rest of a page: record 0 is nobody's */
            n -= mt_load_relaxed(
                     &memtrace_root->sections[MT_SECTION_SPANS].used) /
                 sizeof(mt_span) % BATCH;
            batch = mt_section_alloc(MT_SECTION_SPANS, n * sizeof(mt_span));
        }
        if (batch == NULL)
            return NULL;
        for (uint32_t i = n; i-- > 0;)
            mt_record_free(heap, &batch[i]);
    }
    mt_span *span = mt_span_at(heap->free_records);
    MT_ASSERT(span->state == MT_SPAN_UNUSED && heap->n_free_records > 0);
    heap->free_records = span->next;
    heap->n_free_records--;
    span->next = 0;
    return span;
}

void mt_record_free(struct memtrace_heap *heap, mt_span *span)
{
    MT_ASSERT(span->state <= MT_SPAN_FREE &&
              heap->free_records != mt_span_id(span));
    mt_store_relaxed(&span->state, MT_SPAN_UNUSED);
    mt_store_relaxed(&span->owner_key, 0);
    mt_store_relaxed(&span->owner, 0);
    span->next = heap->free_records;
    heap->free_records = mt_span_id(span);
    heap->n_free_records++;
}

/* --- trimming --- */

static uint32_t records_merge(uint32_t a, uint32_t b)
{
    uint32_t head = 0, *tail = &head;
    while (a && b) {
        uint32_t *less = a < b ? &a : &b;
        *tail = *less;
        tail = &mt_span_at(*less)->next;
        *less = *tail;
    }
    *tail = a ? a : b;
    return head;
}

/* Bottom-up: slot i holds a sorted list of 2^i records. */
static uint32_t records_sorted(uint32_t list)
{
    uint32_t slots[32] = {0}, all = 0;
    while (list) {
        uint32_t one = list, i = 0;
        list = mt_span_at(one)->next;
        mt_span_at(one)->next = 0;
        for (; slots[i]; i++) {
            one = records_merge(slots[i], one);
            slots[i] = 0;
        }
        slots[i] = one;
    }
    for (uint32_t i = 0; i < 32; i++)
        all = records_merge(slots[i], all);
    return all;
}

/* Is `id`, in a sorted list, the first of a page that is in it as a whole?
 * One that a thread is about to put on a pending list (heap.c) is kept. */
static bool whole_page(uint32_t id)
{
    if (id % BATCH != 0)
        return false;
    for (uint32_t i = 0; i < BATCH; i++) {
        const mt_span *span = mt_span_at(id + i);
        if (mt_load_acquire(&span->pending) ||
            (i + 1 < BATCH && span->next != id + i + 1))
            return false;
    }
    return true;
}

static bool have_bitmap(void)
{
    if (idle_pages.bits)
        return true;
    mt_lock_acquire(&idle_pages.lock);
    if (idle_pages.bits == NULL)
        mt_store_release(&idle_pages.bits,
                         mt_section_alloc(MT_SECTION_PRIVATE,
                                          bitmap_words() * sizeof(uint64_t)));
    mt_lock_release(&idle_pages.lock);
    return idle_pages.bits != NULL;
}

void mt_records_trim(struct memtrace_heap *heap, bool all)
{
    if (!all && heap->n_free_records < LEAST_TO_TRIM + heap->kept_records)
        return;
    if (heap->n_free_records < BATCH || !have_bitmap())
        return;
    uint32_t list = records_sorted(heap->free_records),
             *link = &heap->free_records;
    *link = list;
    while (*link) {
        mt_span *page = mt_span_at(*link);
        if (!whole_page(*link)) {
            link = &page->next;
            continue;
        }
        uint32_t rest = page[BATCH - 1].next;
        if (!mt_trace_decommit(page, PAGE))
            break;
        *link = rest;
        heap->n_free_records -= BATCH;
        give_page(page);
    }
    heap->kept_records = heap->n_free_records;
}
