/* SPDX-License-Identifier: BSD-2-Clause
 *
 * profile.c - makes the profile of a show's rows: goes through each stack from
 * the root, and keeps what is new.
 */
#include "coreanalyze/profile/profile.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/profile/paths.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WAITING 32u /* stacks whose nodes are found together */

/* A program counter as stacks have it, and what it was found to be. */
struct profile_pc {
    uint64_t pc;
    uint32_t modules;
    bool exact, signal_frame;
    uint32_t location;
};

struct profile_builder {
    struct mt_profile *profile;
    struct mt_resolver *resolver;
    const struct mt_profile_options *options;
    struct mt_paths paths;
    struct profile_pc *pcs;
    const struct mt_frame **sources; /* by location: the resolver's frames */
    size_t n_pcs, pcs_room, sources_room, modules_room, functions_room,
        frames_room, locations_room, samples_room;
    struct mt_table by_pc, by_source, by_module, by_function;
    /* Stacks whose nodes are found together, and their frames. */
    struct mt_path_walk walks[WAITING];
    struct mt_profile_sample waiting[WAITING];
    uint32_t *path;
    size_t n_waiting, n_path, path_room;
};

/* --- modules, functions, frames --- */

static bool profile_module_match(const void *items, size_t item,
                                 const void *key)
{
    const struct mt_module *one =
        ((const struct mt_module *const *)items)[item];
    const struct mt_module *other = key;

    return one == other ||
           (one->start == other->start && one->load_bias == other->load_bias &&
            one->build_id_bytes == other->build_id_bytes &&
            memcmp(one->build_id, other->build_id, one->build_id_bytes) == 0 &&
            one->path && other->path && strcmp(one->path, other->path) == 0);
}

/* Index of a module; two records of the same one have one index. */
static bool profile_module(struct profile_builder *b,
                           const struct mt_module *module, uint32_t *index)
{
    struct mt_profile *p = b->profile;
    size_t i;

    *index = MT_PROFILE_NONE;
    if (!module)
        return true;
    i = mt_table_find(&b->by_module, module->start, profile_module_match,
                      p->modules, module);
    if (i == MT_TABLE_NONE) {
        i = p->n_modules;
        if (!mt_grow(&p->modules, &b->modules_room, i + 1,
                     sizeof *p->modules) ||
            !mt_table_add(&b->by_module, module->start, i))
            return false;
        p->modules[p->n_modules++] = module;
    }
    *index = (uint32_t)i;
    return true;
}

static bool profile_function_match(const void *items, size_t item,
                                   const void *key)
{
    const struct mt_profile_function *one =
        (const struct mt_profile_function *)items + item;
    const struct mt_profile_function *other = key;

    /* Their texts are kept once, so that equal ones are at one address. */
    return one->name == other->name && one->file == other->file &&
           one->linkage == other->linkage && one->module == other->module;
}

static bool profile_add_function(struct profile_builder *b,
                                 const struct mt_profile_function *function,
                                 uint32_t *index)
{
    struct mt_profile *p = b->profile;
    uint64_t hash = (uint64_t)(uintptr_t)function->name * 3 ^
                    (uint64_t)(uintptr_t)function->file ^
                    (uint64_t)function->module << 48;
    size_t i = mt_table_find(&b->by_function, hash, profile_function_match,
                             p->functions, function);

    if (i == MT_TABLE_NONE) {
        i = p->n_functions;
        if (!mt_grow(&p->functions, &b->functions_room, i + 1,
                     sizeof *p->functions) ||
            !mt_table_add(&b->by_function, hash, i))
            return false;
        p->functions[p->n_functions++] = *function;
    }
    *index = (uint32_t)i;
    return true;
}

/* What a frame without a name is called. */
static const char *profile_address_name(struct mt_strings *names,
                                        const struct mt_frame *frame)
{
    char text[300];
    const char *module = frame->module ? mt_base_name(frame->module) : "";

    if (frame->module)
        snprintf(text, sizeof text, "%.256s + 0x%" PRIx64, module,
                 frame->module_offset);
    else
        snprintf(text, sizeof text, "0x%" PRIx64, frame->pc);
    return mt_strings_keep(names, text);
}

