/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_map.c - sums up resident pages by kind and origin.
 *
 * A mapping is cut into parts, at the ends of the pieces that are known.  The
 * page table says how much memory each part has; the kernel's figure of the
 * mapping is the truth for its sum, so that all kinds add up to the RSS.
 */
#include "coreanalyze/analyses/memory_map.h"
#include "coreanalyze/analyses/memory_pieces.h"
#include "coreanalyze/analyses/memory_rows.h"
#include "coreanalyze/base/search.h"

#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

/* Which pages of a heap's region are resident: a bit for each. */
struct heap_pages {
    uint64_t base, bytes;
    uint8_t *bits;
};

struct map_builder {
    struct mt_source *source;
    struct mt_model *model;
    struct mt_memory_map *map;
    struct mt_memory_pieces pieces;
    struct mt_mapping_use *uses; /* of each mapping, and one more */
    struct heap_pages *heaps;    /* of the model's regions, in order */
    const struct mt_mapping *mapping;
    size_t first_row;   /* of the mapping */
    uint64_t part_file; /* of the part that is measured */
    uint64_t part_own, part_swapped;
    struct heap_pages *part_heap;
};

/* --- mappings, part by part --- */

static void heap_pages_set(struct heap_pages *heap, uint64_t start,
                           uint64_t end)
{
    for (uint64_t at = start & ~(PAGE - 1); at < end; at += PAGE) {
        uint64_t page = (at - heap->base) / PAGE;
        if (at >= heap->base && at - heap->base < heap->bytes)
            heap->bits[page / 8] |= (uint8_t)(1u << page % 8);
    }
}

static bool part_count(void *context, const struct mt_page_run *run)
{
    struct map_builder *b = context;
    uint64_t bytes = run->end - run->start;

    if (run->swapped) {
        b->part_swapped += b->mapping->flags & MT_MAP_PRIVATE ? bytes : 0;
        return true;
    }
    if (run->file)
        b->part_file += bytes;
    else
        b->part_own += bytes;
    if (b->part_heap)
        heap_pages_set(b->part_heap, run->start, run->end);
    return true;
}

static struct heap_pages *heap_pages_at(const struct map_builder *b,
                                        uint64_t address)
{
    size_t n = mt_count_up_to(b->heaps, b->model->n_regions, base, address);

    if (n == 0 || address - b->heaps[n - 1].base >= b->heaps[n - 1].bytes)
        return NULL;
    return &b->heaps[n - 1];
}

/* A row for the pages of a part that are the file's, or for the others; the
 * size goes to one of them. */
static bool part_add_row(struct map_builder *b, uint64_t start, uint64_t end,
                         bool file)
{
    size_t index = (size_t)(b->mapping - b->source->mappings);
    struct mt_memory_row row = {.address = start, .count = 1};
    uint64_t bytes = file ? b->part_file : b->part_own;
    bool first = !file == !(b->part_file > b->part_own);

    if (bytes == 0 && !first)
        return true;
    row.kind = mt_memory_kind_of(b->source, b->mapping, b->uses[index].device,
                                 file, &row.name);
    row.sum.resident = bytes;
    row.sum.size = first ? end - start : 0;
    row.sum.swapped = first ? b->part_swapped : 0;
    return mt_memory_row_add(b->map, &row);
}

static bool part_measure(struct map_builder *b, uint64_t start, uint64_t end,
                         const struct mt_memory_piece *piece,
                         struct mt_error *error)
{
    struct mt_memory_row row = {.address = start, .count = 1};
    bool ok;

    b->part_file = b->part_own = b->part_swapped = 0;
    b->part_heap = piece && piece->heap ? heap_pages_at(b, start) : NULL;
    if (!b->source->ops->resident(b->source, start, end, part_count, b))
        return mt_fail(error, "process %u ended while it was read",
                       (unsigned)b->source->process.pid);
    if (piece) {
        row.kind = piece->kind;
        row.name = piece->name;
        row.stack = piece->stack;
        row.tid = piece->tid;
        row.sum.resident = b->part_file + b->part_own;
        row.sum.swapped = b->part_swapped;
        row.sum.size = end - start;
        ok = mt_memory_row_add(b->map, &row);
    } else {
        ok = part_add_row(b, start, end, false) &&
             part_add_row(b, start, end, true);
    }
    return ok || mt_no_memory(error, "the map of the memory");
}

static uint64_t take_bytes(uint64_t *from, uint64_t bytes)
{
    bytes = bytes < *from ? bytes : *from;
    *from -= bytes;
    return bytes;
}

