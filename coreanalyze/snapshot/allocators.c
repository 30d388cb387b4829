/* SPDX-License-Identifier: BSD-2-Clause
 *
 * allocators.c - allocators in the target whose blocks are in no heap of ours:
 * libraries by their names, and what is linked into a program or a library by
 * the functions that the file of it defines.
 *
 * An executable comes before the preload library in the search order: one that
 * defines malloc serves itself, and the libraries too.  Unless that malloc asks
 * the next one, none of its blocks are seen, though others may be: those of
 * functions that it lacks, as calloc.  A malloc that it does not export serves
 * its own calls alone, and then it asks no other module for one.
 */
#include "coreanalyze/snapshot/allocators.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

/* Libraries of allocators with functions that the preload library lacks: how
 * the file name begins. */
static const struct {
    const char *library, *name, *function;
} allocator_libraries[] = {
    {"libmimalloc", "mimalloc", "mi_malloc"},
    {"libtbbmalloc.", "oneTBB", "scalable_malloc"},
    {"librpmalloc", "rpmalloc", "rpmalloc"},
    {"libumem", "libumem", "umem_alloc"},
};

/* Functions that only an allocator has, as mt_module_functions takes them. */
static const struct {
    const char *function, *name;
} allocator_functions[] = {
    {"_mallocx", "jemalloc"},
    {"tc_malloc", "tcmalloc"},
    {"TCMallocInternalMalloc", "tcmalloc"},
    {"mi_malloc", "mimalloc"},
    {"mi_malloc_aligned", "mimalloc"},
    {"scalable_malloc", "oneTBB"},
    {"rpmalloc", "rpmalloc"},
    {"umem_alloc", "libumem"},
    {"sn_rust_alloc", "snmalloc"},
    {"malloc", NULL}, /* the last one */
};
#define N_FUNCTIONS (sizeof allocator_functions / sizeof *allocator_functions)

/* Is it a function of the preload library's, which comes before libraries? */
static bool allocator_served(const char *function)
{
    return strcmp(function, "mallocx") == 0 ||
           strcmp(function, "tc_malloc") == 0;
}

static bool allocator_by_name(const struct mt_module *module,
                              struct mt_allocator *found)
{
    const char *name = module->path ? mt_base_name(module->path) : "";

    for (size_t i = 0;
         i < sizeof allocator_libraries / sizeof *allocator_libraries; i++)
        if (strncmp(name, allocator_libraries[i].library,
                    strlen(allocator_libraries[i].library)) == 0) {
            found->module = module;
            found->name = allocator_libraries[i].name;
            snprintf(found->function, sizeof found->function, "%s",
                     allocator_libraries[i].function);
            return true;
        }
    return false;
}

/* The auxiliary vector has where the kernel mapped its program headers.  A
 * dynamic linker that was called by name runs another program. */
static bool allocator_is_program(const struct mt_source *source,
                                 const struct mt_module *module)
{
    if (module->path && strncmp(mt_base_name(module->path), "ld-", 3) == 0)
        return false;
    for (size_t at = 0; at + 16 <= source->auxv_bytes; at += 16) {
        uint64_t pair[2];
        memcpy(pair, source->auxv + at, sizeof pair);
        if (pair[0] == AT_PHDR)
            return pair[1] >= module->start && pair[1] < module->end;
    }
    return source->process.exe && module->path &&
           strcmp(source->process.exe, module->path) == 0;
}

/* Has malloc been served by the traced heap?  True if there is none for it. */
static bool heap_serves(const struct mt_model *model)
{
    for (size_t i = 0; i < model->n_heaps; i++)
        if (model->heaps[i].in_use && model->heaps[i].main)
            return model->heaps[i].span_bytes_peak > 0;
    return true;
}

/* The ways from a program's own malloc to the preload library's. */
static const char *const allocator_doors[] = {"dlsym",
                                              "dlvsym",
                                              "__libc_malloc",
                                              "__libc_calloc",
                                              "__libc_memalign",
                                              "__libc_realloc",
                                              NULL};

/* May a malloc of the program's own be served by the traced heap?  False when
 * out of memory. */
