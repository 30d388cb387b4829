/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark_keep.c - the word filter of a search. It keeps all of the trace and of
 * the stacks, and every word of other memory that points into a mapping. For
 * the heuristics it also keeps small numbers at the start of blocks, which may
 * be lengths, and the word that shows that a possible vtable is not a vtable.
 */
#include "coreanalyze/reach/mark_keep.h"
#include "coreanalyze/reach/idle_stacks.h"
#include "coreanalyze/reach/range_filter.h"
#include "coreanalyze/reach/roots.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reach/thread_stacks.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/snapshot/model.h"
#include "coreanalyze/source/word_copy.h"

#include <stdlib.h>

/* At least, whatever a damaged root says. */
#define TRACE_BYTES (UINT64_C(1) << 20)
#define STACK_BYTES (UINT64_C(64) << 20) /* of one, at most */
#define BY_LENGTH                                                              \
    (MT_HEURISTIC_STDSTRING | MT_HEURISTIC_LENGTH64 | MT_HEURISTIC_NEWARRAY)

#define BY_START (BY_LENGTH | MT_HEURISTIC_FONTCONFIG | MT_HEURISTIC_GOBJECT)

#define PAGE_BITS (MT_STORE_WORDS / 64)
#define BY_MASK (MT_HEURISTIC_HASHBROWN | MT_HEURISTIC_ZEND)
#define MASK_LIMIT (UINT64_C(1) << 40)

struct interval {
    uint64_t start, end;
};

struct filter {
    const struct mt_snapshot_options *snapshot;
    const struct mt_scan_options *scan;
    struct mt_model *model;
    struct mt_map *map;     /* of spans alone */
    struct interval *whole; /* to be kept whole, by address */
    size_t n_whole;
    struct interval *code; /* that may be executed, by address */
    size_t n_code;
    uint64_t no_code, no_code_bytes; /* where most pointers lead to */
    struct mt_clusters clusters;
    struct mt_thread_stacks stacks;
};

static int mark_keep_by_start(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* The first interval that ends after an address begins before `end`. */
static bool mark_keep_meets(const struct interval *all, size_t n,
                            uint64_t start, uint64_t end)
{
    size_t i = mt_count_up_to(all, n, end, start);

    return i < n && all[i].start < end;
}

/* --- before --- */

/* Mappings lie in two clusters, mostly: the program, and all the rest. */
static void find_clusters(struct filter *k, const struct mt_source *source)
{
    const struct mt_mapping *m = source->mappings;
    uint64_t widest = 0;
    size_t split = 0, n = source->n_mappings;

    if (n == 0)
        return;
    for (size_t i = 1; i < n; i++)
        if (m[i].start - m[i - 1].end > widest) {
            widest = m[i].start - m[i - 1].end;
            split = i;
        }
    k->clusters = (struct mt_clusters){
        .keep = mt_scan_address_bits(k->scan),
        .low = {m[0].start},
        .bytes = {m[split ? split - 1 : n - 1].end - m[0].start},
    };
    if (split) {
        k->clusters.low[1] = m[split].start;
        k->clusters.bytes[1] = m[n - 1].end - m[split].start;
    }
}

static bool list_intervals(struct filter *k, const struct mt_source *source)
{
    size_t n = 0, n_records = k->stacks.n + 1;

    k->whole = calloc(source->n_threads + n_records + 1, sizeof *k->whole);
    k->code = calloc(source->n_mappings + 1, sizeof *k->code);
    if (k->whole == NULL || k->code == NULL)
        return false;
    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        if (m->flags & (MT_MAP_EXEC | MT_MAP_ASSUMED))
            k->code[k->n_code++] = (struct interval){m->start, m->end};
    }
    k->whole[n++] = (struct interval){
        k->model->root, k->model->root + (k->model->trace_bytes > TRACE_BYTES
                                              ? k->model->trace_bytes
                                              : TRACE_BYTES)};
    for (size_t i = 0; i < source->n_threads; i++) {
        uint64_t sp = source->threads[i].registers[MT_REG_RSP];
        const struct mt_mapping *m = mt_source_mapping(source, sp);
        struct mt_block_ref place;
        if (source->threads[i].has_registers && m && sp > MT_RED_ZONE &&
            !mt_map_find(k->map, sp, &place))
            k->whole[n++] = (struct interval){
                sp - MT_RED_ZONE,
                m->end - sp < STACK_BYTES ? m->end : sp + STACK_BYTES};
    }
    /* The C library's records of threads say where stacks are. */
    for (size_t i = 0; i < n_records; i++) {
        uint64_t tcb =
            i < k->stacks.n ? k->stacks.items[i].tcb : k->stacks.main_tcb;
        if (tcb)
            k->whole[n++] = (struct interval){tcb, tcb + MT_TCB_BYTES};
    }
    qsort(k->whole, n, sizeof *k->whole, mark_keep_by_start);
    for (size_t i = 0; i < n; i++) {
        struct interval *last = &k->whole[k->n_whole];
        if (k->n_whole > 0 && k->whole[i].start <= last[-1].end) {
            if (last[-1].end < k->whole[i].end)
                last[-1].end = k->whole[i].end;
            continue;
        }
        *last = k->whole[i];
        k->n_whole++;
    }
    return true;
}

