/* SPDX-License-Identifier: BSD-2-Clause
 *
 * paths.h - builds the tree of paths of a profile: millions of nodes, in 12
 * bytes each, and what was allocated at the ends of paths.
 */
#ifndef MT_PATHS_H
#define MT_PATHS_H

#include "coreanalyze/profile/profile.h"

/* Finds a node by its parent and frame.  A slot holds the node's index, so that
 * the nodes themselves are the keys. */
struct mt_paths {
    uint32_t *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t nodes_room, ends_room;
};

/* Adds the root.  This and the others return false when out of memory. */
bool mt_paths_begin(struct mt_paths *, struct mt_profile *);
/* A way from the root along frames; `node` is where it has come to. */
struct mt_path_walk {
    const uint32_t *frames; /* the outermost first */
    size_t n, level;        /* frames, and how many were taken */
    uint32_t node;
    uint64_t hash; /* of the next step */
};
/* Takes all walks to their ends, and adds the nodes that are new. */
bool mt_paths_descend(struct mt_paths *, struct mt_profile *,
                      struct mt_path_walk *walks, size_t n);
/* Adds to what was allocated at a node itself. */
bool mt_paths_add(struct mt_paths *, struct mt_profile *, uint32_t node,
                  const struct mt_measures *);
void mt_paths_free(struct mt_paths *);

#endif