static bool allocator_asks_next(const struct mt_model *model,
                                const struct mt_module *program, bool *asks)
{
    unsigned called = 0;

    *asks = false;
    if (!heap_serves(model))
        return true;
    if (!mt_module_calls(model->source, program, allocator_doors, &called))
        return false;
    *asks = called != 0;
    return true;
}

static const char *const allocator_malloc[] = {"malloc", NULL};

/* A malloc of the program's own.  False when out of memory. */
static bool allocator_of_program(const struct mt_model *model,
                                 const struct mt_module *program, bool exported,
                                 struct mt_allocator *found)
{
    unsigned called = 0;
    bool asks;

    if (!exported &&
        !mt_module_calls(model->source, program, allocator_malloc, &called))
        return false;
    if (called)
        return true; /* it is a file's own: others have the usual one */
    if (!allocator_asks_next(model, program, &asks))
        return false;
    found->module = program;
    found->is_malloc = found->linked = true;
    found->hidden = !exported;
    found->alone = !asks;
    return true;
}

/* What a module has; `module` is NULL if it has none, or one whose functions
 * are all ours.  False when out of memory. */
static bool allocator_of(const struct mt_model *model,
                         const struct mt_module *module,
                         struct mt_allocator *found)
{
    struct mt_module_function functions[N_FUNCTIONS], *f = functions;
    bool program = allocator_is_program(model->source, module);
    const char *names[N_FUNCTIONS];

    memset(found, 0, sizeof *found);
    if (allocator_by_name(module, found))
        return true;
    for (size_t i = 0; i < N_FUNCTIONS; i++)
        names[i] = allocator_functions[i].function;
    /* Many modules use malloc; the program's counts. */
    if (!mt_module_functions(model->source, module, names,
                             N_FUNCTIONS - !program, functions))
        return false;
    for (size_t i = 0; i < N_FUNCTIONS - 1 && !found->module; i++, f++) {
        if (f->name[0] == '\0' ||
            (f->exported && !program && allocator_served(f->name)))
            continue;
        found->module = module;
        found->name = allocator_functions[i].name;
        found->linked = true;
        memcpy(found->function, f->name, sizeof found->function);
    }
    return !program || functions[N_FUNCTIONS - 1].name[0] == '\0' ||
           allocator_of_program(model, module,
                                functions[N_FUNCTIONS - 1].exported, found);
}

static bool allocators_find(struct mt_snapshot *snapshot)
{
    const struct mt_source *source = snapshot->model->source;
    struct mt_allocator found;
    size_t capacity = 0;

    for (size_t i = 0; i < source->n_modules; i++) {
        if (!allocator_of(snapshot->model, &source->modules[i], &found))
            return false;
        if (!found.module)
            continue;
        if (!mt_grow(&snapshot->allocators, &capacity,
                     snapshot->n_allocators + 1, sizeof found))
            return false;
        snapshot->allocators[snapshot->n_allocators++] = found;
    }
    return true;
}

const struct mt_allocator *mt_model_allocators(const struct mt_model *model,
                                               size_t *n)
{
    struct mt_snapshot *snapshot = model->snapshot;

    if (!snapshot->allocators_known && !allocators_find(snapshot)) {
        snapshot->no_memory = true;
        snapshot->n_allocators = 0;
    }
    snapshot->allocators_known = true;
    *n = snapshot->n_allocators;
    return snapshot->allocators;
}

enum mt_own_malloc mt_model_own_malloc(const struct mt_model *model)
{
    const struct mt_source *source = model->source;
    struct mt_allocator found = {.name = NULL};
    size_t i = 0;

    while (i < source->n_modules &&
           !allocator_is_program(source, &source->modules[i]))
        i++;
    if (i < source->n_modules &&
        !allocator_of(model, &source->modules[i], &found))
        model->snapshot->no_memory = true;
    if (!found.alone)
        return MT_OWN_MALLOC_NONE;
    return found.hidden ? MT_OWN_MALLOC_HIDDEN : MT_OWN_MALLOC_ALL;
}