static bool mark_keep_begin(void *context, struct mt_source *source,
                            struct mt_error *error)
{
    struct filter *k = context;

    k->model = mt_snapshot_outline(source, k->snapshot, error);
    if (k->model == NULL)
        return false;
    k->map = mt_model_outline(k->model, error);
    if (k->map == NULL)
        return false;
    find_clusters(k, source);
    if (!mt_thread_stacks_find(source, &k->stacks) ||
        !list_intervals(k, source))
        return mt_no_memory(error, "the mappings");
    if (!mark_keep_meets(k->code, k->n_code, k->map->low,
                         k->map->low + k->map->bytes)) {
        k->no_code = k->map->low;
        k->no_code_bytes = k->map->bytes;
    }
    return true;
}

/* --- what is chosen --- */

static void mark_keep_set(uint64_t *bits, size_t word)
{
    bits[word / 64] |= UINT64_C(1) << word % 64;
}

/* One less than a power of two, and no address: a table's size, beside the
 * pointer to it.  PHP's has a power of two below zero, after flags.  Hardly any
 * word is below zero; the rest is without branches, which no processor would
 * foresee. */
static inline __attribute__((always_inline)) bool is_mask(uint64_t word)
{
    uint32_t below = -(uint32_t)(word >> 32);

    if (__builtin_expect((int64_t)word < 0, 0))
        return below >= 2 && (below & (below - 1)) == 0;
    return ((word & (word + 1)) == 0) & (word - 3 < MASK_LIMIT - 3);
}

/* The masks beside word `at`, of n. */
static inline __attribute__((always_inline)) void
keep_masks(const uint64_t *words, size_t n, size_t at, uint64_t *bits)
{
    size_t before = at - (at > 0), after = at + (at + 1 < n);

    bits[before / 64] |= (uint64_t)is_mask(words[before]) << before % 64;
    bits[after / 64] |= (uint64_t)is_mask(words[after]) << after % 64;
}

/* From a word that leads forward, as a context's to its floating-point state,
 * back to the size of the context's stack. */
#define CONTEXT_BEFORE ((MT_CONTEXT_STATE - MT_CONTEXT_SIZE) / 8)

/* The size of a stack, if word `at` may be a context's. */
static inline __attribute__((always_inline)) void
keep_context(uint64_t address, const uint64_t *words, size_t at, uint64_t *bits)
{
    uint64_t forward = words[at] - (address + at * 8);

    if (__builtin_expect(forward - MT_CONTEXT_NEAREST <
                             MT_CONTEXT_FARTHEST - MT_CONTEXT_NEAREST,
                         0) &&
        at >= CONTEXT_BEFORE)
        mark_keep_set(bits, at - CONTEXT_BEFORE);
}

