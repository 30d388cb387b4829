/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refs.c - a scan of all roots and live blocks for pointers to one block, and
 * a breadth-first search from the roots, which finds a shortest chain.
 */
#include "coreanalyze/analyses/refs.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define STEP_BLOCKS 65536u

struct search {
    struct mt_model *model;
    struct mt_refs *refs;
    const struct mt_refs_options *options;
    struct mt_map narrow; /* the map, narrowed to one block */
    struct mt_scan scan;
    struct mt_ref current; /* what is being scanned */
    struct mt_ref *found;  /* by collect() */
    size_t n_found, capacity, max;
    uint64_t n_all;
    bool out_of_memory;
};

/* --- all pointers to one block --- */

static void refs_collect(void *context, const struct mt_hit *hit)
{
    struct search *s = context;
    struct mt_ref ref = s->current;

    s->n_all++;
    if (s->max > 0 && s->n_found >= s->max)
        return;
    if (!mt_grow(&s->found, &s->capacity, s->n_found + 1, sizeof ref)) {
        s->out_of_memory = true;
        return;
    }
    ref.at = hit->at;
    ref.offset = hit->place.offset;
    ref.start = hit->start;
    s->found[s->n_found++] = ref;
}

/* Words outside of the block are rejected by one compare. */
static void narrow_to(struct search *s, const struct mt_block_ref *place)
{
    s->narrow = *s->refs->map;
    s->narrow.low = mt_map_address(s->refs->map, place->span, place->index);
    s->narrow.bytes = s->refs->map->spans[place->span].block_bytes;
    s->scan.map = &s->narrow;
    s->n_found = 0;
    s->n_all = 0;
}

static void scan_word(struct search *s, uint32_t i, mt_hit_fn *visit)
{
    uint64_t word = s->refs->roots.words[i].start;
    struct mt_hit hit;

    s->current = (struct mt_ref){.word = i};
    if (mt_scan_whole_word(&s->scan, 0, word, &hit))
        visit(s, &hit);
}

static void refs_scan_ranges(struct search *s, mt_hit_fn *visit, bool idle)
{
    const struct mt_roots *roots = &s->refs->roots;

    s->current = (struct mt_ref){.word = NONE};
    for (size_t i = 0; i < roots->n_ranges; i++)
        if (roots->ranges[i].idle == idle)
            mt_scan_range(&s->scan, roots->ranges[i].start,
                          roots->ranges[i].end, visit, s);
}

/* Unused parts of stacks come last. */
static void refs_scan_roots(struct search *s, mt_hit_fn *visit)
{
    for (size_t i = 0; i < s->refs->roots.n_words; i++)
        scan_word(s, (uint32_t)i, visit);
    refs_scan_ranges(s, visit, false);
    refs_scan_ranges(s, visit, true);
}

static void scan_block(struct search *s, uint32_t span, uint32_t index,
                       mt_hit_fn *visit)
{
    const struct mt_map *map = s->refs->map;
    uint64_t start = mt_map_address(map, span, index);
    uint64_t slot = map->spans[span].first + index;

    s->current = (struct mt_ref){
        .from_block = true, .span = span, .index = index, .word = NONE};
    mt_scan_block(&s->scan, start, start + mt_map_bytes(map, span, slot), visit,
                  s);
}

static int refs_by_address(const void *a, const void *b)
{
    const struct mt_ref *x = a, *y = b;

    if (x->from_block != y->from_block)
        return x->from_block ? 1 : -1;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->word < y->word ? -1 : x->word > y->word;
}

static bool find_holders(struct search *s)
{
    struct mt_refs *refs = s->refs;
    const struct mt_map *map = refs->map;
    uint64_t done = 0;

    narrow_to(s, &refs->target);
    s->max = s->options->max_holders;
    refs_scan_roots(s, refs_collect);
    for (uint32_t id = 1; id < map->n_spans; id++)
        for (uint32_t i = 0; i < map->spans[id].n_blocks; i++) {
            uint64_t slot = map->spans[id].first + i;
            if (!(map->flags[slot] & MT_BLOCK_LIVE) ||
                slot == refs->target.slot)
                continue;
            scan_block(s, id, i, refs_collect);
            if (++done % STEP_BLOCKS == 0 &&
                !mt_model_step(s->model, "searching for pointers", done,
                               map->n_live))
                return false;
        }
    refs->holders = s->found;
    refs->n_holders = s->n_found;
    refs->n_all_holders = s->n_all;
    s->found = NULL;
    s->capacity = 0;
    if (refs->n_holders > 0)
        qsort(refs->holders, refs->n_holders, sizeof *refs->holders,
              refs_by_address);
    return !s->out_of_memory;
}

/* --- the shortest chain --- */

struct step {
    uint32_t span, index;
    uint32_t parent; /* in the queue; NONE: a root */
};

struct queue {
    struct step *steps;
    size_t n, capacity;
    uint32_t parent; /* of what is found now */
    size_t target;   /* where the target is in the queue, once found */
};

struct breadth {
    struct search search; /* first */
    struct queue queue;
};

