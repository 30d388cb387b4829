/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolve.c - joins the model's modules with the symbolizer, and remembers
 * what it has found: the outer frames of most stacks are the same.
 */
#include "coreanalyze/names/resolve.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/names/system_library.h"
#include "coreanalyze/symbols/symbolize.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    uint64_t pc;
    const struct mt_module *module;
    struct mt_frame *frames;
    size_t n;
    bool exact, brief, signal_frame;
};

#define MEMO_SLOTS 512u

/* The answer for a program counter that was asked for last, of each hash. */
struct resolve_memo {
    uint64_t pc;
    uint32_t modules;
    bool exact, brief;
    uint32_t entry; /* index + 1 */
};

struct mt_resolver {
    struct mt_model *model; /* or NULL */
    struct mt_source *source;
    struct mt_symbolizer *symbolizer;
    struct mt_resolver_options options;
    struct entry *entries;
    size_t n_entries, capacity;
    struct mt_table by_pc; /* of entries */
    struct resolve_memo memo[MEMO_SLOTS];
    /* Modules as they were asked about: those of a model go with it. */
    struct mt_module **modules;
    size_t n_modules, modules_capacity;
    struct mt_table by_start; /* of modules */
    struct mt_strings *paths;
    struct mt_frame fallback;
    bool shared;    /* the symbolizer is the caller's */
    bool no_memory; /* an answer may lack names */
    /* Bytes that the symbolizer held when it was last asked, at most, and that
     * it has dropped since the model is used. */
    size_t held, most_held;
    uint64_t dropped;
    bool ahead; /* resolve_ahead() was called for the model */
    const struct mt_module *asked; /* about last */
    char running[80];              /* its path, or "" */
};

static bool resolve_waiting(void *context, const char *step, uint64_t done,
                            uint64_t total)
{
    const struct mt_progress *progress =
        ((const struct mt_source *)context)->progress;

    return progress == NULL ||
           progress->report(progress->context, step, done, total);
}

struct mt_symbolizer *
mt_resolver_modules(const struct mt_resolver_options *options)
{
    struct mt_symbolizer_options symbols = {.debug_dirs = options->debug_dirs,
                                            .sysroot = options->sysroot};

    return mt_symbolizer_new(&symbols);
}

struct mt_resolver *
mt_resolver_of_source(struct mt_source *source,
                      const struct mt_resolver_options *options)
{
    struct mt_symbolizer_options symbols = {
        .debug_dirs = options->debug_dirs,
        .sysroot = options->sysroot ? options->sysroot : source->process.root,
        .waiting = resolve_waiting,
        .waiting_context = source};
    struct mt_resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL)
        return NULL;
    resolver->source = source;
    resolver->options = *options;
    /* Paths of a container are another system's. */
    resolver->shared =
        options->modules && (options->sysroot || source->process.root == NULL);
    if (resolver->shared)
        mt_symbolizer_next_target(options->modules);
    resolver->symbolizer =
        resolver->shared ? options->modules : mt_symbolizer_new(&symbols);
    resolver->paths = mt_strings_new();
    if (resolver->symbolizer == NULL || resolver->paths == NULL) {
        mt_resolver_free(resolver);
        return NULL;
    }
    return resolver;
}

struct mt_resolver *mt_resolver_new(struct mt_model *model,
                                    const struct mt_resolver_options *options)
{
    struct mt_resolver *resolver =
        mt_resolver_of_source(model->source, options);

    if (resolver)
        resolver->model = model;
    return resolver;
}

void mt_resolver_use(struct mt_resolver *resolver, struct mt_model *model)
{
    resolver->model = model;
    resolver->dropped = 0;
    resolver->ahead = false;
    if (resolver->n_entries > 0)
        memset(resolver->memo, 0, sizeof resolver->memo);
}

void mt_resolver_free(struct mt_resolver *resolver)
{
    if (resolver == NULL)
        return;
    for (size_t i = 0; i < resolver->n_entries; i++)
        free(resolver->entries[i].frames);
    free(resolver->entries);
    for (size_t i = 0; i < resolver->n_modules; i++)
        free(resolver->modules[i]);
    free(resolver->modules);
    mt_table_free(&resolver->by_pc);
    mt_table_free(&resolver->by_start);
    mt_strings_free(resolver->paths);
    if (!resolver->shared)
        mt_symbolizer_free(resolver->symbolizer);
    free(resolver);
}

void mt_resolver_lacks(struct mt_resolver *resolver)
{
    resolver->no_memory = true;
}

bool mt_resolver_is_whole(const struct mt_resolver *resolver)
{
    return !resolver->no_memory && mt_symbolizer_is_whole(resolver->symbolizer);
}

