/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_own.c - what the heap keeps outside of its trace region: one small
 * structure in the data of the module that it is linked into, which begins
 * with the address of a region.  That may be the address of a block, too, and
 * is no pointer of the program's.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <string.h>

#define OWN_WORDS 4u /* region's base, its size, its slice map, spans */
#define CHUNK_WORDS 8192u

/* Is this the structure? */
static bool is_own(const struct mt_snapshot *snapshot, const uint64_t *words)
{
    const struct mt_model *model = snapshot->model;

    for (size_t i = 0; i < model->n_regions; i++)
        if (words[0] == model->regions[i].base)
            return words[2] == model->regions[i].slice_map &&
                   words[3] == snapshot->sections[MT_SECTION_SPANS].base;
    return false;
}

static bool own_search(const struct mt_snapshot *snapshot,
                       const struct mt_mapping *m, uint64_t *found)
{
    uint64_t words[CHUNK_WORDS], step = (CHUNK_WORDS - OWN_WORDS) * 8;

    for (uint64_t at = m->start; at < m->start + m->present; at += step) {
        uint64_t left = m->start + m->present - at;
        size_t n =
            mt_source_read_part(snapshot->model->source, at, words,
                                left < sizeof words ? left : sizeof words) /
            8;
        for (size_t i = 0; i + OWN_WORDS <= n; i++)
            if (words[i] != 0 && is_own(snapshot, &words[i])) {
                *found = at + i * 8;
                return true;
            }
    }
    return false;
}

bool mt_model_own(const struct mt_model *model, uint64_t *start,
                  uint64_t *bytes)
{
    const struct mt_source *source = model->source;

    *bytes = OWN_WORDS * 8;
    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        if ((m->flags & MT_MAP_READ) && (m->flags & MT_MAP_WRITE) &&
            mt_source_module(source, m->start) &&
            own_search(model->snapshot, m, start))
            return true;
    }
    return false;
}
