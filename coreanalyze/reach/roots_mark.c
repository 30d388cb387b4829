/* SPDX-License-Identifier: BSD-2-Clause
 *
 * roots_mark.c - marks what the roots reach; and finds which parts of stacks
 * are in use.
 */
#include "coreanalyze/reach/roots.h"
#include "coreanalyze/base/search.h"

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

/* The frames of a thread whose other stack lies above them in its own; all of
 * that where it is not certain where they end. */
static bool left_of(const struct mt_own_stack *own, struct mt_mark_range *left)
{
    uint64_t start = own->sure ? own->used : own->start;

    if (start >= own->inside)
        return false;
    *left = (struct mt_mark_range){(start + 7) & ~UINT64_C(7),
                                   own->inside & ~UINT64_C(7)};
    return true;
}

/* --- parts of stacks --- */

static int part_by_start(const void *a, const void *b)
{
    const struct mt_root_range *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* Adds the parts of a range; returns the number. */
static size_t split_range(const struct mt_idle_stacks *idle,
                          const struct mt_root_range *range,
                          struct mt_root_range *parts)
{
    uint64_t at = range->start;
    size_t n = 0;

    for (size_t i = mt_count_up_to(idle->items, idle->n, end, at);
         at < range->end; i++) {
        const struct mt_idle_stack *stack =
            i < idle->n ? &idle->items[i] : NULL;
        uint64_t start =
            stack && stack->start < range->end ? stack->start : range->end;
        if (start > at) {
            parts[n] = *range;
            parts[n].start = at;
            parts[n++].end = start;
        } else {
            start = at;
        }
        if (start == range->end)
            break;
        at = stack->end < range->end ? stack->end : range->end;
        if (stack->nothing)
            continue;
        parts[n] = *range;
        parts[n].idle = true;
        parts[n].start = start;
        parts[n++].end = at;
    }
    return n;
}

bool mt_roots_split(struct mt_roots *roots, struct mt_source *source,
                    struct mt_map *map, struct mt_error *error)
{
    struct mt_mark_range *ranges = ranges_of(roots), left;
    struct mt_idle_stacks idle = {0};
    struct mt_root_range *parts = NULL;
    size_t n = 0;

    if (!ranges)
        return mt_no_memory(error, "the roots");
    if (!mt_idle_stacks_find(source, map, ranges, roots->n_ranges, roots->own,
                             roots->n_own, &idle, error)) {
        free(ranges);
        return false;
    }
    free(ranges);
    /* A stack without a thread makes two parts more. */
    parts =
        calloc(roots->n_ranges + 2 * idle.n + roots->n_own + 1, sizeof *parts);
    for (size_t i = 0; parts && i < roots->n_ranges; i++)
        n += split_range(&idle, &roots->ranges[i], parts + n);
    for (size_t i = 0; parts && i < roots->n_own; i++)
        if (left_of(&roots->own[i], &left))
            parts[n++] = (struct mt_root_range){.start = left.start,
                                                .end = left.end,
                                                .kind = MT_ROOT_STACK,
                                                .index = roots->own[i].thread};
    mt_idle_stacks_free(&idle);
    if (!parts)
        return mt_no_memory(error, "the roots");
    if (n > 0)
        qsort(parts, n, sizeof *parts, part_by_start);
    free(roots->ranges);
    roots->ranges = parts;
    roots->n_ranges = n;
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

static size_t add_left(const struct mt_roots *roots,
                       struct mt_mark_range *ranges)
{
    size_t n = roots->n_ranges;

    for (size_t i = 0; i < roots->n_own; i++)
        n += left_of(&roots->own[i], &ranges[n]);
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