static bool profile_function(struct profile_builder *b,
                             const struct mt_frame *frame, uint32_t module,
                             uint32_t *index)
{
    struct mt_strings *names = b->profile->names;
    struct mt_profile_function function = {
        .name = frame->function ? mt_strings_keep(names, frame->function)
                                : profile_address_name(names, frame),
        .linkage = mt_strings_keep(names, frame->linkage),
        .file = mt_strings_keep(names, frame->file),
        .module = module,
        .kind = mt_frame_kind(frame),
        .known = frame->function != NULL,
    };

    return function.name && profile_add_function(b, &function, index);
}

static bool profile_add_frame(struct profile_builder *b,
                              const struct mt_frame *frame, uint32_t module,
                              uint32_t location)
{
    struct mt_profile *p = b->profile;
    struct mt_profile_frame fresh = {
        .pc = frame->pc,
        .module_offset = frame->module_offset,
        .offset = frame->offset,
        .line = frame->line,
        .location = location,
        .inlined = frame->inlined,
    };

    if (!profile_function(b, frame, module, &fresh.function) ||
        !mt_grow(&p->frames, &b->frames_room, p->n_frames + 1,
                 sizeof *p->frames))
        return false;
    p->frames[p->n_frames++] = fresh;
    return true;
}

static bool profile_source_match(const void *items, size_t item,
                                 const void *key)
{
    return ((const struct mt_frame *const *)items)[item] == key;
}

/* The location that the resolver's frames stand for. */
static bool profile_location(struct profile_builder *b,
                             const struct mt_resolved *found,
                             const struct mt_module *module, uint32_t *index)
{
    struct mt_profile *p = b->profile;
    uint64_t hash = (uintptr_t)found->frames;
    size_t i = mt_table_find(&b->by_source, hash, profile_source_match,
                             b->sources, found->frames);
    struct mt_profile_location fresh = {.pc = found->frames[0].pc,
                                        .first = (uint32_t)p->n_frames,
                                        .n = (uint32_t)found->n};

    if (i != MT_TABLE_NONE) {
        *index = (uint32_t)i;
        return true;
    }
    i = p->n_locations;
    if (!profile_module(b, module, &fresh.module) ||
        !mt_grow(&p->locations, &b->locations_room, i + 1,
                 sizeof *p->locations) ||
        !mt_grow(&b->sources, &b->sources_room, i + 1, sizeof *b->sources))
        return false;
    for (size_t j = 0; j < found->n; j++)
        if (!profile_add_frame(b, &found->frames[j], fresh.module, (uint32_t)i))
            return false;
    b->sources[i] = found->frames;
    p->locations[p->n_locations++] = fresh;
    *index = (uint32_t)i;
    return mt_table_add(&b->by_source, hash, i);
}

static bool profile_pc_match(const void *items, size_t item, const void *key)
{
    const struct profile_pc *one = (const struct profile_pc *)items + item;
    const struct profile_pc *other = key;

    return one->pc == other->pc && one->modules == other->modules &&
           one->exact == other->exact;
}

/* NULL when out of memory. */
static const struct profile_pc *profile_find_pc(struct profile_builder *b,
                                                uint64_t pc, uint32_t modules,
                                                bool exact)
{
    struct profile_pc key = {.pc = pc, .modules = modules, .exact = exact};
    uint64_t hash = pc ^ (uint64_t)modules << 48;
    size_t i = mt_table_find(&b->by_pc, hash, profile_pc_match, b->pcs, &key);
    struct mt_pc at = {pc, modules, exact};
    struct mt_resolved found;

    if (i != MT_TABLE_NONE)
        return &b->pcs[i];
    found = mt_resolve(b->resolver, &at);
    key.signal_frame = found.signal_frame;
    if (!profile_location(
            b, &found,
            mt_model_module(b->profile->model, exact ? pc : pc - 1, modules),
            &key.location) ||
        !mt_grow(&b->pcs, &b->pcs_room, b->n_pcs + 1, sizeof *b->pcs) ||
        !mt_table_add(&b->by_pc, hash, b->n_pcs))
        return NULL;
    b->pcs[b->n_pcs] = key;
    return &b->pcs[b->n_pcs++];
}

