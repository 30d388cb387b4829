/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_peak.c - what the heaps held at their peak: the list that the root
 * names, added to the stacks.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#define MAX_PEAK_BYTES (UINT64_C(1) << 47)
#define PEAK_LATE_NS UINT64_C(1000000000) /* after the newest epoch */

static bool visit_peak(void *context, uint64_t index, uint64_t address,
                       const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_peak_record *r = record;
    struct mt_model *model = snapshot->model;
    struct mt_peak *peak = &model->peak;
    uint32_t stack = r->stack;

    (void)index, (void)address;
    if (r->bytes > MAX_PEAK_BYTES - peak->bytes || r->blocks > MAX_PEAK_BYTES ||
        stack >= model->n_stacks) {
        model->coverage.skipped_peaks++;
        return true;
    }
    /* Its record may be one that made no sense. */
    if (stack >= MT_ID_FIRST && !model->stacks[stack].valid)
        stack = MT_ID_OVERFLOW;
    model->stacks[stack].peak_bytes += r->bytes;
    model->stacks[stack].peak_blocks += r->blocks;
    peak->bytes += r->bytes;
    peak->blocks += r->blocks;
    return true;
}

bool mt_snapshot_peak(struct mt_snapshot *snapshot, struct mt_error *error)
{
    const struct mt_root *root = &snapshot->root;
    struct mt_model *model = snapshot->model;
    uint64_t entries = snapshot->sections[MT_SECTION_PEAKS].entries;
    uint32_t list = root->peak - 1;

    if (root->peak == 0)
        return true;
    if (list > 1 || root->peak_first[list] > entries ||
        root->peak_records[list] > entries - root->peak_first[list] ||
        root->peak_ns[list] < root->start_monotonic_ns ||
        root->peak_share[list] == 0 ||
        root->peak_live_bytes[list] > MAX_PEAK_BYTES ||
        root->peak_span_bytes[list] > MAX_PEAK_BYTES ||
        (root->peak_ns[list] - root->start_monotonic_ns >
             model->now_ns + PEAK_LATE_NS &&
         !mt_snapshot_runs(snapshot))) {
        model->coverage.skipped_peaks++;
        return true;
    }
    model->peak = (struct mt_peak){
        .known = true,
        .ns = root->peak_ns[list] - root->start_monotonic_ns,
        .live_bytes = root->peak_live_bytes[list],
        .span_bytes = root->peak_span_bytes[list],
        .share = root->peak_share[list],
    };
    return mt_snapshot_each(snapshot, MT_SECTION_PEAKS, MT_RECORD_peak_record,
                            root->peak_first[list],
                            (uint64_t)root->peak_first[list] +
                                root->peak_records[list],
                            visit_peak, snapshot) ||
           mt_no_memory(error, "the peak");
}
