/* SPDX-License-Identifier: BSD-2-Clause
 *
 * other_heaps.c - allocators in the target whose blocks are in no heap of ours.
 * Those blocks are in no report, and only a call of the allocator could count
 * them.  What it mapped for them is in the trace, and the kernel knows how much
 * of that is resident.
 */
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/snapshot/allocators.h"

#include <string.h>

struct other_heap_use {
    uint64_t mapped, resident; /* bytes */
    bool measured;             /* `resident` is known */
};

static bool other_heap_count(void *context, const struct mt_page_run *run)
{
    struct other_heap_use *use = context;

    if (!run->swapped)
        use->resident += run->end - run->start;
    return true;
}

/* Was it a call of the module that mapped memory? */
static bool other_heap_mapped(struct mt_model *model,
                              const struct mt_module *module, uint32_t stack)
{
    uint64_t frames[MT_MAX_FRAMES];

    return mt_model_frames(model, stack, frames) > 0 &&
           frames[0] > module->start && frames[0] <= module->end;
}

/* The memory that the module mapped, and has not unmapped. */
static struct other_heap_use other_heap_measure(struct mt_model *model,
                                                const struct mt_module *module)
{
    struct mt_source *source = model->source;
    struct other_heap_use use = {0, 0, false};
    uint32_t stack = 0; /* the last one that was looked at */
    bool wanted = false;

    use.measured = source->ops->resident && !source->process.mini;
    for (size_t i = 0; i < model->n_mapped; i++) {
        const struct mt_mapped_range *range = &model->mapped[i];
        if (i == 0 || range->stack != stack) {
            stack = range->stack;
            wanted = other_heap_mapped(model, module, stack);
        }
        if (!wanted)
            continue;
        use.mapped += range->end - range->start;
        use.measured = use.measured &&
                       source->ops->resident(source, range->start, range->end,
                                             other_heap_count, &use);
    }
    return use;
}

static void other_heap_put(const struct mt_report *report,
                           const struct mt_module *module)
{
    struct other_heap_use use = other_heap_measure(report->model, module);

    if (use.mapped == 0)
        return;
    fputs("; it mapped ", report->out);
    mt_put_bytes(report->out, use.mapped);
    if (!use.measured)
        return;
    fputs(", of which ", report->out);
    mt_put_bytes(report->out, use.resident);
    fputs(report->model->source->process.kind == MT_SOURCE_LIVE
              ? " are resident"
              : " are in the core",
          report->out);
}

static void other_heap_describe(FILE *out, const struct mt_allocator *found)
{
    mt_put_text(out, mt_base_name(found->module->path));
    if (!found->is_malloc) {
        if (found->linked)
            fprintf(out, " contains %s", found->name);
        else
            fputs(" is loaded", out);
        fputs(": blocks that the program takes from it by its own functions (",
              out);
        mt_put_text(out, found->function);
        fputs(") are not seen", out);
        return;
    }
    fputs(found->hidden
              ? " uses a malloc of its own, which no other module sees"
              : " defines malloc itself",
          out);
    if (found->name)
        fprintf(out, " (%s)", found->name);
    fputs(found->alone
              ? ": none of its blocks are seen"
              : ": blocks that are not of the traced heap are not seen",
          out);
}

size_t mt_print_other_heaps(const struct mt_report *report, const char *prefix)
{
    const struct mt_allocator *allocators;
    size_t n;

    allocators = mt_model_allocators(report->model, &n);
    for (size_t i = 0; i < n; i++) {
        fputs(prefix, report->out);
        other_heap_describe(report->out, &allocators[i]);
        other_heap_put(report, allocators[i].module);
        putc('\n', report->out);
    }
    return n;
}

void mt_json_other_heaps(struct mt_json *json, struct mt_model *model)
{
    const struct mt_allocator *allocators;
    size_t n;

    allocators = mt_model_allocators(model, &n);
    mt_json_open(json, "other_heaps", '[');
    for (size_t i = 0; i < n; i++)
        mt_json_string(json, NULL, mt_base_name(allocators[i].module->path));
    mt_json_close(json, ']');
    mt_json_open(json, "other_heap_bytes", '[');
    for (size_t i = 0; i < n; i++) {
        struct other_heap_use use =
            other_heap_measure(model, allocators[i].module);
        mt_json_open(json, NULL, '{');
        mt_json_u64(json, "mapped", use.mapped);
        if (use.measured)
            mt_json_u64(json, "resident", use.resident);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}