/* What the kernel does not count is taken off the last parts; what only the
 * kernel knows of gets a row. */
static bool mapping_settle(struct map_builder *b)
{
    struct mt_memory_map *map = b->map;
    uint64_t wanted = b->uses[b->mapping - b->source->mappings].resident,
             got = 0, excess;

    for (size_t i = b->first_row; i < map->n_rows; i++)
        got += map->rows[i].sum.resident;
    if (!map->measured || got == wanted)
        return true;
    if (got < wanted) {
        struct mt_memory_row row = {.kind = MT_MEMORY_UNKNOWN,
                                    .name = b->mapping->path,
                                    .address = b->mapping->start};
        row.sum.resident = wanted - got;
        map->unlisted += wanted - got;
        return mt_memory_row_add(b->map, &row);
    }
    excess = got - wanted;
    map->uncounted += excess;
    for (size_t i = map->n_rows; excess > 0 && i-- > b->first_row;)
        excess -= take_bytes(&map->rows[i].sum.resident, excess);
    return true;
}

/* A range of the trace that was unmapped by a system call is void. */
static bool piece_fits(const struct map_builder *b,
                       const struct mt_memory_piece *piece,
                       const struct mt_mapping *m)
{
    bool file = m->path && m->path[0] == '/';
    bool private = m->flags & MT_MAP_PRIVATE;

    /* A core does not say what is shared. */
    if (b->source->process.kind == MT_SOURCE_CORE)
    private = file && !mt_memory_is_file_of_memory(m->path);

    if (piece->stack == 0 || m->flags & MT_MAP_ASSUMED)
        return true;
    return piece->kind == MT_MEMORY_SHARED ? !private : !file;
}

static bool mapping_measure(struct map_builder *b, const struct mt_mapping *m,
                            struct mt_error *error)
{
    const struct mt_memory_pieces *pieces = &b->pieces;
    size_t i = mt_count_up_to(pieces->items, pieces->n, start, m->start);
    uint64_t at = m->start;

    b->mapping = m;
    b->first_row = b->map->n_rows;
    i -= i > 0 && pieces->items[i - 1].end > m->start;
    while (at < m->end) {
        const struct mt_memory_piece *piece =
            i < pieces->n && pieces->items[i].start < m->end ? &pieces->items[i]
                                                             : NULL;
        bool inside = piece && piece->start <= at;
        uint64_t end = !piece ? m->end : inside ? piece->end : piece->start;
        end = end < m->end ? end : m->end;
        if (!part_measure(b, at, end,
                          inside && piece_fits(b, piece, m) ? piece : NULL,
                          error))
            return false;
        at = end;
        i += inside;
    }
    return mapping_settle(b) || mt_no_memory(error, "the map of the memory");
}

/* --- blocks --- */

/* Bytes of [start, end) that are resident. */
static uint64_t heap_pages_count(const struct heap_pages *heap, uint64_t start,
                                 uint64_t end)
{
    uint64_t sum = 0;

    if (end - heap->base > heap->bytes)
        end = heap->base + heap->bytes;
    while (start < end) {
        uint64_t page = (start - heap->base) / PAGE;
        uint64_t next = heap->base + (page + 1) * PAGE;
        next = next < end ? next : end;
        if (heap->bits[page / 8] >> page % 8 & 1)
            sum += next - start;
        start = next;
    }
    return sum;
}

struct asked_sum {
    struct map_builder *builder;
    uint64_t *resident, *bytes; /* of each heap */
};

static bool asked_add(void *context, const struct mt_block *block)
{
    struct asked_sum *sum = context;
    const struct heap_pages *heap = heap_pages_at(sum->builder, block->address);

    if (!heap)
        return true;
    sum->bytes[block->heap] += block->bytes;
    sum->resident[block->heap] +=
        heap_pages_count(heap, block->address, block->address + block->bytes);
    return true;
}

