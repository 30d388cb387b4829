/* SPDX-License-Identifier: BSD-2-Clause
 *
 * paths.c - the tree of paths while it is built.
 */
#include "coreanalyze/profile/paths.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>

#define LEAST_SLOTS 1024u

/* All bits depend on both: a product alone has low bits of the frame only, and
 * frames are few. */
static uint64_t paths_hash(uint32_t parent, uint32_t frame)
{
    uint64_t hash =
        ((uint64_t)parent << 32 | frame) * UINT64_C(0x9e3779b97f4a7c15);

    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

static size_t paths_start(const struct mt_paths *paths, uint64_t hash)
{
    return (size_t)hash & (paths->capacity - 1);
}

/* A slot that stands for a node: at most half of the slots are used, so that
 * the index leaves bits for a part of the hash.  Few other nodes have it. */
static uint32_t paths_slot(const struct mt_paths *paths, uint64_t hash,
                           uint32_t node)
{
    uint64_t most = paths->capacity / 2 - 1;

    return ((uint32_t)(hash >> 32) & ~(uint32_t)most) | node;
}

static uint32_t paths_node(const struct mt_paths *paths, uint32_t slot)
{
    return slot & (uint32_t)(paths->capacity / 2 - 1);
}

/* Slots for twice as many nodes. */
static bool paths_grow(struct mt_paths *paths, const struct mt_profile *p)
{
    struct mt_paths larger = {.capacity = paths->capacity ? paths->capacity * 2
                                                          : LEAST_SLOTS};

    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 1; i < p->n_nodes; i++) {
        uint64_t hash = paths_hash(p->nodes[i].parent, p->nodes[i].frame);
        size_t at = paths_start(&larger, hash);
        while (larger.slots[at])
            at = (at + 1) & (larger.capacity - 1);
        larger.slots[at] = paths_slot(&larger, hash, (uint32_t)i);
    }
    free(paths->slots);
    paths->slots = larger.slots;
    paths->capacity = larger.capacity;
    return true;
}

bool mt_paths_begin(struct mt_paths *paths, struct mt_profile *p)
{
    if (!mt_extend(&p->nodes, &paths->nodes_room, 1, sizeof *p->nodes))
        return false;
    p->nodes[0] = (struct mt_profile_node){MT_PROFILE_NONE, MT_PROFILE_NONE, 0};
    p->n_nodes = 1;
    return true;
}

/* Moves a walk to the child of its node, which it adds if it is new; there is
 * a free slot. */
static bool paths_step(struct mt_paths *paths, struct mt_profile *p,
                       struct mt_path_walk *walk)
{
    uint32_t frame = walk->frames[walk->level++];
    uint64_t hash = walk->hash;
    uint32_t like = paths_slot(paths, hash, 0);
    size_t at = paths_start(paths, hash);

    for (; paths->slots[at]; at = (at + 1) & (paths->capacity - 1)) {
        uint32_t node = paths_node(paths, paths->slots[at]);
        const struct mt_profile_node *one = &p->nodes[node];
        if (paths->slots[at] == (like | node) && one->parent == walk->node &&
            one->frame == frame) {
            walk->node = node;
            return true;
        }
    }
    if (p->n_nodes >= MT_PROFILE_NONE ||
        !mt_extend(&p->nodes, &paths->nodes_room, p->n_nodes + 1,
                   sizeof *p->nodes))
        return false;
    p->nodes[p->n_nodes] = (struct mt_profile_node){walk->node, frame, 0};
    walk->node = (uint32_t)p->n_nodes++;
    paths->slots[at] = like | walk->node;
    return true;
}

/* A step waits for a slot and then for the node in it, both anywhere in large
 * memory. So all walks take a step together: their slots are asked for, then
 * their nodes. */
bool mt_paths_descend(struct mt_paths *paths, struct mt_profile *p,
                      struct mt_path_walk *walks, size_t n)
{
    while (n > 0) {
        size_t left = 0;

        while ((p->n_nodes + n) * 2 >= paths->capacity)
            if (!paths_grow(paths, p))
                return false;
        for (size_t i = 0; i < n; i++) {
            struct mt_path_walk *walk = &walks[i];
            if (walk->level == walk->n)
                continue;
            walk->hash = paths_hash(walk->node, walk->frames[walk->level]);
            __builtin_prefetch(&paths->slots[paths_start(paths, walk->hash)],
                               1);
        }
        for (size_t i = 0; i < n; i++) {
            uint32_t slot = paths->slots[paths_start(paths, walks[i].hash)];
            __builtin_prefetch(&p->nodes[paths_node(paths, slot)]);
        }
        for (size_t i = 0; i < n; i++) {
            if (walks[i].level == walks[i].n)
                continue;
            if (!paths_step(paths, p, &walks[i]))
                return false;
            left += walks[i].level < walks[i].n;
        }
        if (left == 0)
            break;
    }
    return true;
}

bool mt_paths_add(struct mt_paths *paths, struct mt_profile *p, uint32_t node,
                  const struct mt_measures *is)
{
    struct mt_profile_node *at = &p->nodes[node];

    if (at->end == 0) {
        if (!mt_extend(&p->ends, &paths->ends_room, p->n_ends + 1,
                       sizeof *p->ends))
            return false;
        p->ends[p->n_ends++] = (struct mt_measures){{0}};
        at->end = (uint32_t)p->n_ends;
    }
    for (unsigned m = 0; m < MT_N_MEASURES; m++)
        p->ends[at->end - 1].of[m] += is->of[m];
    return true;
}

void mt_paths_free(struct mt_paths *paths)
{
    free(paths->slots);
}
