/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pointer_lists.c - one pass over the heap in the order of addresses.  Each
 * thread takes parts of the slots, and writes lists into chunks of its own.
 */
#include "coreanalyze/reach/pointer_lists.h"
#include "coreanalyze/reach/mark_workers.h"
#include "coreanalyze/reach/range_filter.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SLOTS_OF_PART 8192u /* a multiple of MT_LIST_GROUP */
#define CHUNK_ITEMS 65536u
#define GROUP_ITEMS (MT_LIST_GROUP * MT_LIST_MOST)
#define SMALL_BYTES 16384u /* of blocks with lists */
#define BLOCK_SHARE 10u    /* bytes that lists take for each live block */
#define FILTER_WORDS 512u

struct mt_list_chunk {
    struct mt_list_chunk *next;
    uint32_t items[CHUNK_ITEMS];
};

/* What one thread writes. */
struct list_writer {
    struct mt_worker *worker;
    struct mt_pointer_lists *lists;
    struct mt_list_chunk *chunk;
    uint32_t *at, *end; /* in the chunk; NULL: there is none */
    uint64_t group;     /* that begins next */
    uint64_t slot;      /* whose pointers are written */
    uint64_t span_end;  /* slot */
};

/* --- chunks --- */

static bool pointer_list_new_chunk(struct list_writer *w)
{
    struct mt_pointer_lists *lists = w->lists;
    struct mt_list_chunk *chunk;

    w->at = w->end = NULL;
    if (__atomic_load_n(&lists->bytes, __ATOMIC_RELAXED) >= lists->limit ||
        __atomic_add_fetch(&lists->bytes, sizeof *chunk, __ATOMIC_RELAXED) >
            lists->limit)
        return false;
    /* By malloc it would stay with the thread when it is free. */
    chunk = mmap(NULL, sizeof *chunk, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) {
        __atomic_store_n(&lists->no_memory, true, __ATOMIC_RELAXED);
        return false;
    }
    chunk->next = __atomic_load_n(&lists->chunks, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&lists->chunks, &chunk->next, chunk,
                                        true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        continue;
    w->at = chunk->items;
    w->end = chunk->items + CHUNK_ITEMS;
    return true;
}

/* Begins the groups up to that of a slot.  False: there is no room for it. */
static bool pointer_list_enter(struct list_writer *w, uint64_t slot)
{
    while (w->group <= slot / MT_LIST_GROUP) {
        if ((size_t)(w->end - w->at) < GROUP_ITEMS &&
            !pointer_list_new_chunk(w))
            return false;
        w->lists->groups[w->group++] = w->at;
    }
    return true;
}

/* --- one block --- */

/* The block is to be scanned when it is met.  No later one has a list yet. */
static void pointer_list_give_up(struct list_writer *w, uint64_t slot)
{
    uint8_t *count = &w->lists->counts[slot];

    /* Without pointers there may be no chunk yet. */
    if (*count != 0 && *count != MT_LIST_UNKNOWN)
        w->at -= *count;
    *count = MT_LIST_UNKNOWN;
}

static void pointer_list_add(struct list_writer *w, uint64_t slot,
                             const struct mt_hit *hit)
{
    uint8_t *count = &w->lists->counts[slot];

    if (*count == MT_LIST_MOST || !pointer_list_enter(w, slot))
        pointer_list_give_up(w, slot);
    if (*count == MT_LIST_UNKNOWN)
        return;
    *w->at++ = (uint32_t)hit->place.slot << 1 | (hit->start ? 1 : 0);
    ++*count;
}

static void pointer_list_visit(void *context, const struct mt_hit *hit)
{
    struct list_writer *w = context;

    pointer_list_add(w, w->slot, hit);
}

static bool pointer_list_is_live(const struct list_writer *w, uint64_t slot)
{
    return w->worker->map->flags[slot] & MT_BLOCK_LIVE;
}

/* Scans one block by itself. */
static void pointer_list_block(struct list_writer *w, uint32_t id,
                               uint32_t index)
{
    struct mt_scan *scan = &w->worker->scan;
    const struct mt_map *map = w->worker->map;
    uint64_t start = mt_map_address(map, id, index);
    uint64_t missing = scan->missing_bytes;

    w->slot = map->spans[id].first + index;
    if (!pointer_list_is_live(w, w->slot))
        return;
    mt_scan_block(scan, start, start + mt_map_bytes(map, id, w->slot),
                  pointer_list_visit, w);
    /* It is counted when the block is met. */
    if (scan->missing_bytes != missing)
        pointer_list_give_up(w, w->slot);
    scan->missing_bytes = missing;
}

/* --- many blocks --- */

struct list_span {
    uint32_t id;
    const struct mt_span_view *view;
};

/* A word that may be a pointer, `offset` bytes after the start of the first
 * block. */
static inline void pointer_list_word(struct list_writer *w,
                                     const struct list_span *span,
                                     uint64_t offset, uint64_t word)
{
    const struct mt_span_view *view = span->view;
    const struct mt_map *map = w->worker->map;
    uint64_t index = mt_span_block_at(view, offset);
    uint64_t slot = view->first + index;
    struct mt_hit hit;

    if (!pointer_list_is_live(w, slot) ||
        w->lists->counts[slot] == MT_LIST_UNKNOWN ||
        offset - index * view->block_bytes + 8 >
            mt_map_bytes(map, span->id, slot))
        return;
    if (mt_scan_whole_word(&w->worker->scan, view->base + offset, word, &hit))
        pointer_list_add(w, slot, &hit);
}

static void pointer_list_words(struct list_writer *w,
                               const struct list_span *span, uint64_t offset,
                               const uint64_t *words, size_t n)
{
    const struct mt_map *map = w->worker->map;
    uint64_t keep = mt_scan_address_bits(w->worker->scan.options);
    const struct mt_clusters heap = {
        .keep = keep, .low = {map->low}, .bytes = {map->bytes}};
    uint64_t bits[FILTER_WORDS / 64];

    for (size_t all = n / 64 * 64, m; all > 0;
         all -= m, words += m, offset += m * 8) {
        m = all < FILTER_WORDS ? all : FILTER_WORDS;
        mt_range_filter(&heap, words, m / 64, bits);
        for (size_t k = 0; k < m / 64; k++)
            for (uint64_t left = bits[k]; left; left &= left - 1) {
                size_t i = k * 64 + (size_t)__builtin_ctzll(left);
                pointer_list_word(w, span, offset + i * 8, words[i]);
            }
    }
    for (size_t i = 0; i < n % 64; i++)
        if ((words[i] & keep) - map->low < map->bytes)
            pointer_list_word(w, span, offset + i * 8, words[i]);
}

/* Blocks [first, end) of a span, whose memory is in place. */
static void pointer_list_blocks(struct list_writer *w,
                                const struct list_span *span, uint32_t first,
                                uint32_t end)
{
    struct mt_scan *scan = &w->worker->scan;
    const struct mt_span_view *view = span->view;
    uint64_t at = first * view->block_bytes, stop = end * view->block_bytes;

    while (at < stop) {
        uint64_t bytes = stop - at, next, missing = scan->missing_bytes;
        const uint8_t *data =
            mt_memory_view(&scan->memory, view->base + at, &bytes);
        if (data && bytes >= 8 && (uintptr_t)data % 8 == 0) {
            bytes &= ~UINT64_C(7);
            pointer_list_words(w, span, at,
                               (const uint64_t *)(const void *)data, bytes / 8);
            scan->scanned_bytes += bytes;
            at += bytes;
            continue;
        }
        next =
            mt_scan_skip(scan, view->base + at, view->base + stop) - view->base;
        scan->missing_bytes = missing;
        for (uint64_t i = at / view->block_bytes; i * view->block_bytes < next;
             i++)
            pointer_list_give_up(w, view->first + i);
        at = next;
    }
}

/* Patterns of fontconfig have pointers that are not addresses. */
static void pointer_list_leave_patterns(struct list_writer *w,
                                        const struct list_span *span,
                                        uint32_t first, uint32_t end)
{
    struct mt_scan *scan = &w->worker->scan;
    const struct mt_map *map = w->worker->map;
    uint64_t elements, bytes;

    if (!(scan->options->heuristics & MT_HEURISTIC_FONTCONFIG) ||
        span->view->block_bytes < MT_FONT_PATTERN)
        return;
    for (uint32_t i = first; i < end; i++) {
        uint64_t slot = span->view->first + i;
        if (pointer_list_is_live(w, slot) &&
            mt_map_bytes(map, span->id, slot) == MT_FONT_PATTERN &&
            mt_layout_fontconfig(&scan->probe, mt_map_address(map, span->id, i),
                                 &elements, &bytes))
            w->lists->counts[slot] = MT_LIST_UNKNOWN;
    }
}

static bool pointer_list_has_idle_stack(const struct mt_mark *mark,
                                        uint64_t start, uint64_t end)
{
    uint64_t at = start, part_end;

    return mark->idle &&
           (!mt_idle_stacks_next(mark->idle, &at, end, &part_end) ||
            at != start || part_end != end);
}

/* The blocks [first, end) of a span. */
static void pointer_list_span(struct list_writer *w, uint32_t id,
                              uint32_t first, uint32_t end)
{
    const struct mt_span_view *view = &w->worker->map->spans[id];
    const struct list_span span = {id, view};
    uint64_t start = view->base + first * view->block_bytes;

    if (view->node || view->block_bytes > SMALL_BYTES ||
        pointer_list_has_idle_stack(w->worker->all->mark, start,
                                    view->base + end * view->block_bytes)) {
        memset(&w->lists->counts[view->first + first], MT_LIST_UNKNOWN,
               end - first);
    } else if (view->n_blocks > 1 && view->base % 8 == 0 &&
               view->block_bytes % 8 == 0) {
        pointer_list_leave_patterns(w, &span, first, end);
        pointer_list_blocks(w, &span, first, end);
    } else {
        for (uint32_t i = first; i < end; i++)
            pointer_list_block(w, id, i);
    }
}

static void pointer_list_part(struct list_writer *w, uint64_t slot,
                              uint64_t end)
{
    const struct mt_slot_index *index = &w->lists->index;
    const struct mt_map *map = w->worker->map;
    size_t i = index->n_spans ? mt_slot_index_at(index, slot) : 0;

    w->group = slot / MT_LIST_GROUP;
    for (; i < index->n_spans; i++) {
        const struct mt_span_view *span = &map->spans[index->spans[i]];
        uint64_t last = span->first + span->n_blocks;
        uint64_t from = span->first > slot ? span->first : slot;
        last = last < end ? last : end;
        if (span->first >= end)
            break;
        if (from < last)
            pointer_list_span(w, index->spans[i],
                              (uint32_t)(from - span->first),
                              (uint32_t)(last - span->first));
    }
}

static void pointer_list_scan(struct mt_worker *worker, void *context)
{
    struct mt_pointer_lists *lists = context;
    struct list_writer w = {.worker = worker, .lists = lists};
    uint64_t n_parts = (lists->n_slots + SLOTS_OF_PART - 1) / SLOTS_OF_PART;
    uint64_t part;

    while (mt_workers_next(worker, n_parts, &part)) {
        uint64_t start = part * SLOTS_OF_PART, end = start + SLOTS_OF_PART;
        pointer_list_part(&w, start,
                          end < lists->n_slots ? end : lists->n_slots);
        mt_worker_progress(worker);
    }
}

/* --- all --- */

bool mt_pointer_lists_make(struct mt_mark *mark, struct mt_error *error)
{
    const struct mt_source *source = mark->source;
    uint64_t n = mark->map->n_slots;
    struct mt_pointer_lists *lists;
    struct mt_workers all;
    bool ok;

    /* An item has 31 bits for a slot. */
    if (source->ops->extent == NULL || source->word_copy ||
        source->present_known || n == 0 || n >> 31)
        return true;
    lists = calloc(1, sizeof *lists);
    if (!lists)
        return mt_no_memory(error, "the pointers of blocks");
    lists->n_slots = n;
    lists->limit = mark->map->n_live * BLOCK_SHARE +
                   MT_MAX_WORKERS * sizeof(struct mt_list_chunk);
    lists->counts = calloc(n / MT_LIST_GROUP + 1, MT_LIST_GROUP);
    lists->groups = calloc(n / MT_LIST_GROUP + 1, sizeof *lists->groups);
    ok = mt_slot_index_make(&lists->index, mark->map) && lists->counts &&
         lists->groups;
    ok = ok ? mt_workers_run(mark, &all, false, pointer_list_scan, lists, error)
            : mt_no_memory(error, "the pointers of blocks");
    ok = ok &&
         (!lists->no_memory || mt_no_memory(error, "the pointers of blocks"));
    if (ok)
        mark->lists = lists;
    else
        mt_pointer_lists_free(lists);
    return ok;
}

void mt_pointer_lists_free(struct mt_pointer_lists *lists)
{
    struct mt_list_chunk *chunk, *next;

    if (!lists)
        return;
    for (chunk = lists->chunks; chunk; chunk = next) {
        next = chunk->next;
        munmap(chunk, sizeof *chunk);
    }
    mt_slot_index_free(&lists->index);
    free(lists->counts);
    free(lists->groups);
    free(lists);
}