bool mt_resolver_finish(struct mt_resolver *resolver, struct mt_error *error)
{
    bool ok = mt_resolver_is_whole(resolver);

    mt_resolver_free(resolver);
    return ok || mt_fail(error, "out of memory for names");
}

static bool resolve_match(const void *items, size_t item, const void *key)
{
    const struct entry *one = (const struct entry *)items + item, *other = key;

    return one->pc == other->pc && one->module == other->module &&
           one->exact == other->exact && one->brief == other->brief;
}

static bool resolve_match_module(const void *items, size_t item,
                                 const void *key)
{
    const struct mt_module *one = ((struct mt_module *const *)items)[item];
    const struct mt_module *other = key;

    return one->start == other->start && one->end == other->end &&
           one->load_bias == other->load_bias &&
           one->fingerprint == other->fingerprint &&
           one->build_id_bytes == other->build_id_bytes &&
           memcmp(one->build_id, other->build_id, one->build_id_bytes) == 0 &&
           !one->path == !other->path &&
           (!one->path || strcmp(one->path, other->path) == 0);
}

/* The resolver's copy of a module, which outlives models; NULL for NULL, or
 * when out of memory. */
static const struct mt_module *resolve_keep(struct mt_resolver *resolver,
                                            const struct mt_module *module)
{
    struct mt_module *copy = NULL;
    size_t i;

    if (module == NULL)
        return NULL;
    i = mt_table_find(&resolver->by_start, module->start, resolve_match_module,
                      resolver->modules, module);
    if (i != MT_TABLE_NONE)
        return resolver->modules[i];
    i = resolver->n_modules;
    if (mt_grow(&resolver->modules, &resolver->modules_capacity, i + 1,
                sizeof *resolver->modules))
        copy = malloc(sizeof *copy);
    if (copy) {
        *copy = *module;
        copy->path = mt_strings_keep(resolver->paths, module->path);
    }
    if (!copy || (module->path && !copy->path) ||
        !mt_table_add(&resolver->by_start, module->start, i)) {
        free(copy);
        resolver->no_memory = true;
        return NULL;
    }
    resolver->modules[resolver->n_modules++] = copy;
    return copy;
}

