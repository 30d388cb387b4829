/* SPDX-License-Identifier: BSD-2-Clause
 *
 * other_heaps.c - libraries in the target that give blocks of their own by an
 * interface that the traced heap does not serve.  Those blocks are in no
 * report, and only a call of the library could count them.  What the library
 * mapped for them is in the trace, and the kernel knows how much of that is
 * resident.
 */
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/text.h"

#include <string.h>

struct other_heap_use {
    uint64_t mapped, resident; /* bytes */
    bool measured;             /* `resident` is known */
};

static const struct {
    const char *library, *function; /* how its name begins; one of its own */
} other_heaps[] = {
    {"libmimalloc", "mi_malloc"},
    {"libtbbmalloc.", "scalable_malloc"},
    {"librpmalloc", "rpmalloc"},
    {"libumem", "umem_alloc"},
};

/* The function of the allocator that the module is, or NULL. */
static const char *other_heap_of(const struct mt_module *module)
{
    const char *name = module->path ? mt_base_name(module->path) : "";

    for (size_t i = 0; i < sizeof other_heaps / sizeof *other_heaps; i++)
        if (strncmp(name, other_heaps[i].library,
                    strlen(other_heaps[i].library)) == 0)
            return other_heaps[i].function;
    return NULL;
}

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
    mt_put_size(report->out, use.mapped);
    if (!use.measured)
        return;
    fputs(", of which ", report->out);
    mt_put_size(report->out, use.resident);
    fputs(report->model->source->process.kind == MT_SOURCE_LIVE
              ? " are resident"
              : " are in the core",
          report->out);
}

size_t mt_print_other_heaps(const struct mt_report *report, const char *prefix)
{
    const struct mt_source *source = report->model->source;
    size_t n = 0;

    for (size_t i = 0; i < source->n_modules; i++) {
        const struct mt_module *module = &source->modules[i];
        const char *function = other_heap_of(module);
        if (!function)
            continue;
        fputs(prefix, report->out);
        mt_put_text(report->out, mt_base_name(module->path));
        fprintf(report->out,
                " is loaded: blocks that the program takes from it by its own "
                "functions (%s) are not seen",
                function);
        other_heap_put(report, module);
        putc('\n', report->out);
        n++;
    }
    return n;
}

void mt_json_other_heaps(struct mt_json *json, struct mt_model *model)
{
    const struct mt_source *source = model->source;

    mt_json_open(json, "other_heaps", '[');
    for (size_t i = 0; i < source->n_modules; i++)
        if (other_heap_of(&source->modules[i]))
            mt_json_string(json, NULL, mt_base_name(source->modules[i].path));
    mt_json_close(json, ']');
    mt_json_open(json, "other_heap_bytes", '[');
    for (size_t i = 0; i < source->n_modules; i++) {
        struct other_heap_use use;
        if (!other_heap_of(&source->modules[i]))
            continue;
        use = other_heap_measure(model, &source->modules[i]);
        mt_json_open(json, NULL, '{');
        mt_json_u64(json, "mapped", use.mapped);
        if (use.measured)
            mt_json_u64(json, "resident", use.resident);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}
