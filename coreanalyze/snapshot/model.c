/* SPDX-License-Identifier: BSD-2-Clause
 *
 * model.c - look-ups in a model's tables.
 */
#include "coreanalyze/snapshot/model.h"
#include "coreanalyze/base/search.h"

#include <string.h>

const char *mt_root_method_name(enum mt_root_method method)
{
    static const char *const names[] = {"symbol", "mapping", "scan"};

    return names[method];
}

bool mt_model_step(struct mt_model *model, const char *step, uint64_t done,
                   uint64_t total)
{
    const struct mt_progress *progress = model->progress;

    return progress == NULL ||
           progress->report(progress->context, step, done, total);
}

static bool model_holds(const struct mt_module *module, uint64_t address)
{
    return address >= module->start && address < module->end;
}

/* Later records had their addresses after the stack was recorded. */
static const struct mt_traced_module *
traced_module(const struct mt_model *model, uint64_t address, uint32_t modules)
{
    for (size_t i = model->n_modules; i-- > 0;) {
        const struct mt_traced_module *m = &model->modules[i];
        if (m->record < modules && model_holds(&m->module, address))
            return m;
    }
    return NULL;
}

const struct mt_module *mt_model_module(const struct mt_model *model,
                                        uint64_t address, uint32_t modules)
{
    const struct mt_traced_module *traced =
        traced_module(model, address, modules);
    const struct mt_module *now = NULL;

    /* A stack may be newer than the list is here; then the module is one that
     * is mapped now. */
    if (traced && (modules <= model->n_module_records || !traced->unloaded_ns))
        return &traced->module;
    now = mt_source_module(model->source, address);
    return now || traced == NULL ? now : &traced->module;
}

static bool model_same_module(const struct mt_module *a,
                              const struct mt_module *b)
{
    return a->start == b->start && a->end == b->end &&
           a->build_id_bytes == b->build_id_bytes &&
           memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0 &&
           (a->path == b->path ||
            (a->path && b->path && strcmp(a->path, b->path) == 0));
}

/* Two threads may have listed a module at once. */
size_t mt_model_module_id(const struct mt_model *model, uint64_t address,
                          uint32_t modules)
{
    const struct mt_traced_module *traced =
        traced_module(model, address, modules);
    size_t i = 0;

    if (traced == NULL)
        return 0;
    while (!model_same_module(&model->modules[i].module, &traced->module))
        i++;
    return i + 1;
}

uint64_t mt_model_age_ns(const struct mt_model *model, uint32_t epoch)
{
    if (epoch >= model->n_epochs)
        return 0;
    return model->now_ns - model->epochs[epoch].ns;
}

const struct mt_heap *mt_model_heap(const struct mt_model *model,
                                    const char *name)
{
    for (size_t i = 0; i < model->n_heaps; i++)
        if (model->heaps[i].in_use && strcmp(model->heaps[i].name, name) == 0)
            return &model->heaps[i];
    return NULL;
}

const struct mt_traced_thread *mt_model_thread(const struct mt_model *model,
                                               uint32_t record)
{
    size_t i = mt_count_below(model->threads, model->n_threads, id, record);

    return record && i < model->n_threads && model->threads[i].id == record
               ? &model->threads[i]
               : NULL;
}

const char *mt_model_thread_name(const struct mt_model *model, uint32_t tid)
{
    for (size_t i = 0; i < model->source->n_threads; i++)
        if (model->source->threads[i].tid == tid)
            return mt_model_name_of(model, &model->source->threads[i]);
    for (size_t i = model->n_threads; i-- > 0;)
        if (model->threads[i].tid == tid)
            return model->threads[i].name;
    return "";
}
