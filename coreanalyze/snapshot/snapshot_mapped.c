/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_mapped.c - the ranges that the program has mapped, and by which
 * stacks.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MAPPED (UINT64_C(1) << 22)

static bool visit_mapped(void *context, uint64_t index, uint64_t address,
                         const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_map_record *r = record;
    struct mt_model *model = snapshot->model;

    (void)index, (void)address;
    if (r->bytes == 0)
        return true;
    if (r->start + r->bytes < r->start || r->stack >= model->n_stacks ||
        r->epoch >= model->n_epochs) {
        /* A process that runs may just have recorded it. */
        model->coverage.skipped_maps += !mt_snapshot_runs(snapshot);
        return true;
    }
    model->mapped[model->n_mapped++] = (struct mt_mapped_range){
        .start = r->start,
        .end = r->start + r->bytes,
        .stack = r->stack,
        .epoch = r->epoch,
        .shared = r->flags & (MT_MAPPED_SHARED | MT_MAPPED_SEGMENT),
        .program_break = r->flags & MT_MAPPED_BREAK,
    };
    return true;
}

static int mapped_order(const void *a, const void *b)
{
    const struct mt_mapped_range *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* One that was being changed may overlap its neighbour. */
static void mapped_sort(struct mt_model *model)
{
    uint64_t end = 0;
    size_t kept = 0;

    if (model->n_mapped > 0)
        qsort(model->mapped, model->n_mapped, sizeof *model->mapped,
              mapped_order);
    for (size_t i = 0; i < model->n_mapped; i++) {
        struct mt_mapped_range range = model->mapped[i];
        if (range.start < end)
            range.start = end;
        if (range.start >= range.end)
            continue;
        end = range.end;
        model->mapped[kept++] = range;
    }
    model->n_mapped = kept;
}

bool mt_snapshot_mapped(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    uint64_t n = snapshot->sections[MT_SECTION_MAPS].entries;

    if (n > MAX_MAPPED)
        n = MAX_MAPPED;
    model->mapped = calloc((size_t)n + 1, sizeof *model->mapped);
    if (!model->mapped ||
        !mt_snapshot_each(snapshot, MT_SECTION_MAPS, MT_RECORD_map_record, 1, n,
                          visit_mapped, snapshot))
        return mt_no_memory(error, "the ranges that are mapped");
    mapped_sort(model);
    return true;
}
