/* SPDX-License-Identifier: BSD-2-Clause
 *
 * model.c - look-ups in a model's tables.
 */
#include "coreanalyze/model.h"

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

static bool holds(const struct mt_module *module, uint64_t pc)
{
    return pc >= module->start && pc < module->end;
}

/* A module is first seen some time after it was loaded, so the record that
 * was loaded last by `ns` counts, and before that the first one at all. */
const struct mt_module *mt_model_module(const struct mt_model *model,
                                        uint64_t pc, uint64_t ns)
{
    const struct mt_traced_module *best = NULL;

    for (size_t i = 0; i < model->n_modules; i++) {
        const struct mt_traced_module *m = &model->modules[i];
        if (!holds(&m->module, pc))
            continue;
        bool gone = m->unloaded_ns != 0 && m->unloaded_ns < ns;
        if (best == NULL ||
            (!gone && (m->loaded_ns <= ns || m->loaded_ns < best->loaded_ns)))
            best = m;
    }
    if (best)
        return &best->module;
    return mt_source_module(model->source, pc);
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
