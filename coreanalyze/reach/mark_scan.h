/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark_scan.h - finds pointers to blocks in memory: every aligned word whose
 * value is an address in a live block, at its start or inside.
 *
 * A pointer after the requested bytes does not count, except to the start of a
 * block of size 0.
 */
#ifndef MT_MARK_SCAN_H
#define MT_MARK_SCAN_H

#include "coreanalyze/snapshot/block_map.h"
#include "coreanalyze/reach/known_layouts.h"
#include "coreanalyze/source/word_copy.h"

#include <string.h>

/* Interior pointers that count like pointers to the start.  The first four are
 * Memcheck's (--leak-check-heuristics); the next ones are of runtimes whose
 * layout is known (known_layouts.h); the last takes every one. */
#define MT_HEURISTIC_STDSTRING 1u
#define MT_HEURISTIC_LENGTH64 2u
#define MT_HEURISTIC_NEWARRAY 4u
#define MT_HEURISTIC_MULTIPLEINHERITANCE 8u
#define MT_HEURISTIC_CPYTHON 16u
#define MT_HEURISTIC_HASHBROWN 32u
#define MT_HEURISTIC_GOBJECT 64u
#define MT_HEURISTIC_FONTCONFIG 256u /* a distance that is a pointer */
#define MT_HEURISTIC_RALLOC 512u
#define MT_HEURISTIC_MARIADB 1024u
#define MT_HEURISTIC_ZEND 2048u
#define MT_HEURISTIC_LLVM 4096u
#define MT_HEURISTIC_EXCEPTION 8192u
#define MT_HEURISTIC_LINKS 16384u
#define MT_HEURISTIC_TAGGED 32768u
#define MT_HEURISTIC_SQLITE 65536u
#define MT_HEURISTICS_ALL (131071u & ~MT_HEURISTIC_INTERIOR)
#define MT_HEURISTIC_INTERIOR 128u
#define MT_VTABLE_WORDS 20u /* that are looked at */

struct mt_scan_options {
    unsigned heuristics;
    uint64_t low_tags;  /* 7: the low three bits of a pointer may be tags */
    uint64_t high_tags; /* 0xffff000000000000: so may be the high sixteen */
};

/* The bits of a word that may be an address.  Pointers with a counter in their
 * high sixteen bits, as lock-free lists have them, are tagged, too. */
static inline uint64_t mt_scan_address_bits(const struct mt_scan_options *o)
{
    return ~(o->high_tags || !(o->heuristics & MT_HEURISTIC_TAGGED)
                 ? o->high_tags
                 : UINT64_C(0xffff) << 48);
}

struct mt_mark_range {
    uint64_t start, end; /* addresses of root memory, multiples of 8 */
};

struct mt_hit {
    uint64_t at; /* address of the word; 0: a register */
    struct mt_block_ref place;
    bool start; /* points to the start, or a heuristic says so */
};

/* Used by one thread at a time. */
struct mt_scan {
    struct mt_map *map;
    const struct mt_scan_options *options;
    const struct mt_word_copy_piece *piece; /* the last one, or NULL */
    struct mt_memory_view memory, probe;
    struct mt_known_layouts known;
    uint64_t scanned_bytes, missing_bytes;
};

typedef void mt_hit_fn(void *context, const struct mt_hit *hit);

void mt_scan_init(struct mt_scan *scan, struct mt_map *map,
                  struct mt_source *source,
                  const struct mt_scan_options *options);
void mt_scan_done(struct mt_scan *scan);

/* The heuristic that makes of an interior pointer one to the start, or 0. */
unsigned mt_scan_heuristic(struct mt_scan *scan, const struct mt_hit *hit);

/* A word with the address of a block's start: may it be one just after the
 * block before that, as containers keep it?  It may if what lies around it
 * points to that block. */
bool mt_scan_may_be_end(struct mt_scan *scan, const struct mt_hit *hit);

/* The address to continue at after memory is missing at `address`; counts what
 * is missing. */
uint64_t mt_scan_skip(struct mt_scan *scan, uint64_t address, uint64_t end);

/* The first pointer in [*at, end).  *at becomes the address after it, or `end`
 * if there is none. */
bool mt_scan_next(struct mt_scan *scan, uint64_t *at, uint64_t end,
                  struct mt_hit *hit);

/* The piece of the source's word copy that holds an address, or NULL. */
const struct mt_word_copy_piece *mt_scan_find_piece(struct mt_scan *scan,
                                                    uint64_t address);
static inline const struct mt_word_copy_piece *
mt_scan_piece(struct mt_scan *scan, uint64_t address)
{
    const struct mt_word_copy_piece *piece = scan->piece;

    if (scan->memory.source->word_copy == NULL)
        return NULL;
    return piece && address - piece->start < piece->bytes
               ? piece
               : mt_scan_find_piece(scan, address);
}

/* Does the word point to a live block? */
static inline __attribute__((always_inline)) bool
mt_scan_word(struct mt_scan *scan, uint64_t at, uint64_t word,
             struct mt_hit *hit)
{
    const struct mt_map *map = scan->map;
    uint64_t offset;

