/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark_scan.c - the heuristics.  They take an interior pointer for one to the
 * start where the block looks like what C++ (and sqlite) hands out inner
 * pointers of.
 */
#include "coreanalyze/reach/mark_scan.h"

#define SCAN_CHUNKS 1024u /* 64 MiB, where the source needs a cache at all */
#define PROBE_CHUNKS 16u
#define PAGE UINT64_C(4096)

void mt_scan_init(struct mt_scan *scan, struct mt_map *map,
                  struct mt_source *source,
                  const struct mt_scan_options *options)
{
    *scan = (struct mt_scan){.map = map, .options = options};
    mt_memory_view_init(&scan->memory, source, SCAN_CHUNKS);
    mt_memory_view_init(&scan->probe, source, PROBE_CHUNKS);
}

void mt_scan_done(struct mt_scan *scan)
{
    mt_memory_view_done(&scan->memory);
    mt_memory_view_done(&scan->probe);
}

uint64_t mt_scan_skip(struct mt_scan *scan, uint64_t address, uint64_t end)
{
    uint64_t next = (address & ~(PAGE - 1)) + PAGE;

    if (next < address || next > end)
        next = end;
    scan->missing_bytes += next - address;
    return next;
}

const struct mt_word_copy_piece *mt_scan_find_piece(struct mt_scan *scan,
                                                    uint64_t address)
{
    const struct mt_word_copy_piece *piece =
        mt_word_copy_find(scan->memory.source->word_copy, address);

    if (piece)
        scan->piece = piece;
    return piece;
}

/* In words that were kept: [*at, end) of one page. */
static bool next_kept(struct mt_scan *scan,
                      const struct mt_word_copy_piece *piece, uint64_t *at,
                      uint64_t end, struct mt_hit *hit)
{
    uint64_t page = (*at - piece->start) / MT_STORE_PAGE;
    uint64_t base = piece->start + page * MT_STORE_PAGE;
    struct mt_word_copy_walk walk;

    if (piece->pages[page]) {
        mt_word_copy_begin(&walk, piece->pages[page],
                           (unsigned)(*at - base) / 8);
        for (; walk.place < (end - base) / 8; mt_word_copy_next(&walk)) {
            uint64_t here = base + walk.place * 8;
            if (mt_scan_whole_word(scan, here, mt_word_copy_value(&walk),
                                   hit)) {
                *at = here + 8;
                return true;
            }
        }
    }
    *at = end;
    return false;
}

/* In memory that is mapped here. */
static bool mark_scan_next_word(struct mt_scan *scan, const uint8_t *data,
                                uint64_t *at, uint64_t end, struct mt_hit *hit)
{
    uint64_t keep = mt_scan_address_bits(scan->options), word;
    uint64_t low = scan->map->low, all = scan->map->bytes;

    for (; *at < end; data += 8) {
        memcpy(&word, data, sizeof word);
        *at += 8;
        if (__builtin_expect((word & keep) - low < all, 0) &&
            mt_scan_whole_word(scan, *at - 8, word, hit))
            return true;
    }
    return false;
}

bool mt_scan_next(struct mt_scan *scan, uint64_t *at, uint64_t end,
                  struct mt_hit *hit)
{
    while (*at < end && end - *at >= 8) {
        const struct mt_word_copy_piece *piece = mt_scan_piece(scan, *at);
        uint64_t bytes = end - *at;
        const uint8_t *data = NULL;
        uint64_t next = mt_source_skip_empty(scan->memory.source, *at, end);
        if (!piece && next > *at) {
            *at = (next + 7) & ~UINT64_C(7);
            continue;
        }
        if (piece)
            bytes = mt_scan_page_end(piece, *at, end) - *at;
        else
            data = mt_memory_view(&scan->memory, *at, &bytes);
        bytes &= ~UINT64_C(7);
        if ((!piece && !data) || bytes == 0)
            *at = mt_scan_skip(scan, *at, end);
        else if (piece ? next_kept(scan, piece, at, *at + bytes, hit)
                       : mark_scan_next_word(scan, data, at, *at + bytes, hit))
            return true;
    }
    *at = end;
    return false;
}

#define WORDS_AROUND 4u /* a deque's four words, a vector's three */

bool mt_scan_may_be_end(struct mt_scan *scan, const struct mt_hit *hit)
{
    struct mt_map *map = scan->map;
    uint64_t start = mt_map_address(map, hit->place.span, hit->place.index),
             word;
    struct mt_block_ref before, other;

    if (!mt_map_find(map, start - 1, &before) ||
        !(map->flags[before.slot] & MT_BLOCK_LIVE) ||
        before.offset + 1 != mt_map_bytes(map, before.span, before.slot))
        return false;
    if (hit->at == 0) /* a register: nothing lies around it */
        return true;
    for (uint64_t i = 1; i <= WORDS_AROUND * 2; i++) {
        uint64_t at = i <= WORDS_AROUND ? hit->at - i * 8
                                        : hit->at + (i - WORDS_AROUND) * 8;
        if (mt_memory_view_word(&scan->probe, at, &word) &&
            mt_map_find(map, word & ~scan->options->high_tags, &other) &&
            other.slot == before.slot)
            return true;
    }
    return false;
}

/* Does a word point to functions, as a vtable does: among its first words
 * one that is executable, and before that nothing but zeros? */