static void refs_enqueue(void *context, const struct mt_hit *hit)
{
    struct breadth *b = context;
    struct queue *q = &b->queue;
    uint8_t *flags = &b->search.refs->map->flags[hit->place.slot];

    if ((*flags & MT_BLOCK_REACHED) || q->n >= NONE)
        return;
    *flags |= MT_BLOCK_REACHED;
    if (!mt_grow(&q->steps, &q->capacity, q->n + 1, sizeof *q->steps)) {
        b->search.out_of_memory = true;
        return;
    }
    if (hit->place.slot == b->search.refs->target.slot)
        q->target = q->n;
    q->steps[q->n++] =
        (struct step){hit->place.span, hit->place.index, q->parent};
}

/* The first word of the parent, or of the roots, that points to a step. */
static bool first_ref(struct search *s, const struct step *steps, uint32_t i,
                      struct mt_ref *ref)
{
    const struct mt_block_ref place = {steps[i].span, steps[i].index, 0, 0};
    uint32_t parent = steps[i].parent;

    narrow_to(s, &place);
    s->max = 1;
    if (parent == NONE)
        refs_scan_roots(s, refs_collect);
    else
        scan_block(s, steps[parent].span, steps[parent].index, refs_collect);
    if (s->n_found == 0)
        return false;
    *ref = s->found[0];
    return true;
}

static bool write_chain(struct breadth *b)
{
    struct mt_refs *refs = b->search.refs;
    const struct step *steps = b->queue.steps;
    size_t n = 0;

    for (uint32_t i = (uint32_t)b->queue.target; i != NONE; i = steps[i].parent)
        n++;
    refs->chain = calloc(n, sizeof *refs->chain);
    if (refs->chain == NULL)
        return false;
    refs->n_chain = n;
    for (uint32_t i = (uint32_t)b->queue.target; i != NONE; i = steps[i].parent)
        if (!first_ref(&b->search, steps, i, &refs->chain[--n]))
            return false;
    return true;
}

/* Follows the pointers of the blocks in the queue; false if it was stopped. */
static bool refs_follow(struct breadth *b, size_t *next)
{
    struct search *s = &b->search;
    struct queue *q = &b->queue;

    for (; *next < q->n && q->target == SIZE_MAX; ++*next) {
        q->parent = (uint32_t)*next;
        scan_block(s, q->steps[*next].span, q->steps[*next].index,
                   refs_enqueue);
        if (*next % STEP_BLOCKS == 0 &&
            !mt_model_step(s->model, "searching for a chain", *next,
                           s->refs->map->n_live))
            return false;
    }
    return true;
}

/* A chain from the unused part of a stack is searched for last. */
static bool find_chain(struct breadth *b)
{
    struct search *s = &b->search;
    struct queue *q = &b->queue;
    size_t next = 0;

    s->scan.map = s->refs->map;
    q->target = SIZE_MAX;
    q->parent = NONE;
    for (size_t i = 0; i < s->refs->roots.n_words; i++)
        scan_word(s, (uint32_t)i, refs_enqueue);
    refs_scan_ranges(s, refs_enqueue, false);
    if (!refs_follow(b, &next))
        return false;
    if (q->target == SIZE_MAX) {
        q->parent = NONE;
        refs_scan_ranges(s, refs_enqueue, true);
        if (!refs_follow(b, &next))
            return false;
    }
    return !s->out_of_memory && (q->target == SIZE_MAX || write_chain(b));
}

bool mt_refs_run(struct mt_model *model, uint64_t address,
                 const struct mt_refs_options *options, struct mt_refs *refs,
                 struct mt_error *error)
{
    struct breadth b = {
        .search = {.model = model, .refs = refs, .options = options}};
    uint32_t span;
    bool ok;

    memset(refs, 0, sizeof *refs);
    refs->map = mt_model_map(model, error);
    if (refs->map == NULL ||
        !mt_roots_find(model, &options->roots, &refs->roots, error))
        return false;
    for (size_t i = 0; i < refs->roots.n_nodes; i++)
        if (!mt_map_add_node(refs->map, refs->roots.nodes[i].start,
                             refs->roots.nodes[i].end -
                                 refs->roots.nodes[i].start,
                             &span, error))
            return false;
    if (!mt_map_find(refs->map, address, &refs->target) ||
        !(refs->map->flags[refs->target.slot] & MT_BLOCK_LIVE))
        return true;
    refs->live = true;
    if (!mt_roots_split(&refs->roots, model->source, refs->map, error))
        return false;
    mt_scan_init(&b.search.scan, refs->map, model->source, &options->mark.scan);
    ok = find_holders(&b.search) && find_chain(&b);
    refs->missing_bytes = b.search.scan.missing_bytes;
    mt_scan_done(&b.search.scan);
    free(b.search.found);
    free(b.queue.steps);
    return ok || mt_fail(error, b.search.out_of_memory
                                    ? "out of memory for the search"
                                    : "the search was stopped");
}

void mt_refs_free(struct mt_refs *refs)
{
    mt_map_free(refs->map);
    mt_roots_free(&refs->roots);
    free(refs->holders);
    free(refs->chain);
    memset(refs, 0, sizeof *refs);
}
