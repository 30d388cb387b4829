/* SPDX-License-Identifier: BSD-2-Clause
 *
 * roots_mark.c - marks what the roots reach.
 */
#include "coreanalyze/reach/roots.h"

#include <stdlib.h>

static struct mt_mark_range *ranges_of(const struct mt_roots *roots)
{
    struct mt_mark_range *ranges =
        calloc(roots->n_ranges + roots->n_own + 1, sizeof *ranges);

    for (size_t i = 0; ranges && i < roots->n_ranges; i++)
        ranges[i] = (struct mt_mark_range){roots->ranges[i].start,
                                           roots->ranges[i].end};
    return ranges;
}

bool mt_roots_missing(const struct mt_roots *roots, struct mt_mark *mark,
                      struct mt_error *error)
{
    struct mt_mark_range *ranges = ranges_of(roots);

    if (ranges == NULL)
        return mt_no_memory(error, "the roots");
    mark->missing_bytes = mt_mark_missing(mark, ranges, roots->n_ranges);
    free(ranges);
    return true;
}

/* --- marks --- */

static bool roots_reach_idle(struct mt_map *map, uint64_t word,
                             struct mt_block_ref *place)
{
    if (!mt_map_find(map, word, place) ||
        !(map->flags[place->slot] & MT_BLOCK_LIVE) ||
        map->spans[place->span].node)
        return false;
    map->flags[place->slot] |= MT_BLOCK_REACHED | MT_BLOCK_DEFINITE;
    return true;
}

/* The C library keeps a vector and its blocks for the next thread.  Nothing
 * follows them, because they are marked already. */
static void roots_mark_idle(struct mt_mark *mark, uint64_t vector)
{
    struct mt_map *map = mark->map;
    struct mt_block_ref place, other;
    uint64_t words[64], start, bytes, n;

    if (!roots_reach_idle(map, vector, &place))
        return;
    start = mt_map_address(map, place.span, place.index);
    bytes = mt_map_bytes(map, place.span, place.slot);
    for (uint64_t at = 0; at < bytes; at += n) {
        n = bytes - at < sizeof words ? bytes - at : sizeof words;
        if (!mt_source_read(mark->source, start + at, words, n))
            return;
        for (size_t i = 0; i < n / 8; i++)
            roots_reach_idle(map, words[i], &other);
    }
}

static bool is_idle(const struct mt_root_range *word)
{
    return word->kind == MT_ROOT_DTV && word->index == MT_ENDED_THREAD;
}

/* A vector register may have been left as it is for long. */
static bool is_vector(const struct mt_source *source,
                      const struct mt_root_range *word)
{
    return word->kind == MT_ROOT_KERNEL &&
           source->kernel_words[word->index].kind == MT_KERNEL_VECTOR;
}

/* The frames of a thread whose other stack lies above them in its own; all of
 * that where it is not certain where they end. */
static size_t add_left(const struct mt_roots *roots,
                       struct mt_mark_range *ranges)
{
    size_t n = roots->n_ranges;

    for (size_t i = 0; i < roots->n_own; i++) {
        const struct mt_own_stack *own = &roots->own[i];
        uint64_t start = own->sure ? own->used : own->start;
        if (start < own->inside)
            ranges[n++] = (struct mt_mark_range){(start + 7) & ~UINT64_C(7),
                                                 own->inside & ~UINT64_C(7)};
    }
    return n;
}

bool mt_roots_mark(const struct mt_roots *roots, struct mt_mark *mark,
                   struct mt_error *error)
{
    struct mt_mark_range *ranges = ranges_of(roots);
    uint64_t *words = calloc(roots->n_words + 1, sizeof *words);
    struct mt_idle_stacks idle = {0};
    bool ok = ranges && words;
    size_t n_words = 0, n_certain, n_ranges = 0;
    uint32_t span;

    if (!ok)
        mt_no_memory(error, "the roots");
    for (size_t i = 0; ok && i < roots->n_nodes; i++)
        ok = mt_map_add_node(mark->map, roots->nodes[i].start,
                             roots->nodes[i].end - roots->nodes[i].start, &span,
                             error);
    for (size_t i = 0; ok && i < roots->n_words; i++)
        if (is_idle(&roots->words[i]))
            roots_mark_idle(mark, roots->words[i].start);
        else if (!is_vector(mark->source, &roots->words[i]))
            words[n_words++] = roots->words[i].start;
    n_certain = n_words;
    for (size_t i = 0; ok && i < roots->n_words; i++)
        if (is_vector(mark->source, &roots->words[i]))
            words[n_words++] = roots->words[i].start;
    ok = ok &&
         mt_idle_stacks_find(mark->source, mark->map, ranges, roots->n_ranges,
                             roots->own, roots->n_own, &idle, error);
    mark->stacks_found = idle.n_found;
    mark->idle = idle.n > 0 ? &idle : NULL;
    if (ok)
        n_ranges = add_left(roots, ranges);
    ok = ok && mt_mark_reach(mark, ranges, n_ranges, words, n_words, n_certain,
                             error);
    mark->idle = NULL;
    mt_idle_stacks_free(&idle);
    free(ranges);
    free(words);
    return ok;
}