/* --- nodes and samples --- */

/* A location for blocks that have no stack. */
static bool profile_nowhere(struct profile_builder *b, uint32_t stack,
                            uint32_t *at)
{
    struct mt_profile *p = b->profile;
    struct mt_profile_function function = {
        .name = mt_strings_keep(p->names,
                                stack == MT_ID_OVERFLOW   ? "[stack table full]"
                                : stack == MT_ID_UNTRACED ? "[untraced]"
                                : stack == MT_ID_UNSAMPLED ? "[not sampled]"
                                                           : "[unknown]"),
        .module = MT_PROFILE_NONE,
        .kind = MT_FRAME_PROGRAM,
    };
    struct mt_profile_frame frame = {.location = (uint32_t)p->n_locations};
    struct mt_profile_location location = {
        .module = MT_PROFILE_NONE, .first = (uint32_t)p->n_frames, .n = 1};

    if (!function.name || !profile_add_function(b, &function, &frame.function))
        return false;
    for (size_t i = 0; i < p->n_frames; i++)
        if (p->frames[i].function == frame.function) {
            *at = p->frames[i].location;
            return true;
        }
    if (!mt_grow(&p->frames, &b->frames_room, p->n_frames + 1,
                 sizeof *p->frames) ||
        !mt_grow(&p->locations, &b->locations_room, p->n_locations + 1,
                 sizeof *p->locations) ||
        !mt_grow(&b->sources, &b->sources_room, p->n_locations + 1,
                 sizeof *b->sources))
        return false;
    b->sources[p->n_locations] = NULL;
    *at = (uint32_t)p->n_locations;
    p->locations[p->n_locations++] = location;
    p->frames[p->n_frames++] = frame;
    return true;
}

/* The locations of a stack, the innermost first; at least one. */
static bool profile_stack(struct profile_builder *b, uint32_t stack,
                          uint32_t depth, uint32_t locations[MT_MAX_FRAMES],
                          size_t *n_locations)
{
    struct mt_profile *p = b->profile;
    uint64_t pcs[MT_MAX_FRAMES];
    size_t n = mt_model_frames(p->model, stack, pcs);
    bool exact = false;

    n = n < depth ? n : depth;
    *n_locations = n ? n : 1;
    for (size_t i = 0; i < n; i++) {
        const struct profile_pc *found =
            profile_find_pc(b, pcs[i], p->model->stacks[stack].modules, exact);
        if (!found)
            return false;
        locations[i] = found->location;
        exact = found->signal_frame;
    }
    return n > 0 || profile_nowhere(b, stack, locations);
}

/* The frames of the locations wait until several stacks have theirs. */
static bool profile_wait(struct profile_builder *b,
                         const struct mt_profile_sample *sample,
                         const uint32_t *locations, size_t n_locations)
{
    struct mt_profile *p = b->profile;
    size_t at = b->n_path, n = 0;

    for (size_t i = 0; i < n_locations; i++)
        n += p->locations[locations[i]].n;
    if (!mt_extend(&b->path, &b->path_room, at + n, sizeof *b->path))
        return false;
    b->n_path += n;
    for (size_t i = n_locations; i-- > 0;) {
        const struct mt_profile_location *l = &p->locations[locations[i]];
        for (uint32_t j = l->n; j-- > 0;)
            b->path[at++] = l->first + j;
    }
    b->walks[b->n_waiting] = (struct mt_path_walk){.n = n};
    b->waiting[b->n_waiting++] = *sample;
    return true;
}

/* As mt_frame_title() finds it among the frames of a stack. */
static uint32_t profile_title(const struct mt_profile *p, uint32_t leaf)
{
    uint32_t wrapper = MT_PROFILE_NONE, other = MT_PROFILE_NONE;

    for (uint32_t node = leaf; node != 0; node = p->nodes[node].parent) {
        enum mt_frame_kind kind = mt_profile_function_of(p, node)->kind;
        if (kind == MT_FRAME_PROGRAM)
            return node;
        if (kind == MT_FRAME_WRAPPER)
            wrapper = node;
        if (kind != MT_FRAME_START && other == MT_PROFILE_NONE)
            other = node;
    }
    return wrapper != MT_PROFILE_NONE ? wrapper
           : other != MT_PROFILE_NONE ? other
                                      : leaf;
}

