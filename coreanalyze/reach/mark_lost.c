/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark_lost.c - leak roots, and the blocks reachable only through them.
 *
 * First all threads find the lost blocks that lost blocks point to.  The other
 * lost blocks are leak roots; each takes the blocks that it leads to and that
 * no earlier leak root took.  Cycles are left, and blocks reachable only
 * through them.  A walk over these in the order of slots finds candidates:
 * blocks that no earlier candidate leads to.  Nothing but its own cycle can
 * lead to the last candidate, so it is a leak root.  Going backwards from
 * there, so is each candidate that no later leak root leads to.
 */
#include "coreanalyze/reach/mark.h"
#include "coreanalyze/reach/mark_workers.h"

#define SPANS_OF_PART 64u

struct lost {
    struct mt_lost leak_root;
    void (*visit)(void *context, const struct mt_lost *lost);
    void *context;
};

static bool is_lost(const struct mt_map *map, uint64_t slot)
{
    return (map->flags[slot] & (MT_BLOCK_LIVE | MT_BLOCK_REACHED)) ==
           MT_BLOCK_LIVE;
}

/* The first lost block of a span from `i` on; n_blocks if there is none.
 * Eight flags are looked at at once. */
static uint32_t next_lost(const struct mt_map *map,
                          const struct mt_span_view *span, uint32_t i)
{
    const uint8_t *flags = &map->flags[span->first];
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t eight;

    _Static_assert(MT_BLOCK_LIVE == 1 && MT_BLOCK_REACHED == 2, "neighbours");
    while (span->n_blocks - i >= 8) {
        memcpy(&eight, flags + i, sizeof eight);
        eight &= ~(eight >> 1) & ones;
        if (eight)
            return i + (uint32_t)__builtin_ctzll(eight) / 8;
        i += 8;
    }
    while (i < span->n_blocks && !is_lost(map, span->first + i))
        i++;
    return i;
}

/* --- who is referenced --- */

static void mark_lost_refer(void *context, const struct mt_hit *hit)
{
    const struct mt_map *map = context;
    uint8_t *flags = &map->flags[hit->place.slot];

    if (!(__atomic_load_n(flags, __ATOMIC_RELAXED) &
          (MT_BLOCK_REACHED | MT_BLOCK_REFERENCED)))
        __atomic_fetch_or(flags, MT_BLOCK_REFERENCED, __ATOMIC_RELAXED);
}

struct referrer {
    struct mt_map *map;
    uint64_t slot;
};

static void refer_from(void *context, const struct mt_hit *hit)
{
    const struct referrer *from = context;

    if (hit->place.slot != from->slot)
        mark_lost_refer(from->map, hit);
}

/* As refer_from, of a block with a list. */
static void refer_from_list(const struct mt_pointer_lists *lists,
                            struct mt_map *map, uint64_t slot)
{
    unsigned n = lists->counts[slot];
    const uint32_t *list = n > 0 ? mt_pointer_list(lists, slot) : NULL;

    for (unsigned i = 0; i < n; i++) {
        struct mt_hit hit = {.place = {.slot = list[i] >> 1}};
        if (hit.place.slot != slot)
            mark_lost_refer(map, &hit);
    }
}

static void find_referenced(struct mt_worker *worker, void *context)
{
    struct mt_map *map = worker->map;
    const struct mt_pointer_lists *lists = worker->all->mark->lists;
    uint64_t n_parts = map->n_spans / SPANS_OF_PART + 1, part;

    (void)context;
    while (mt_workers_next(worker, n_parts, &part)) {
        uint64_t end = (part + 1) * SPANS_OF_PART;
        if (end > map->n_spans)
            end = map->n_spans;
        for (uint64_t id = part * SPANS_OF_PART; id < end; id++) {
            const struct mt_span_view *span = &map->spans[id];
            if (span->node)
                continue;
            for (uint32_t i = 0; (i = next_lost(map, span, i)) < span->n_blocks;
                 i++) {
                struct referrer from = {map, span->first + i};
                uint64_t start = mt_map_address(map, (uint32_t)id, i);
                if (lists && lists->counts[from.slot] != MT_LIST_UNKNOWN) {
                    refer_from_list(lists, map, from.slot);
                    continue;
                }
                mt_scan_block(&worker->scan, start,
                              start +
                                  mt_map_bytes(map, (uint32_t)id, from.slot),
                              refer_from, &from);
            }
        }
    }
}

/* --- walks from leak roots --- */

static struct lost *lost_of(struct mt_worker *worker)
{
    return worker->all->context;
}

static void mark_lost_take(struct mt_worker *worker, const struct mt_hit *hit)
{
    struct mt_lost *leak_root = &lost_of(worker)->leak_root;

    worker->map->flags[hit->place.slot] |= MT_BLOCK_INDIRECT;
    leak_root->indirect_count++;
    leak_root->indirect_bytes +=
        mt_map_bytes(worker->map, hit->place.span, hit->place.slot);
    mt_worker_push(worker, &hit->place);
}

static bool is_node(const struct mt_worker *worker, const struct mt_hit *hit)
{
    return worker->map->spans[hit->place.span].node;
}

