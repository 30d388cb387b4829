/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_samples.c - the totals over time: those records that make sense, by
 * time.  The target moves records while it thins them out, and may be caught at
 * that: one may be there twice.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <stdlib.h>

#define MAX_SAMPLES 4096u
#define MAX_SAMPLE_BYTES (UINT64_C(1) << 47)
/* A sample may be a little later than the newest epoch. */
#define SAMPLE_LATE_NS UINT64_C(1000000000)

static bool sample_ok(const struct mt_snapshot *snapshot,
                      const struct mt_sample_record *r)
{
    uint64_t start = snapshot->root.start_monotonic_ns;
    uint64_t newest = snapshot->model->now_ns + SAMPLE_LATE_NS;

    return r->monotonic_ns >= start &&
           (r->monotonic_ns - start <= newest || mt_snapshot_runs(snapshot)) &&
           r->live_bytes <= MAX_SAMPLE_BYTES &&
           r->live_blocks <= MAX_SAMPLE_BYTES &&
           r->span_bytes <= MAX_SAMPLE_BYTES &&
           r->committed <= MAX_SAMPLE_BYTES && r->resident <= MAX_SAMPLE_BYTES;
}

static bool visit_sample(void *context, uint64_t index, uint64_t address,
                         const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_sample_record *r = record;
    struct mt_model *model = snapshot->model;

    (void)index, (void)address;
    if (r->monotonic_ns == 0)
        return true;
    if (!sample_ok(snapshot, r)) {
        model->coverage.skipped_samples++;
        return true;
    }
    model->samples[model->n_samples++] = (struct mt_sample){
        .ns = r->monotonic_ns - snapshot->root.start_monotonic_ns,
        .live_bytes = r->live_bytes,
        .live_blocks = r->live_blocks,
        .span_bytes = r->span_bytes,
        .committed = r->committed,
        .resident = r->resident,
        .allocs = r->allocs,
        .estimated = r->flags & MT_SAMPLE_ESTIMATED,
    };
    return true;
}

static int sample_order(const void *a, const void *b)
{
    const struct mt_sample *x = a, *y = b;

    return x->ns < y->ns ? -1 : x->ns > y->ns;
}

bool mt_snapshot_samples(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    uint64_t n = snapshot->sections[MT_SECTION_SAMPLES].entries;
    size_t kept = 0;

    if (n > MAX_SAMPLES)
        n = MAX_SAMPLES;
    model->sample_step_ns = snapshot->root.sample_step_ns;
    model->samples = calloc((size_t)n + 1, sizeof *model->samples);
    if (!model->samples ||
        !mt_snapshot_each(snapshot, MT_SECTION_SAMPLES, MT_RECORD_sample_record,
                          0, n, visit_sample, snapshot))
        return mt_no_memory(error, "the timeline");
    if (model->n_samples > 0)
        qsort(model->samples, model->n_samples, sizeof *model->samples,
              sample_order);
    for (size_t i = 0; i < model->n_samples; i++)
        if (i == 0 || model->samples[i].ns != model->samples[kept - 1].ns)
            model->samples[kept++] = model->samples[i];
    model->n_samples = kept;
    return true;
}