static bool profile_keep_sample(struct profile_builder *b,
                                struct mt_profile_sample *sample)
{
    struct mt_profile *p = b->profile;

    if (!mt_grow(&p->samples, &b->samples_room, p->n_samples + 1,
                 sizeof *p->samples))
        return false;
    sample->title = profile_title(p, sample->node);
    if (b->options->taken)
        sample->row = NULL;
    p->samples[p->n_samples++] = *sample;
    return true;
}

/* Finds the nodes of the stacks that wait, and keeps their figures. */
static bool profile_descend(struct profile_builder *b)
{
    const unsigned parts = b->options->parts;
    size_t at = 0;
    bool ok;

    for (size_t i = 0; i < b->n_waiting; i++) {
        b->walks[i].frames = b->path + at;
        at += b->walks[i].n;
    }
    ok = mt_paths_descend(&b->paths, b->profile, b->walks, b->n_waiting);
    for (size_t i = 0; ok && i < b->n_waiting; i++) {
        struct mt_profile_sample *sample = &b->waiting[i];
        sample->node = b->walks[i].node;
        ok = (!(parts & MT_PROFILE_ENDS) ||
              mt_paths_add(&b->paths, b->profile, sample->node, &sample->is)) &&
             (!(parts & MT_PROFILE_SAMPLES) || profile_keep_sample(b, sample));
    }
    b->n_path = b->n_waiting = 0;
    return ok;
}

static bool profile_add(struct profile_builder *b, uint32_t stack,
                        uint32_t depth, const struct mt_show_row *row,
                        const struct mt_measures *is)
{
    const struct mt_profile_options *o = b->options;
    struct mt_profile *p = b->profile;
    struct mt_profile_sample fresh = {.stack = stack, .row = row, .is = *is};
    uint32_t locations[MT_MAX_FRAMES];
    size_t n;

    if (!profile_stack(b, stack, depth, locations, &n))
        return false;
    for (unsigned m = 0; m < MT_N_MEASURES; m++)
        p->total.of[m] += is->of[m];
    if (o->visit && !o->visit(o->context, p, &fresh, locations, n))
        return false;
    return !(o->parts & MT_PROFILE_PATHS) ||
           (profile_wait(b, &fresh, locations, n) &&
            (b->n_waiting < WAITING || profile_descend(b)));
}

/* --- the whole --- */

bool mt_profile_is_partial(const struct mt_show *show)
{
    const struct mt_show_options *o = show->options;

    return o->heap || o->since.kind != MT_WHEN_NOT ||
           o->older.kind != MT_WHEN_NOT;
}

/* The lifetime counters of a stack, and its peak, go to the first of its
 * samples. */
static void profile_lifetime(const struct mt_stack *stack, bool *seen,
                             struct mt_measures *is)
{
    if (*seen)
        return;
    *seen = true;
    is->of[MT_ALLOC_BYTES] = stack->bytes;
    is->of[MT_ALLOCS] = stack->allocs;
    is->of[MT_PEAK_BYTES] = stack->peak_bytes;
    is->of[MT_PEAK_BLOCKS] = stack->peak_blocks;
}

static bool profile_row(struct profile_builder *b,
                        const struct mt_show_row *row, bool *seen)
{
    struct mt_measures is = {
        .of = {[MT_LIVE_BYTES] = row->bytes, [MT_LIVE_BLOCKS] = row->count}};

    profile_lifetime(&b->profile->model->stacks[row->stack], &seen[row->stack],
                     &is);
    return profile_add(b, row->stack, row->depth, row, &is);
}

static bool profile_rows(struct profile_builder *b, bool *seen)
{
    const struct mt_show *show = b->profile->show;
    struct mt_show_row row;
    bool ok = true;

    if (b->options->taken) {
        while (ok &&
               mt_show_take_row(b->options->taken, b->profile->model, &row))
            ok = profile_row(b, &row, seen);
        return ok;
    }
    for (size_t i = 0; ok && i < show->n_rows; i++)
        ok = profile_row(b, &show->rows[i], seen);
    return ok;
}