static void take_any(void *context, const struct mt_hit *hit)
{
    struct mt_worker *worker = context;
    unsigned flags = worker->map->flags[hit->place.slot];

    if (!(flags &
          (MT_BLOCK_REACHED | MT_BLOCK_INDIRECT | MT_BLOCK_LEAK_ROOT)) &&
        !is_node(worker, hit))
        mark_lost_take(worker, hit);
}

static void take_cyclic(void *context, const struct mt_hit *hit)
{
    struct mt_worker *worker = context;
    unsigned flags = worker->map->flags[hit->place.slot];

    if ((flags & (MT_BLOCK_CYCLIC | MT_BLOCK_INDIRECT)) == MT_BLOCK_CYCLIC &&
        hit->place.slot != lost_of(worker)->leak_root.slot) {
        worker->map->flags[hit->place.slot] &= (uint8_t)~MT_BLOCK_LEAK_ROOT;
        mark_lost_take(worker, hit);
    }
}

static void find_candidates(void *context, const struct mt_hit *hit)
{
    struct mt_worker *worker = context;
    uint8_t *flags = &worker->map->flags[hit->place.slot];

    if ((*flags & (MT_BLOCK_REACHED | MT_BLOCK_INDIRECT | MT_BLOCK_CYCLIC)) ||
        is_node(worker, hit))
        return;
    *flags |= MT_BLOCK_CYCLIC;
    mt_worker_push(worker, &hit->place);
}

/* Walks on from what did not fit on the stack. */
static void mark_lost_drain(struct mt_worker *worker, mt_hit_fn *visit)
{
    const struct mt_map *map = worker->map;

    mt_worker_drain_by(worker, visit);
    while (worker->all->overflow) {
        worker->all->overflow = false;
        for (size_t id = 1; id < map->n_spans; id++) {
            const struct mt_span_view *span = &map->spans[id];
            for (uint32_t i = 0; i < span->n_blocks; i++) {
                struct mt_block_ref place = {(uint32_t)id, i, span->first + i,
                                             0};
                if (!(map->flags[place.slot] & MT_BLOCK_PENDING))
                    continue;
                map->flags[place.slot] &= (uint8_t)~MT_BLOCK_PENDING;
                mt_worker_push(worker, &place);
                mt_worker_drain_by(worker, visit);
            }
        }
    }
}

static void walk_from(struct mt_worker *worker,
                      const struct mt_block_ref *place, mt_hit_fn *visit)
{
    struct lost *lost = lost_of(worker);

    lost->leak_root = (struct mt_lost){
        .span = place->span, .index = place->index, .slot = place->slot};
    mt_worker_push(worker, place);
    mark_lost_drain(worker, visit);
    if (visit != find_candidates)
        lost->visit(lost->context, &lost->leak_root);
}

/* Calls `step` for every lost block whose flags, of those in `mask`, are
 * `wanted`. */
static void each_lost(struct mt_worker *worker, bool backwards, unsigned mask,
                      unsigned wanted,
                      void (*step)(struct mt_worker *,
                                   const struct mt_block_ref *))
{
    const struct mt_map *map = worker->map;

    for (size_t n = 1; n < map->n_spans; n++) {
        size_t id = backwards ? map->n_spans - n : n;
        const struct mt_span_view *span = &map->spans[id];
        if (span->node || next_lost(map, span, 0) == span->n_blocks)
            continue;
        for (uint32_t k = 0; k < span->n_blocks; k++) {
            uint32_t i = backwards ? span->n_blocks - 1 - k : k;
            struct mt_block_ref place = {(uint32_t)id, i, span->first + i, 0};
            if (!is_lost(map, place.slot) ||
                (map->flags[place.slot] & mask) != wanted)
                continue;
            if (mt_parts_stopped(&worker->all->parts))
                return;
            step(worker, &place);
        }
    }
}

static void walk_unreferenced(struct mt_worker *worker,
                              const struct mt_block_ref *place)
{
    worker->map->flags[place->slot] |= MT_BLOCK_LEAK_ROOT;
    walk_from(worker, place, take_any);
}

static void walk_candidate(struct mt_worker *worker,
                           const struct mt_block_ref *place)
{
    worker->map->flags[place->slot] |= MT_BLOCK_CYCLIC | MT_BLOCK_LEAK_ROOT;
    walk_from(worker, place, find_candidates);
}

static void walk_cycle(struct mt_worker *worker,
                       const struct mt_block_ref *place)
{
    walk_from(worker, place, take_cyclic);
}

static void walk_all(struct mt_worker *worker, void *context)
{
    (void)context;
    each_lost(worker, false, MT_BLOCK_REFERENCED, 0, walk_unreferenced);
    each_lost(worker, false,
              MT_BLOCK_INDIRECT | MT_BLOCK_LEAK_ROOT | MT_BLOCK_CYCLIC, 0,
              walk_candidate);
    each_lost(worker, true, MT_BLOCK_CYCLIC | MT_BLOCK_LEAK_ROOT,
              MT_BLOCK_CYCLIC | MT_BLOCK_LEAK_ROOT, walk_cycle);
}

bool mt_mark_lost(struct mt_mark *mark,
                  void (*visit)(void *context, const struct mt_lost *lost),
                  void *context, struct mt_error *error)
{
    struct lost lost = {.visit = visit, .context = context};
    struct mt_workers all;

    return mt_workers_run(mark, &all, false, find_referenced, NULL, error) &&
           mt_workers_run(mark, &all, true, walk_all, &lost, error);
}