static void resolve_describe(const struct mt_module *module, uint64_t pc,
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

/* Is this the program, and not one of its libraries? */
static bool resolve_is_program(const struct mt_source *source,
                               const struct mt_module *module)
{
    for (size_t i = 0; i + 16 <= source->auxv_bytes; i += 16) {
        uint64_t entry[2];
        memcpy(entry, source->auxv + i, sizeof entry);
        if (entry[0] == AT_ENTRY)
            return entry[1] >= module->start && entry[1] < module->end;
    }
    return false;
}

/* The kernel's path to the file that a live process runs: an upgrade may have
 * put another one at its path, or removed it. */
static const char *find_running(void *context)
{
    struct mt_resolver *resolver = context;
    const struct mt_source *source = resolver->source;
    const struct mt_module *module = resolver->asked;
    const struct mt_mapping *m = mt_source_mapping(source, module->start);
    int pid = (int)source->process.pid;

    resolver->running[0] = '\0';
    if (source->process.kind != MT_SOURCE_LIVE || pid == 0 || m == NULL)
        return resolver->running;
    snprintf(resolver->running, sizeof resolver->running,
             "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, m->start, m->end);
    if (access(resolver->running, R_OK) == 0)
        return resolver->running;
    resolver->running[0] = '\0';
    if (resolve_is_program(source, module))
        snprintf(resolver->running, sizeof resolver->running, "/proc/%d/exe",
                 pid);
    return resolver->running;
}

static struct mt_symbol_module symbol_module(struct mt_resolver *resolver,
                                             const struct mt_module *module)
{
    bool identified = module->build_id_bytes != 0;

    resolver->asked = module;
    return (struct mt_symbol_module){
        .path = module->path,
        .build_id = identified ? module->build_id : NULL,
        .build_id_bytes = module->build_id_bytes,
        .fingerprint = identified ? 0 : module->fingerprint,
        .running = find_running,
        .context = resolver};
}

/* A signal handler returns to code that makes the system call rt_sigreturn,
 * with its number, 15, in rax or eax. Debuggers know this code by these
 * bytes. */
static bool is_signal_frame(struct mt_resolver *resolver,
                            const struct mt_module *module, uint64_t pc)
{
    static const uint8_t rax[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
    static const uint8_t eax[] = {0xb8, 15, 0, 0, 0, 0x0f, 0x05};
    uint8_t code[sizeof rax] = {0};
    bool known = false;

    if (module) {
        struct mt_symbol_module m = symbol_module(resolver, module);
        known = mt_symbolize_code(resolver->symbolizer, &m,
                                  pc - module->load_bias, code, sizeof code);
    }
    if (!known)
        mt_source_read_part(resolver->source, pc, code, sizeof code);
    return memcmp(code, rax, sizeof rax) == 0 ||
           memcmp(code, eax, sizeof eax) == 0;
}

/* The function by the symbol tables; they may know none. */
static bool resolve_function(struct mt_resolver *resolver,
                             const struct mt_module *module,
                             const struct entry *entry, struct mt_frame *frame)
{
    struct mt_symbol_module m = symbol_module(resolver, module);

    frame->function = mt_symbolize_plain(
        resolver->symbolizer, &m, entry->pc - module->load_bias, !entry->exact);
    return frame->function != NULL;
}

static size_t resolve_look_up(struct mt_resolver *resolver,
                              const struct mt_module *module,
                              const struct entry *entry,
                              struct mt_frame frames[MT_MAX_INLINED])
{
    struct mt_symbol_frame found[MT_MAX_INLINED];
    size_t n = 0;

    resolve_describe(module, entry->pc, &frames[0]);
    if (entry->signal_frame) {
        frames[0].function = "<signal handler called>";
        return 1;
    }
    if (entry->brief && resolve_function(resolver, module, entry, &frames[0]))
        return 1;
    if (module) {
        struct mt_symbol_module m = symbol_module(resolver, module);
        n = mt_symbolize(resolver->symbolizer, &m,
                         entry->pc - module->load_bias, !entry->exact, found,
                         MT_MAX_INLINED, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        frames[i] = frames[0];
        frames[i].function = found[i].function;
        frames[i].linkage = found[i].linkage;
        frames[i].offset = found[i].offset;
        frames[i].file = found[i].file;
        frames[i].line = found[i].line;
        frames[i].inlined = found[i].inlined;
    }
    if (n == 0 && resolver->options.hook)
        resolver->options.hook(resolver->options.context, entry->pc,
                               &frames[0]);
    return n ? n : 1;
}

/* Finds out what is at a pc; NULL when out of memory. */
static const struct entry *resolve_add(struct mt_resolver *resolver,
                                       struct entry fresh)
{
    struct mt_frame frames[MT_MAX_INLINED];

    if (!mt_grow(&resolver->entries, &resolver->capacity,
                 resolver->n_entries + 1, sizeof *resolver->entries))
        return NULL;
    fresh.signal_frame =
        !fresh.exact && is_signal_frame(resolver, fresh.module, fresh.pc);
    fresh.n = resolve_look_up(resolver, fresh.module, &fresh, frames);
    fresh.frames = malloc(fresh.n * sizeof *fresh.frames);
    if (fresh.frames == NULL ||
        !mt_table_add(&resolver->by_pc, fresh.pc, resolver->n_entries)) {
        free(fresh.frames);
        return NULL;
    }
    memcpy(fresh.frames, frames, fresh.n * sizeof *frames);
    resolver->entries[resolver->n_entries] = fresh;
    return &resolver->entries[resolver->n_entries++];
}

bool mt_resolve_signal_frame(struct mt_resolver *resolver, uint64_t pc)
{
    const struct mt_module *module = mt_source_module(resolver->source, pc - 1);

    return is_signal_frame(resolver, module, pc);
}

static struct resolve_memo *resolve_memo_of(struct mt_resolver *resolver,
                                            const struct mt_pc *at)
{
    uint64_t hash = at->pc * UINT64_C(0x9e3779b97f4a7c15);

    return &resolver->memo[(hash >> 32) % MEMO_SLOTS];
}

static struct mt_resolved resolve_answer(const struct entry *entry)
{
    return (struct mt_resolved){entry->frames, entry->n, entry->signal_frame};
}

static const struct entry *resolve_find(struct mt_resolver *resolver,
                                        const struct entry *key)
{
    size_t i = mt_table_find(&resolver->by_pc, key->pc, resolve_match,
                             resolver->entries, key);

    return i != MT_TABLE_NONE ? &resolver->entries[i] : NULL;
}

/* Has the symbolizer dropped more than it ever held?  Then it reads again what
 * it had read before. */
static bool resolve_is_short(struct mt_resolver *resolver)
{
    size_t now = mt_symbolizer_memory(resolver->symbolizer);

    if (now < resolver->held)
        resolver->dropped += resolver->held - now;
    if (now > resolver->most_held)
        resolver->most_held = now;
    resolver->held = now;
    return resolver->dropped > resolver->most_held && resolver->model &&
           !resolver->ahead;
}

static void resolve_ahead(struct mt_resolver *resolver);

static struct mt_resolved resolve_pc(struct mt_resolver *resolver,
                                     const struct mt_pc *at, bool brief)
{
    struct resolve_memo *memo = resolve_memo_of(resolver, at);
    uint64_t pc = at->exact ? at->pc : at->pc - 1;
    const struct mt_module *module, *kept;
    const struct entry *entry;

    if (memo->entry && memo->pc == at->pc && memo->modules == at->modules &&
        memo->exact == at->exact && memo->brief == brief)
        return resolve_answer(&resolver->entries[memo->entry - 1]);
    module = resolver->model ? mt_model_module(resolver->model, pc, at->modules)
                             : mt_source_module(resolver->source, pc);
    kept = resolve_keep(resolver, module);
    const struct entry key = {.pc = at->pc,
                              .module = kept, /* NULL: out of memory, too */
                              .exact = at->exact,
                              .brief = brief && kept && kept->path &&
                                       mt_module_is_library(kept->path)};

    entry = resolve_find(resolver, &key);
    if (!entry && resolve_is_short(resolver)) {
        resolve_ahead(resolver);
        entry = resolve_find(resolver, &key);
    }
    if (!entry)
        entry = resolve_add(resolver, key);
    if (entry) {
        size_t index = (size_t)(entry - resolver->entries);
        if (index < UINT32_MAX)
            *memo = (struct resolve_memo){at->pc, at->modules, at->exact, brief,
                                          (uint32_t)index + 1};
        return resolve_answer(entry);
    }
    resolver->no_memory = true;
    resolve_describe(key.module, at->pc, &resolver->fallback);
    return (struct mt_resolved){&resolver->fallback, 1, false};
}

/* --- many at once --- */

struct resolve_pcs {
    struct resolve_return {
        uint64_t pc;
        uint32_t modules;
    } * all;
    size_t n, capacity;
    struct mt_table by_pc;
};

static bool resolve_match_return(const void *items, size_t item,
                                 const void *key)
{
    const struct resolve_return *one =
        (const struct resolve_return *)items + item;
    const struct resolve_return *other = key;

    return one->pc == other->pc && one->modules == other->modules;
}

static bool resolve_collect(struct resolve_pcs *pcs, uint64_t pc,
                            uint32_t modules)
{
    struct resolve_return key = {pc, modules};

    if (mt_table_find(&pcs->by_pc, pc, resolve_match_return, pcs->all, &key) !=
        MT_TABLE_NONE)
        return true;
    if (!mt_grow(&pcs->all, &pcs->capacity, pcs->n + 1, sizeof *pcs->all) ||
        !mt_table_add(&pcs->by_pc, pc, pcs->n))
        return false;
    pcs->all[pcs->n++] = key;
    return true;
}

static int resolve_by_pc(const void *a, const void *b)
{
    const struct resolve_return *x = a, *y = b;

    return x->pc < y->pc ? -1 : x->pc > y->pc;
}

/* Names the return addresses of all stacks in order of address, so that each
 * unit's debug information is read once. */
static void resolve_ahead(struct mt_resolver *resolver)
{
    struct mt_model *model = resolver->model;
    uint64_t unreadable = model->coverage.unreadable_bytes;
    struct resolve_pcs pcs = {0};
    uint64_t frames[MT_MAX_FRAMES];
    bool ok = true;

    resolver->ahead = true;
    for (uint32_t id = 0; ok && id < model->n_stacks; id++) {
        size_t n = mt_model_frames(model, id, frames);
        for (size_t i = 0; ok && i < n; i++)
            ok = resolve_collect(&pcs, frames[i], model->stacks[id].modules);
    }
    model->coverage.unreadable_bytes = unreadable;
    mt_table_free(&pcs.by_pc);
    if (pcs.n > 0)
        qsort(pcs.all, pcs.n, sizeof *pcs.all, resolve_by_pc);
    for (size_t i = 0; ok && i < pcs.n; i++)
        resolve_pc(resolver,
                   &(struct mt_pc){pcs.all[i].pc, pcs.all[i].modules, false},
                   false);
    free(pcs.all);
}

struct mt_resolved mt_resolve(struct mt_resolver *resolver,
                              const struct mt_pc *at)
{
    return resolve_pc(resolver, at, false);
}

struct mt_resolved mt_resolve_brief(struct mt_resolver *resolver,
                                    const struct mt_pc *at)
{
    return resolve_pc(resolver, at, true);
}

bool mt_resolver_bytes(struct mt_resolver *resolver,
                       const struct mt_module *module, uint64_t address,
                       void *buffer, size_t bytes)
{
    struct mt_symbol_module m = symbol_module(resolver, module);

    return mt_symbolize_loaded(resolver->symbolizer, &m, address, buffer,
                               bytes);
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