static bool is_vtable(struct mt_scan *scan, uint64_t address)
{
    struct mt_source *source = scan->probe.source;
    const struct mt_mapping *mapping;
    uint64_t word;

    if (address % 8 != 0 || address < PAGE)
        return false;
    mapping = mt_source_mapping(source, address);
    if (mapping == NULL || !(mapping->flags & MT_MAP_READ))
        return false;
    for (unsigned i = 0; i < MT_VTABLE_WORDS; i++) {
        if (!mt_memory_view_word(&scan->probe, address + i * 8, &word))
            return false;
        if (word == 0)
            continue;
        mapping = mt_source_mapping(source, word);
        return mapping && (mapping->flags & (MT_MAP_EXEC | MT_MAP_ASSUMED));
    }
    return false;
}

/* A context of Mesa's without links: a linked one holds it, and both come from
 * the same call into the heap. */
static bool is_ralloc_alone(struct mt_scan *scan, const struct mt_hit *hit,
                            const struct mt_inner_pointer *pointer)
{
    struct mt_block_ref holder;
    uint64_t site;

    if (!mt_layout_ralloc_alone(&scan->probe, pointer) ||
        !mt_map_find(scan->map, hit->at, &holder) ||
        !mt_layout_ralloc_linked(&scan->probe, hit->at - holder.offset))
        return false;
    site = mt_map_site(scan->map, &holder);
    return site != 0 && site == mt_map_site(scan->map, &hit->place);
}

static unsigned scan_known_layout(struct mt_scan *scan,
                                  const struct mt_hit *hit,
                                  const struct mt_inner_pointer *pointer)
{
    static const struct {
        unsigned heuristic;
        bool (*is)(struct mt_memory_view *, const struct mt_inner_pointer *);
    } layouts[] = {
        {MT_HEURISTIC_HASHBROWN, mt_layout_hashbrown},
        {MT_HEURISTIC_GOBJECT, mt_layout_glib},
        {MT_HEURISTIC_RALLOC, mt_layout_ralloc},
        {MT_HEURISTIC_SQLITE, mt_layout_sqlite},
        {MT_HEURISTIC_MARIADB, mt_layout_mariadb},
        {MT_HEURISTIC_ZEND, mt_layout_zend},
        {MT_HEURISTIC_LLVM, mt_layout_llvm},
        {MT_HEURISTIC_EXCEPTION, mt_layout_exception},
        {MT_HEURISTIC_LINKS, mt_layout_links},
        {MT_HEURISTIC_TAGGED, mt_layout_tagged},
    };
    unsigned wanted = scan->options->heuristics;

    if ((wanted & MT_HEURISTIC_CPYTHON) &&
        mt_layout_cpython(&scan->probe, &scan->known, pointer))
        return MT_HEURISTIC_CPYTHON;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if ((wanted & layouts[i].heuristic) &&
            layouts[i].is(&scan->probe, pointer))
            return layouts[i].heuristic;
    if ((wanted & MT_HEURISTIC_RALLOC) && is_ralloc_alone(scan, hit, pointer))
        return MT_HEURISTIC_RALLOC;
    return 0;
}

unsigned mt_scan_heuristic(struct mt_scan *scan, const struct mt_hit *hit)
{
    const struct mt_block_ref *place = &hit->place;
    unsigned wanted = scan->options->heuristics;
    uint64_t start = mt_map_address(scan->map, place->span, place->index);
    uint64_t bytes = mt_map_bytes(scan->map, place->span, place->slot);
    const struct mt_inner_pointer pointer = {start, bytes, place->offset,
                                             hit->at};
    uint64_t first, inner, capacity;

    if (wanted & MT_HEURISTIC_INTERIOR)
        return MT_HEURISTIC_INTERIOR;
    /* Blocks are aligned to 16 bytes, but those of a damaged trace. */
    if (place->offset % 8 != 0 || bytes < 16 || start % 16 != 0 ||
        !mt_memory_view_word(&scan->probe, start, &first))
        return scan_known_layout(scan, hit, &pointer);
    /* The shared representation of the old std::string: length, capacity and
     * count of references, then the characters.  Nothing allocates one with a
     * capacity of 0. */
    if ((wanted & MT_HEURISTIC_STDSTRING) && place->offset == 24 &&
        mt_memory_view_word(&scan->probe, start + 8, &capacity) &&
        capacity > 0 && first <= capacity && capacity < bytes &&
        bytes - capacity == 25)
        return MT_HEURISTIC_STDSTRING;
    if ((wanted & MT_HEURISTIC_LENGTH64) && place->offset == 8 &&
        first == bytes - 8)
        return MT_HEURISTIC_LENGTH64;
    if ((wanted & MT_HEURISTIC_NEWARRAY) && place->offset == 8 && first > 0 &&
        first <= bytes - 8 && (bytes - 8) % first == 0)
        return MT_HEURISTIC_NEWARRAY;
    if ((wanted & MT_HEURISTIC_MULTIPLEINHERITANCE) &&
        place->offset + 8 <= bytes && is_vtable(scan, first) &&
        mt_memory_view_word(&scan->probe, start + place->offset, &inner) &&
        is_vtable(scan, inner))
        return MT_HEURISTIC_MULTIPLEINHERITANCE;
    return scan_known_layout(scan, hit, &pointer);
}

void mt_scan_distances(struct mt_scan *scan, uint64_t start, mt_hit_fn *visit,
                       void *context)
{
    struct mt_map *map = scan->map;
    uint64_t elements, bytes;
    struct mt_hit hit = {.at = start + 8, .start = true};

    if ((scan->options->heuristics & MT_HEURISTIC_FONTCONFIG) &&
        mt_layout_fontconfig(&scan->probe, start, &elements, &bytes) &&
        mt_map_find(map, elements, &hit.place) && hit.place.offset == 0 &&
        (map->flags[hit.place.slot] & MT_BLOCK_LIVE) &&
        mt_map_bytes(map, hit.place.span, hit.place.slot) == bytes)
        visit(context, &hit);
}
