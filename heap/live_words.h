/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_words.h - which blocks of a span are live, for those who look at all
 * spans without a lock.  A span may be given to others at any time: all that is
 * read of its record is read once, and checked before it is followed.
 */
#ifndef MT_LIVE_WORDS_H
#define MT_LIVE_WORDS_H

#include "heap/alloc.h"

struct mt_live_words {
    uint64_t n_blocks, block_bytes, span_bytes;
    uint64_t words; /* of `local` and `remote` that can be read */
    const uint64_t *local, *remote;
    uint64_t requested; /* of a large block */
    bool large;
};

/* The compiler's own would call a function at the end of the library, and bring
 * that into memory. */
static inline uint64_t mt_live_count(uint64_t word)
{
    const uint64_t ones = ~UINT64_C(0);
    word -= word >> 1 & ones / 3;
    word = (word & ones / 5) + (word >> 2 & ones / 5);
    word = (word + (word >> 4)) & ones / 17;
    return word * (ones / 255) >> 56;
}

/* value * whole / part, or `value` where that is too large.  By integers: the
 * program's floating-point state is its own. */
static inline uint64_t mt_live_scale(uint64_t value, uint64_t whole,
                                     uint64_t part)
{
    unsigned __int128 product = (unsigned __int128)value * whole;
    uint64_t low = (uint64_t)product, high = (uint64_t)(product >> 64);
    if (high >= part)
        return value;
    __asm__("div %2" : "+a"(low), "+d"(high) : "r"(part) : "cc");
    return low;
}

/* Words at `at` that can be read, at most n: they lie in the record or in the
 * section, whoever has the span by now. */
static inline uint64_t mt_live_bound(const mt_span *span, unsigned section,
                                     uint64_t at, uint64_t n)
{
    const struct mt_section_record *s = &memtrace_root->sections[section];
    uint64_t end = s->base + mt_load_acquire(&s->committed);
    if (at - (uintptr_t)span < sizeof *span)
        end = (uintptr_t)span + sizeof *span;
    else if (at < s->base || at >= end)
        return 0;
    uint64_t most = (end - at) / sizeof(uint64_t);
    return n < most ? n : most;
}

/* False: it has no blocks. */
static inline bool mt_live_words(const mt_span *span, struct mt_live_words *v)
{
    uint8_t state = mt_load_acquire(&span->state);
    if (state != MT_SPAN_SMALL && state != MT_SPAN_LARGE)
        return false;
    uint64_t local = mt_load_relaxed(&span->local);
    uint64_t remote = mt_load_relaxed(&span->remote);
    v->n_blocks = mt_load_relaxed(&span->n_blocks);
    v->block_bytes = mt_load_relaxed(&span->block_bytes);
    v->span_bytes = mt_load_relaxed(&span->n_slices) * MT_SLICE_BYTES;
    v->requested = mt_load_relaxed(&span->requested);
    v->large = state == MT_SPAN_LARGE;
    v->words = (v->n_blocks + 63) / 64;
    v->words = mt_live_bound(span, MT_SECTION_BITMAPS, local, v->words);
    v->words = mt_live_bound(span, MT_SECTION_BITMAPS, remote, v->words);
    v->local = (const uint64_t *)local;
    v->remote = (const uint64_t *)remote;
    return true;
}

/* The bits of the live blocks of word w. */
static inline uint64_t mt_live_word(const struct mt_live_words *v, uint64_t w)
{
    uint64_t left = v->n_blocks - w * 64;
    uint64_t mask = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
    return ~(mt_load_relaxed(&v->local[w]) | mt_load_relaxed(&v->remote[w])) &
           mask;
}

#endif