/* Before its first function a vtable has only zeros. The last nonzero word
 * before a function therefore shows that no vtable begins before that word. */
static void keep_before(const uint64_t *words, size_t at, uint64_t *bits)
{
    for (size_t i = 1; i < MT_VTABLE_WORDS && i <= at; i++)
        if (words[at - i] != 0) {
            mark_keep_set(bits, at - i);
            return;
        }
}

/* What the pointers of a page, of n words in all, have before or beside them.
 */
static void keep_near(const struct filter *k, uint64_t address,
                      const uint64_t *words, size_t n, size_t page,
                      uint64_t *bits)
{
    bool vtables = k->scan->heuristics & MT_HEURISTIC_MULTIPLEINHERITANCE;
    bool masks = k->scan->heuristics & BY_MASK;
    uint64_t all = UINT64_MAX;

    for (size_t w = page * PAGE_BITS; w < (page + 1) * PAGE_BITS; w++)
        all &= bits[w];
    if (all == UINT64_MAX) {
        keep_masks(words, n, page * MT_STORE_WORDS, bits);
        keep_masks(words, n, (page + 1) * MT_STORE_WORDS - 1, bits);
        for (size_t at = 0; at < CONTEXT_BEFORE; at++)
            keep_context(address, words, page * MT_STORE_WORDS + at, bits);
        return;
    }
    for (size_t w = page * PAGE_BITS; w < (page + 1) * PAGE_BITS; w++)
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(left);
            uint64_t word = words[at];
            keep_context(address, words, at, bits);
            if (masks)
                keep_masks(words, n, at, bits);
            if (vtables && word - k->no_code >= k->no_code_bytes &&
                mark_keep_meets(k->code, k->n_code, word, word + 1))
                keep_before(words, at, bits);
        }
}

/* A length is less than the block's bytes, and no more than the capacity. */
static void keep_lengths(const struct filter *k,
                         const struct mt_span_view *span, size_t word,
                         const uint64_t *words, uint64_t *bits)
{
    uint64_t first = words[word], second = words[word + 1];

    if (first != 0 && first < span->block_bytes)
        mark_keep_set(bits, word);
    if (k->scan->heuristics & MT_HEURISTIC_MARIADB &&
        word + 2 < MT_STORE_WORDS && words[word + 2] < span->block_bytes &&
        words[word + 2] >= span->block_bytes / 2)
        mark_keep_set(bits, word + 2);
    if (second == 0 || second >= span->block_bytes)
        return;
    if (first <= second)
        mark_keep_set(bits, word + 1);
    else if (bits[word / 64] >> (word + 1) % 64 & 1)
        mark_keep_set(bits, word); /* lest it read as 0, and so as a length */
}

/* What may be a pattern of fontconfig: two counts, and a distance to somewhere
 * in the heap. */
static void keep_pattern(const struct filter *k, uint64_t start, size_t word,
                         const uint64_t *words, uint64_t *bits)
{
    uint64_t room = words[word] >> 32, distance = words[word + 1];

    if (room == 0 || room > MT_FONT_MOST || (words[word] & 0xffffffff) > room ||
        distance == 0 || distance % 16 != 0 ||
        start + distance - k->map->low >= k->map->bytes)
        return;
    mark_keep_set(bits, word);
    mark_keep_set(bits, word + 1);
}

/* The first block that ends after an address, and its span. */
static const struct mt_span_view *first_block(const struct mt_map *map,
                                              uint64_t address, uint64_t *index)
{
    const struct mt_map_region *region;
    const struct mt_span_view *span;
    uint32_t id;

    if (address - map->low >= map->bytes ||
        (region = mt_map_region(map, address)) == NULL)
        return NULL;
    id = region->spans[(address - region->base) >> region->shift];
    if (id == 0 || id >= map->n_spans)
        return NULL;
    span = &map->spans[id];
    if (span->n_blocks == 0 || span->block_bytes < 16)
        return NULL;
    *index = address <= span->base || span->n_blocks == 1
                 ? 0
                 : mt_span_block_at(span, address - span->base);
    return span;
}