    if (!mt_map_find(map, word, &hit->place) ||
        !(map->flags[hit->place.slot] & MT_BLOCK_LIVE))
        return false;
    offset = hit->place.offset;
    hit->at = at;
    hit->start = true;
    if (offset == 0) {
        if (__builtin_expect(map->touching, 0))
            hit->start = !mt_scan_may_be_end(scan, hit);
        return true;
    }
    if (offset <= scan->options->low_tags &&
        (word & scan->options->low_tags) == offset)
        return true;
    if (offset >= mt_map_bytes(map, hit->place.span, hit->place.slot))
        return false;
    hit->start =
        map->spans[hit->place.span].node ||
        (scan->options->heuristics && mt_scan_heuristic(scan, hit) != 0);
    return true;
}

/* As mt_scan_word, for a word as it lies in memory.  The heuristic takes one
 * with high tags only for a pointer to a start: random data have others. */
static inline __attribute__((always_inline)) bool
mt_scan_whole_word(struct mt_scan *scan, uint64_t at, uint64_t whole,
                   struct mt_hit *hit)
{
    uint64_t word = whole & mt_scan_address_bits(scan->options);

    return mt_scan_word(scan, at, word, hit) &&
           (word == whole || hit->place.offset == 0 ||
            scan->options->high_tags);
}

/* Scans memory of which the pointers alone are kept: [start, end) of one page
 * of a piece. */
static inline __attribute__((always_inline)) void
mt_scan_kept(struct mt_scan *scan, const struct mt_word_copy_piece *piece,
             uint64_t start, uint64_t end, mt_hit_fn *visit, void *context)
{
    const uint64_t keep = mt_scan_address_bits(scan->options);
    const uint64_t low = scan->map->low, all = scan->map->bytes;
    uint64_t page = (start - piece->start) / MT_STORE_PAGE;
    uint64_t base = piece->start + page * MT_STORE_PAGE;
    const uint8_t *record = piece->pages[page];
    unsigned stop = (unsigned)((end - base) / 8);
    struct mt_word_copy_walk walk;

    if (record == NULL)
        return;
    mt_word_copy_begin(&walk, record, (unsigned)((start - base) / 8));
    for (; walk.place < stop; mt_word_copy_next(&walk)) {
        uint64_t word = mt_word_copy_value(&walk);
        struct mt_hit hit;
        if ((word & keep) - low < all &&
            mt_scan_whole_word(scan, base + walk.place * 8, word, &hit))
            visit(context, &hit);
    }
}

/* The end of the page of a piece that `at` lies in, or of the piece, or
 * `end`. */
static inline uint64_t mt_scan_page_end(const struct mt_word_copy_piece *piece,
                                        uint64_t at, uint64_t end)
{
    uint64_t skip = at - piece->start;
    uint64_t left = MT_STORE_PAGE - skip % MT_STORE_PAGE;

    left = left < piece->bytes - skip ? left : piece->bytes - skip;
    return left < end - at ? at + left : end;
}

/* Calls `visit` for every pointer in [start, end); it is inlined where it is
 * known at compile time. */
static inline __attribute__((always_inline)) void
mt_scan_range(struct mt_scan *scan, uint64_t start, uint64_t end,
              mt_hit_fn *visit, void *context)
{
    const uint64_t keep = mt_scan_address_bits(scan->options);
    const uint64_t low = scan->map->low, all = scan->map->bytes;
    uint64_t at = (start + 7) & ~UINT64_C(7);

    while (at < end && end - at >= 8) {
        const struct mt_word_copy_piece *piece = mt_scan_piece(scan, at);
        uint64_t bytes = end - at, stop;
        const uint8_t *data;
        if (piece) {
            stop = mt_scan_page_end(piece, at, end) & ~UINT64_C(7);
            if (stop == at) {
                at = mt_scan_skip(scan, at, end);
                continue;
            }
            mt_scan_kept(scan, piece, at, stop, visit, context);
            scan->scanned_bytes += stop - at;
            at = stop;
            continue;
        }
        stop = mt_source_skip_empty(scan->memory.source, at, end);
        if (stop > at) {
            at = (stop + 7) & ~UINT64_C(7);
            continue;
        }
        data = mt_memory_view(&scan->memory, at, &bytes);
        if (data == NULL || bytes < 8) {
            at = mt_scan_skip(scan, at, end);
            continue;
        }
        bytes &= ~UINT64_C(7);
        scan->scanned_bytes += bytes;
        for (uint64_t i = 0; i < bytes; i += 8) {
            struct mt_hit hit;
            uint64_t word;
            memcpy(&word, data + i, sizeof word);
            if (__builtin_expect((word & keep) - low < all, 0) &&
                mt_scan_whole_word(scan, at + i, word, &hit))
                visit(context, &hit);
        }
        at += bytes;
    }
}

/* Pointers of a block that are kept as distances. */
void mt_scan_distances(struct mt_scan *scan, uint64_t start, mt_hit_fn *visit,
                       void *context);

/* As mt_scan_range, for a block. */
static inline __attribute__((always_inline)) void
mt_scan_block(struct mt_scan *scan, uint64_t start, uint64_t end,
              mt_hit_fn *visit, void *context)
{
    mt_scan_range(scan, start, end, visit, context);
    if (end - start == MT_FONT_PATTERN)
        mt_scan_distances(scan, start, visit, context);
}

#endif
