/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_ranges.c - the parts of the trace region that readers need.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

void mt_model_trace_ranges(const struct mt_model *model, mt_visit_range *visit,
                           void *context)
{
#define KEPT(ID, name, entry, kept, doc) kept,
    static const bool kept[] = {MT_SECTIONS(KEPT)};
#undef KEPT
    const struct mt_snapshot *snapshot = model->snapshot;

    visit(context, model->root, snapshot->records[MT_RECORD_root].bytes);
    for (unsigned i = 0; i < MT_N_SECTIONS; i++)
        if (kept[i] && snapshot->sections[i].used > 0)
            visit(context, snapshot->sections[i].base,
                  snapshot->sections[i].used);
    /* A region's map is as long as its reservation: of the slices that were
     * never handed out, it holds zeros. */
    for (size_t i = 0; i < model->n_regions; i++)
        if (model->regions[i].top > 0)
            visit(context, model->regions[i].slice_map,
                  model->regions[i].top * sizeof(uint32_t));
}