/* Words that say what a block is, where they lie in a page. */
static void keep_starts(const struct filter *k, uint64_t address,
                        const uint64_t *words, uint64_t *bits)
{
    unsigned heuristics = k->scan->heuristics;
    const struct mt_span_view *span;
    uint64_t i, at;

    span = first_block(k->map, address, &i);
    if (span == NULL)
        return;
    at = span->base + i * span->block_bytes;
    for (; i < span->n_blocks && (at < address || at - address < MT_STORE_PAGE);
         i++, at += span->block_bytes) {
        size_t word = (size_t)(at - address) / 8;
        uint64_t mark = at + MT_GLIB_MAGIC - address;
        if (at % 16 != 0)
            continue;
        if (mark < MT_STORE_PAGE && (uint32_t)words[mark / 8] == MT_GLIB_BOX &&
            heuristics & MT_HEURISTIC_GOBJECT)
            mark_keep_set(bits, mark / 8);
        if (at < address)
            continue;
        if (heuristics & MT_HEURISTIC_FONTCONFIG)
            keep_pattern(k, at, word, words, bits);
        if (heuristics & BY_LENGTH)
            keep_lengths(k, span, word, words, bits);
    }
}

/* The trace, and the stacks in use. */
static bool mark_keep_needed(const void *context, uint64_t start, uint64_t end)
{
    const struct filter *k = context;

    return mark_keep_meets(k->whole, k->n_whole, start, end);
}

static void mark_keep_choose(const void *context, uint64_t address,
                             const uint64_t *words, size_t n_pages,
                             uint64_t *bits)
{
    const struct filter *k = context;
    unsigned heuristics = k->scan->heuristics;
    size_t n = n_pages * MT_STORE_WORDS;

    for (size_t i = 0; i < n_pages; i++) {
        uint64_t start = address + i * MT_STORE_PAGE;
        if (mark_keep_meets(k->whole, k->n_whole, start, start + MT_STORE_PAGE))
            memset(bits + i * PAGE_BITS, 0xff, MT_STORE_WORDS / 8);
        else
            mt_range_filter(&k->clusters, words + i * MT_STORE_WORDS, PAGE_BITS,
                            bits + i * PAGE_BITS);
    }
    /* Once all is chosen, as it chooses words of other pages, too. */
    for (size_t i = 0; i < n_pages; i++)
        keep_near(k, address, words, n, i, bits);
    /* The next words have not been read. */
    if (heuristics & MT_HEURISTIC_MULTIPLEINHERITANCE)
        keep_before(words, n, bits);
    /* The rule for vtables looks at words that were kept for other reasons. */
    for (size_t i = 0; i < n_pages && (heuristics & BY_START); i++)
        keep_starts(k, address + i * MT_STORE_PAGE, words + i * MT_STORE_WORDS,
                    bits + i * PAGE_BITS);
}

bool mt_capture_memory(struct mt_source *source,
                       const struct mt_snapshot_options *snapshot,
                       const struct mt_scan_options *scan, bool stop,
                       struct mt_error *error)
{
    struct filter k = {.snapshot = snapshot, .scan = scan};
    const struct mt_word_filter filter = {mark_keep_begin, mark_keep_needed,
                                          mark_keep_choose, &k};
    uint64_t cpu = mt_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    bool ok = source->ops->capture == NULL ||
              source->ops->capture(source, &filter, stop, error);

    source->captured.cpu_ns = mt_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    mt_map_free(k.map);
    mt_model_free(k.model);
    free(k.whole);
    free(k.code);
    mt_thread_stacks_free(&k.stacks);
    return ok;
}