static bool profile_dead(struct profile_builder *b,
                         const struct mt_profile_options *options, bool *seen)
{
    struct mt_profile *p = b->profile;
    unsigned depth = p->show->options->depth;

    for (uint32_t id = MT_ID_FIRST; id < p->model->n_stacks; id++) {
        const struct mt_stack *stack = &p->model->stacks[id];
        struct mt_measures is = {{0}};
        if (seen[id] || stack->allocs == 0 || !stack->valid ||
            (options->filter &&
             !mt_filter_keeps(options->filter, p->model, b->resolver, id,
                              MT_MAX_FRAMES)))
            continue;
        profile_lifetime(stack, &seen[id], &is);
        if (!profile_add(b, id, depth ? depth : MT_MAX_FRAMES, NULL, &is))
            return false;
    }
    return true;
}

static bool profile_untraced(struct profile_builder *b)
{
    struct mt_profile *p = b->profile;
    struct mt_measures is = {{0}};

    for (uint32_t i = 0; i < p->model->n_heaps; i++)
        if (mt_show_wants(p->model, p->show, i)) {
            is.of[MT_LIVE_BYTES] += p->show->untraced[i].bytes;
            is.of[MT_LIVE_BLOCKS] += p->show->untraced[i].count;
        }
    is.of[MT_PEAK_BYTES] = p->model->stacks[MT_ID_UNTRACED].peak_bytes;
    is.of[MT_PEAK_BLOCKS] = p->model->stacks[MT_ID_UNTRACED].peak_blocks;
    return (is.of[MT_LIVE_BLOCKS] | is.of[MT_PEAK_BLOCKS]) == 0 ||
           profile_add(b, MT_ID_UNTRACED, MT_MAX_FRAMES, NULL, &is);
}

static void profile_builder_free(struct profile_builder *b)
{
    free(b->pcs);
    free(b->sources);
    free(b->path);
    mt_table_free(&b->by_pc);
    mt_table_free(&b->by_source);
    mt_table_free(&b->by_module);
    mt_table_free(&b->by_function);
    mt_paths_free(&b->paths);
}

bool mt_profile_build(struct mt_model *model, const struct mt_show *show,
                      struct mt_resolver *resolver,
                      const struct mt_profile_options *options,
                      struct mt_profile *profile, struct mt_error *error)
{
    struct profile_builder b = {
        .profile = profile, .resolver = resolver, .options = options};
    bool *seen = calloc(model->n_stacks + 1, sizeof *seen);
    bool ok;

    *profile = (struct mt_profile){.model = model, .show = show};
    profile->names = mt_strings_new();
    ok = seen && profile->names &&
         (!options->parts || mt_paths_begin(&b.paths, profile));
    ok = ok && profile_rows(&b, seen) &&
         (!options->lifetime || profile_dead(&b, options, seen)) &&
         (!(options->parts & MT_PROFILE_UNTRACED) || profile_untraced(&b)) &&
         profile_descend(&b) && mt_strings_are_whole(profile->names, NULL);
    profile_builder_free(&b);
    free(seen);
    return ok || mt_no_memory(error, "the report");
}

void mt_profile_free(struct mt_profile *profile)
{
    free(profile->modules);
    free(profile->functions);
    free(profile->frames);
    free(profile->locations);
    free(profile->nodes);
    free(profile->ends);
    free(profile->samples);
    mt_strings_free(profile->names);
    *profile = (struct mt_profile){0};
}

const struct mt_measures *mt_profile_self(const struct mt_profile *profile,
                                          uint32_t node)
{
    static const struct mt_measures nothing;
    uint32_t end = profile->nodes[node].end;

    return end ? &profile->ends[end - 1] : &nothing;
}

const struct mt_profile_function *
mt_profile_function_of(const struct mt_profile *profile, uint32_t node)
{
    return &profile->functions[profile->frames[profile->nodes[node].frame]
                                   .function];
}

const char *mt_profile_module_path(const struct mt_profile *profile,
                                   uint32_t module)
{
    const char *path =
        module == MT_PROFILE_NONE ? NULL : profile->modules[module]->path;

    return path ? path : "";
}
