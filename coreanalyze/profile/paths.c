/* SPDX-License-Identifier: BSD-2-Clause
 *
 * paths.c - the tree of paths while it is built.
 */
#include "coreanalyze/profile/paths.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>

#define LEAST_SLOTS 1024u

static size_t paths_start(const struct mt_paths *paths, uint32_t parent,
                          uint32_t frame)
{
    uint64_t key = (uint64_t)parent << 32 | frame;

    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 24) &
           (paths->capacity - 1);
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
        size_t at = paths_start(&larger, p->nodes[i].parent, p->nodes[i].frame);
        while (larger.slots[at])
            at = (at + 1) & (larger.capacity - 1);
        larger.slots[at] = (uint32_t)i;
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

bool mt_paths_descend(struct mt_paths *paths, struct mt_profile *p,
                      uint32_t frame, uint32_t *node)
{
    size_t at;

    if (p->n_nodes * 2 >= paths->capacity && !paths_grow(paths, p))
        return false;
    at = paths_start(paths, *node, frame);
    for (; paths->slots[at]; at = (at + 1) & (paths->capacity - 1)) {
        const struct mt_profile_node *one = &p->nodes[paths->slots[at]];
        if (one->parent == *node && one->frame == frame) {
            *node = paths->slots[at];
            return true;
        }
    }
    if (p->n_nodes >= MT_PROFILE_NONE ||
        !mt_extend(&p->nodes, &paths->nodes_room, p->n_nodes + 1,
                   sizeof *p->nodes))
        return false;
    p->nodes[p->n_nodes] = (struct mt_profile_node){*node, frame, 0};
    *node = paths->slots[at] = (uint32_t)p->n_nodes++;
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
