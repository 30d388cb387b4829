/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolve.c - joins the model's modules with the symbolizer, and remembers
 * what it has found: the outer frames of most stacks are the same.
 */
#include "coreanalyze/resolve.h"
#include "coreanalyze/symbolize.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t pc;
    const struct mt_module *module;
    struct mt_frame *frames; /* NULL: the entry is free */
    size_t n;
};

struct mt_resolver {
    const struct mt_model *model;
    struct mt_symbolizer *symbolizer;
    struct mt_resolver_options options;
    struct entry *entries; /* open addressing */
    size_t n_entries, capacity;
    struct mt_frame fallback;
};

struct mt_resolver *mt_resolver_new(const struct mt_model *model,
                                    const struct mt_resolver_options *options)
{
    struct mt_symbolizer_options symbols = {.debug_dirs = options->debug_dirs,
                                            .sysroot = options->sysroot};
    struct mt_resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL)
        return NULL;
    resolver->model = model;
    resolver->options = *options;
    resolver->symbolizer = mt_symbolizer_new(&symbols);
    if (resolver->symbolizer == NULL) {
        free(resolver);
        return NULL;
    }
    return resolver;
}

void mt_resolver_free(struct mt_resolver *resolver)
{
    if (resolver == NULL)
        return;
    for (size_t i = 0; i < resolver->capacity; i++)
        free(resolver->entries[i].frames);
    free(resolver->entries);
    mt_symbolizer_free(resolver->symbolizer);
    free(resolver);
}

static struct entry *probe(struct entry *entries, size_t capacity, uint64_t pc,
                           const struct mt_module *module)
{
    size_t i =
        (size_t)((pc * UINT64_C(0x9e3779b97f4a7c15)) >> 24) & (capacity - 1);

    while (entries[i].frames &&
           (entries[i].pc != pc || entries[i].module != module))
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

static bool make_room(struct mt_resolver *resolver)
{
    size_t capacity = resolver->capacity ? resolver->capacity * 2 : 1024;
    struct entry *entries;

    if (resolver->n_entries * 2 < resolver->capacity)
        return true;
    entries = calloc(capacity, sizeof *entries);
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < resolver->capacity; i++) {
        const struct entry *e = &resolver->entries[i];
        if (e->frames)
            *probe(entries, capacity, e->pc, e->module) = *e;
    }
    free(resolver->entries);
    resolver->entries = entries;
    resolver->capacity = capacity;
    return true;
}

static void describe(const struct mt_module *module, uint64_t pc,
                     struct mt_frame *frame)
{
    memset(frame, 0, sizeof *frame);
    frame->pc = pc;
    if (module == NULL)
        return;
    frame->module = module->path ? module->path : "";
    frame->module_offset = pc - module->load_bias;
    frame->build_id = module->build_id;
    frame->build_id_bytes = module->build_id_bytes;
}

static size_t look_up(struct mt_resolver *resolver,
                      const struct mt_module *module, uint64_t pc,
                      struct mt_frame frames[MT_MAX_INLINED])
{
    struct mt_symbol_frame found[MT_MAX_INLINED];
    size_t n = 0;

    describe(module, pc, &frames[0]);
    if (module) {
        struct mt_symbol_module m = {
            module->path, module->build_id_bytes ? module->build_id : NULL,
            module->build_id_bytes};
        n = mt_symbolize(resolver->symbolizer, &m, pc - module->load_bias, true,
                         found, MT_MAX_INLINED, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        frames[i] = frames[0];
        frames[i].function = found[i].function;
        frames[i].offset = found[i].offset;
        frames[i].file = found[i].file;
        frames[i].line = found[i].line;
        frames[i].inlined = found[i].inlined;
    }
    if (n == 0 && resolver->options.hook)
        resolver->options.hook(resolver->options.context, pc, &frames[0]);
    return n ? n : 1;
}

const struct mt_frame *mt_resolve(struct mt_resolver *resolver, uint64_t pc,
                                  uint64_t ns, size_t *n)
{
    const struct mt_module *module = mt_model_module(resolver->model, pc, ns);
    struct mt_frame frames[MT_MAX_INLINED];
    struct entry *entry;

    if (!make_room(resolver))
        goto out_of_memory;
    entry = probe(resolver->entries, resolver->capacity, pc, module);
    if (entry->frames == NULL) {
        size_t found = look_up(resolver, module, pc, frames);
        struct mt_frame *copy = malloc(found * sizeof *copy);
        if (copy == NULL)
            goto out_of_memory;
        memcpy(copy, frames, found * sizeof *copy);
        *entry = (struct entry){pc, module, copy, found};
        resolver->n_entries++;
    }
    *n = entry->n;
    return entry->frames;

out_of_memory:
    describe(module, pc, &resolver->fallback);
    *n = 1;
    return &resolver->fallback;
}

void mt_resolver_matches(const struct mt_resolver *resolver,
                         void (*visit)(void *context,
                                       const struct mt_module_match *),
                         void *context)
{
    static const char *const names[] = {
        [MT_MATCH_BUILD_ID] = "build-id",
        [MT_MATCH_DEBUG_ONLY] = "debug-only",
        [MT_MATCH_UNVERIFIED] = "unverified",
        [MT_MATCH_MISSING] = "missing",
        [MT_MATCH_MISMATCH] = "mismatch",
        [MT_MATCH_UNREADABLE] = "unreadable",
    };
    size_t n = mt_symbolizer_n_modules(resolver->symbolizer);

    for (size_t i = 0; i < n; i++) {
        struct mt_symbol_report r;
        if (!mt_symbolizer_report(resolver->symbolizer, i, &r))
            continue;
        struct mt_module_match match = {
            r.path, r.build_id, names[r.match], r.debug_path,
            r.match == MT_MATCH_MISMATCH || r.match == MT_MATCH_UNREADABLE};
        visit(context, &match);
    }
}