/* Rows of the heaps' blocks, whose memory is taken from those of the heaps. */
static bool asked_rows(struct map_builder *b, const uint64_t *resident,
                       const uint64_t *bytes)
{
    size_t n_rows = b->map->n_rows;

    for (uint32_t h = 0; h < b->model->n_heaps; h++) {
        const char *name = b->model->heaps[h].name;
        struct mt_memory_row row = {.kind = MT_MEMORY_ASKED,
                                    .name = name,
                                    .address = b->model->heaps[h].base,
                                    .count = 1};
        if (bytes[h] == 0)
            continue;
        for (size_t i = 0; i < n_rows; i++) {
            struct mt_memory_row *from = &b->map->rows[i];
            if (from->kind != MT_MEMORY_FREE || strcmp(from->name, name) != 0)
                continue;
            row.sum.resident = take_bytes(&from->sum.resident, resident[h]);
            row.sum.size = take_bytes(&from->sum.size, bytes[h]);
        }
        b->map->asked_bytes += bytes[h];
        if (!mt_memory_row_add(b->map, &row))
            return false;
    }
    return true;
}

static bool asked_measure(struct map_builder *b, struct mt_error *error)
{
    size_t n = b->model->n_heaps;
    uint64_t *sums = calloc(2 * n + 1, sizeof *sums);
    struct asked_sum sum = {b, sums, sums + n};
    bool ok = sums != NULL;

    if (!ok)
        mt_no_memory(error, "the map of the memory");
    else if (mt_model_each_block(b->model, asked_add, &sum, NULL, error))
        ok = asked_rows(b, sum.resident, sum.bytes) ||
             mt_no_memory(error, "the map of the memory");
    else
        ok = false;
    free(sums);
    return ok;
}

/* --- all of it --- */

static bool heap_pages_make(struct map_builder *b)
{
    const struct mt_model *model = b->model;

    b->heaps = calloc(model->n_regions + 1, sizeof *b->heaps);
    for (size_t i = 0; b->heaps && i < model->n_regions; i++) {
        const struct mt_region *r = &model->regions[i];
        uint64_t bytes = r->committed < r->size ? r->committed : r->size;
        b->heaps[i].bits = calloc((size_t)(bytes / PAGE / 8 + 1), 1);
        if (!b->heaps[i].bits)
            return false;
        b->heaps[i].base = r->base;
        b->heaps[i].bytes = bytes;
    }
    return b->heaps != NULL;
}

static bool map_measure(struct map_builder *b, struct mt_error *error)
{
    struct mt_source *source = b->source;
    struct mt_memory_map *map = b->map;

    for (size_t i = 0; i < source->n_mappings; i++) {
        map->huge_bytes += b->uses[i].huge;
        if (!mapping_measure(b, &source->mappings[i], error))
            return false;
    }
    if (b->uses[source->n_mappings].resident > 0) {
        struct mt_memory_row row = {.kind = MT_MEMORY_UNKNOWN,
                                    .name = "(mapped while it was read)"};
        row.sum.resident = b->uses[source->n_mappings].resident;
        if (!mt_memory_row_add(b->map, &row))
            return mt_no_memory(error, "the map of the memory");
    }
    mt_memory_rows_merge(map);
    return !b->model || asked_measure(b, error);
}

static bool map_build(struct map_builder *b, struct mt_error *error)
{
    struct mt_source *source = b->source;
    struct mt_memory_map *map = b->map;

    b->uses = calloc(source->n_mappings + 1, sizeof *b->uses);
    if (!b->uses || (b->model && !heap_pages_make(b)))
        return mt_no_memory(error, "the map of the memory");
    map->measured = source->ops->uses != NULL;
    if (map->measured && !source->ops->uses(source, b->uses, error))
        return false;
    if (!mt_memory_pieces_find(source, b->model, &b->pieces, error) ||
        !map_measure(b, error))
        return false;
    map->unknown_stacks = b->pieces.unknown_stacks;
    mt_memory_rows_finish(map);
    return true;
}

bool mt_memory_map_can(const struct mt_source *source)
{
    return source->ops->resident != NULL && !source->process.mini;
}

bool mt_memory_map_run(struct mt_source *source, struct mt_model *model,
                       struct mt_memory_map *map, struct mt_error *error)
{
    struct map_builder b = {.source = source, .model = model, .map = map};
    bool ok;

    memset(map, 0, sizeof *map);
    if (source->process.mini && model)
        return mt_memory_map_of_trace(model, map, error);
    if (!mt_memory_map_can(source))
        return mt_fail(error,
                       source->process.mini
                           ? "a mini-core has the trace alone, and it cannot "
                             "be read"
                           : "the pages of this target are not known");
    ok = map_build(&b, error);
    if (!ok)
        mt_memory_map_free(map);
    for (size_t i = 0; b.heaps && i < model->n_regions; i++)
        free(b.heaps[i].bits);
    free(b.heaps);
    free(b.uses);
    mt_memory_pieces_free(&b.pieces);
    return ok;
}
