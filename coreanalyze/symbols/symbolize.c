/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbolize.c - names for addresses: opens the files of modules, asks DWARF
 * and then the symbol table, and keeps recent answers within a budget.
 */
#include "config.h"
#include "coreanalyze/symbols/symbolize.h"
#include "coreanalyze/base/hash.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/symbols/dwarf_module.h"
#include "coreanalyze/symbols/symbolize_demangle.h"
#include "coreanalyze/symbols/symbolize_files.h"
#include "coreanalyze/symbols/symbolize_symtab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BUDGET ((size_t)512 << 20)
#define MAX_FRAMES 64 /* in one pc */
#define CACHE_SLOTS 1024

/* The answer for one address. */
struct answer {
    struct answer *next;
    uint64_t address; /* that was looked up: pc, or pc - 1 */
    enum mt_symbol_quality quality;
    size_t n;
    struct mt_symbol_frame frames[];
};
struct module {
    const char *path;              /* kept, or NULL */
    const char *build_id;          /* in hexadecimal, kept */
    const char *debug_path, *note; /* kept, or NULL */
    enum mt_symbol_match match;
    enum mt_symbol_quality quality;
    uint64_t fingerprint; /* of one without build-id, or 0 */
    uint64_t target;      /* that it was last asked about for */
    uint64_t last_use;
    /* Dropped when the budget is used up: */
    bool loaded;
    struct mt_files files;
    struct mt_symtab *tables[3]; /* see load_tables() */
    enum mt_symbol_quality table_quality[3];
    struct mt_dwarf *dwarf; /* see dwarf_of() */
    bool dwarf_sought;
    struct answer **cache; /* CACHE_SLOTS of them */
    size_t cache_bytes;
    size_t id_bytes;
    uint8_t id[]; /* the build-id */
};
struct mt_symbolizer {
    struct mt_symbolizer_options options;
    struct mt_files_options files_options;
    char **debug_dirs; /* ended by NULL */
    char *sysroot;
    struct mt_strings *strings;
    struct module **modules;
    size_t n_modules, modules_room;
    struct mt_table by_record; /* the modules, by path and build-id */
    struct module **asked;     /* about, for this target */
    size_t n_asked, asked_room;
    uint64_t target; /* its number, from 1 */
    uint64_t clock;
    bool no_memory; /* an answer may lack something */
};

static bool copy_options(struct mt_symbolizer *symbolizer,
                         const struct mt_symbolizer_options *options)
{
    static const char *const usual[] = {MT_USUAL_DEBUG_DIR, NULL};
    const char *const *dirs = usual;

    if (options != NULL) {
        symbolizer->options = *options;
        if (options->debug_dirs != NULL)
            dirs = options->debug_dirs;
        if (options->sysroot != NULL &&
            (symbolizer->sysroot = strdup(options->sysroot)) == NULL)
            return false;
    }
    symbolizer->debug_dirs = mt_text_list_copy(dirs);
    if (symbolizer->options.memory_budget == 0)
        symbolizer->options.memory_budget = DEFAULT_BUDGET;
    symbolizer->files_options = (struct mt_files_options){
        .debug_dirs = (const char *const *)symbolizer->debug_dirs,
        .sysroot = symbolizer->sysroot,
        .no_debuginfod = symbolizer->options.no_debuginfod,
        .waiting = symbolizer->options.waiting,
        .waiting_context = symbolizer->options.waiting_context,
        .no_memory = &symbolizer->no_memory,
    };
    return symbolizer->debug_dirs != NULL;
}

struct mt_symbolizer *
mt_symbolizer_new(const struct mt_symbolizer_options *options)
{
    struct mt_symbolizer *symbolizer = calloc(1, sizeof(*symbolizer));

    if (symbolizer == NULL)
        return NULL;
    symbolizer->target = 1;
    symbolizer->strings = mt_strings_new();
    if (symbolizer->strings == NULL || !copy_options(symbolizer, options)) {
        mt_symbolizer_free(symbolizer);
        return NULL;
    }
    return symbolizer;
}

static bool module_is_whole(const struct module *module)
{
    return mt_files_are_whole(&module->files) &&
           (module->dwarf == NULL || mt_dwarf_is_whole(module->dwarf));
}

bool mt_symbolizer_is_whole(const struct mt_symbolizer *symbolizer)
{
    bool whole = !symbolizer->no_memory &&
                 mt_strings_are_whole(symbolizer->strings, NULL);

    for (size_t i = 0; i < symbolizer->n_modules; i++)
        whole = whole && module_is_whole(symbolizer->modules[i]);
    return whole;
}

static void symbolize_unload(struct mt_symbolizer *symbolizer,
                             struct module *module)
{
    symbolizer->no_memory |= !module_is_whole(module);
    for (size_t i = 0; module->cache != NULL && i < CACHE_SLOTS; i++)
        while (module->cache[i] != NULL) {
            struct answer *next = module->cache[i]->next;

            free(module->cache[i]);
            module->cache[i] = next;
        }
    free(module->cache);
    module->cache = NULL;
    module->cache_bytes = 0;
    mt_dwarf_free(module->dwarf);
    module->dwarf = NULL;
    module->dwarf_sought = false;
    for (size_t i = 0; i < 3; i++) {
        mt_symtab_free(module->tables[i]);
        module->tables[i] = NULL;
    }
    mt_files_close(&module->files);
    module->loaded = false;
}

void mt_symbolizer_free(struct mt_symbolizer *symbolizer)
{
    if (symbolizer == NULL)
        return;
    for (size_t i = 0; i < symbolizer->n_modules; i++) {
        symbolize_unload(symbolizer, symbolizer->modules[i]);
        free(symbolizer->modules[i]);
    }
    free(symbolizer->modules);
    free(symbolizer->asked);
    mt_table_free(&symbolizer->by_record);
    mt_text_list_free(symbolizer->debug_dirs);
    free(symbolizer->sysroot);
    mt_strings_free(symbolizer->strings);
    free(symbolizer);
}

static uint64_t recorded_hash(const struct mt_symbol_module *recorded)
{
    const char *path = recorded->path ? recorded->path : "";
    size_t bytes = recorded->build_id ? recorded->build_id_bytes : 0;
    uint64_t hash = mt_hash_bytes(MT_HASH_START, path, strlen(path));

    hash = mt_hash_bytes(hash, &recorded->fingerprint,
                         sizeof recorded->fingerprint);
    return mt_hash_bytes(hash, recorded->build_id, bytes);
}

static bool module_matches(const void *items, size_t item, const void *key)
{
    const struct module *const *modules = items, *module = modules[item];
    const struct mt_symbol_module *recorded = key;
    size_t bytes = recorded->build_id ? recorded->build_id_bytes : 0;

    return module->id_bytes == bytes &&
           module->fingerprint == recorded->fingerprint &&
           (bytes == 0 || memcmp(module->id, recorded->build_id, bytes) == 0) &&
           (module->path == NULL) == (recorded->path == NULL) &&
           (module->path == NULL || strcmp(module->path, recorded->path) == 0);
}

static struct module *module_new(struct mt_symbolizer *symbolizer,
                                 const struct mt_symbol_module *recorded)
{
    size_t bytes = recorded->build_id ? recorded->build_id_bytes : 0;
    struct module *module = calloc(1, sizeof(*module) + bytes);

    if (module == NULL)
        return NULL;
    module->path = mt_strings_keep(symbolizer->strings, recorded->path);
    module->build_id =
        mt_strings_hexadecimal(symbolizer->strings, recorded->build_id, bytes);
    module->fingerprint = recorded->fingerprint;
    module->id_bytes = bytes;
    if (bytes > 0)
        memcpy(module->id, recorded->build_id, bytes);
    return module;
}

/* The module by what the target recorded of it; a new one is empty. */
static struct module *find_module(struct mt_symbolizer *symbolizer,
                                  const struct mt_symbol_module *recorded)
{
    uint64_t hash = recorded_hash(recorded);
    size_t item = mt_table_find(&symbolizer->by_record, hash, module_matches,
                                symbolizer->modules, recorded);
    struct module *module;

    if (item != MT_TABLE_NONE)
        return symbolizer->modules[item];
    if (!mt_grow(&symbolizer->modules, &symbolizer->modules_room,
                 symbolizer->n_modules + 1, sizeof *symbolizer->modules))
        return NULL;
    module = module_new(symbolizer, recorded);
    if (module == NULL ||
        !mt_table_add(&symbolizer->by_record, hash, symbolizer->n_modules)) {
        free(module);
        return NULL;
    }
    symbolizer->modules[symbolizer->n_modules++] = module;
    return module;
}

static void symbolize_add_table(struct module *module, size_t index,
                                struct mt_elf *elf, bool dynamic)
{
    if (elf == NULL)
        return;
    module->tables[index] = mt_symtab_read(elf, dynamic);
    module->table_quality[index] =
        dynamic ? MT_SYMBOL_DYNSYM : MT_SYMBOL_SYMTAB;
    if (module->tables[index] != NULL &&
        module->quality < module->table_quality[index])
        module->quality = module->table_quality[index];
}

/* In GDB's order: the module's own symbols, the exported ones where it is
 * stripped, then those of its debug file. */
static void load_tables(struct module *module)
{
    symbolize_add_table(module, 0, module->files.module, false);
    if (module->tables[0] == NULL)
        symbolize_add_table(module, 1, module->files.module, true);
    symbolize_add_table(module, 2, module->files.debug, false);
}

/* Debug information is large, and a module may be asked for its code, or for
 * functions of its symbol tables, alone. */
static struct mt_dwarf *dwarf_of(struct mt_symbolizer *symbolizer,
                                 struct module *module)
{
    struct mt_files *files = &module->files;
    struct mt_error error = {.no_memory = false};
    struct mt_dwarf_options options = {
        .supplement = files->supplement,
        .path = module->path,
        .debug_path = files->debug_path,
        .sysroot = symbolizer->sysroot,
        .no_demangle = symbolizer->options.no_demangle,
        .strings = symbolizer->strings,
    };

    if (module->dwarf_sought || symbolizer->options.no_dwarf)
        return module->dwarf;
    module->dwarf_sought = true;
    for (int i = 0; i < 2 && module->dwarf == NULL; i++) {
        options.elf = i == 0 ? files->debug : files->module;
        if (options.elf != NULL)
            module->dwarf = mt_dwarf_new(&options, &error);
        symbolizer->no_memory |= error.no_memory;
    }
    return module->dwarf;
}

static bool symbolize_load(struct mt_symbolizer *symbolizer,
                           struct module *module,
                           const struct mt_symbol_module *recorded)
{
    module->cache = calloc(CACHE_SLOTS, sizeof(*module->cache));
    if (module->cache == NULL)
        return false;
    mt_files_find(recorded, &symbolizer->files_options, &module->files);
    module->loaded = true;
    module->match = module->files.match;
    module->debug_path =
        mt_strings_keep(symbolizer->strings, module->files.debug_path);
    if (module->files.note[0] != 0)
        module->note = mt_strings_keep(symbolizer->strings, module->files.note);
    load_tables(module);
    return true;
}

static size_t module_bytes(const struct module *module)
{
    size_t bytes = module->cache_bytes;

    if (!module->loaded)
        return 0;
    for (size_t i = 0; i < 3; i++)
        bytes += mt_symtab_bytes(module->tables[i]);
    if (module->dwarf != NULL)
        bytes += mt_dwarf_bytes(module->dwarf);
    return bytes + CACHE_SLOTS * sizeof(*module->cache);
}

size_t mt_symbolizer_memory(const struct mt_symbolizer *symbolizer)
{
    size_t bytes = 0;

    for (size_t i = 0; i < symbolizer->n_modules; i++)
        bytes += module_bytes(symbolizer->modules[i]);
    return bytes;
}

/* Drops other modules, oldest first; then what this one can read again. */
static void keep_budget(struct mt_symbolizer *symbolizer,
                        struct module *current)
{
    while (mt_symbolizer_memory(symbolizer) >
           symbolizer->options.memory_budget) {
        struct module *oldest = NULL;

        for (size_t i = 0; i < symbolizer->n_modules; i++) {
            struct module *module = symbolizer->modules[i];

            if (module->loaded && module != current &&
                (oldest == NULL || module->last_use < oldest->last_use))
                oldest = module;
        }
        if (oldest == NULL) {
            if (current->dwarf != NULL)
                mt_dwarf_trim(current->dwarf);
            break;
        }
        symbolize_unload(symbolizer, oldest);
    }
}

/* GDB asks the module's file first, and takes the debug file's symbol only
 * where that lies closer. */
static const struct mt_symtab_entry *
find_symbol(const struct module *module, uint64_t address, size_t *table)
{
    const struct mt_symtab_entry *best = NULL;

    for (size_t i = 0; i < 3; i++) {
        const struct mt_symtab_entry *entry =
            module->tables[i] != NULL
                ? mt_symtab_find(module->tables[i], address)
                : NULL;

        if (entry != NULL && (best == NULL || entry->address > best->address)) {
            best = entry;
            *table = i;
        }
    }
    return best;
}

/* A symbol's name as its table has it, without its version. */
static const char *linkage_name(struct mt_symbolizer *symbolizer,
                                const struct mt_symtab_entry *entry)
{
    size_t bytes = 1 + strcspn(entry->name + 1, "@");

    return mt_strings_add(symbolizer->strings, entry->name, bytes);
}

/* A symbol's name as it is shown. */
static const char *shown_name(struct mt_symbolizer *symbolizer,
                              const char *linkage)
{
    const char *shown = NULL;

    if (linkage != NULL && !symbolizer->options.no_demangle)
        shown = mt_demangle_keep(symbolizer->strings, linkage, true);
    return shown != NULL ? shown : linkage;
}

static size_t symbolize_look_up(struct mt_symbolizer *symbolizer,
                                struct module *module, uint64_t address,
                                struct mt_symbol_frame *frames,
                                enum mt_symbol_quality *quality)
{
    size_t table = 0;
    const struct mt_symtab_entry *entry = find_symbol(module, address, &table);
    const char *linkage =
        entry != NULL ? linkage_name(symbolizer, entry) : NULL;
    size_t n = 0;

    *quality = MT_SYMBOL_NONE;
    if (dwarf_of(symbolizer, module) != NULL) {
        n = mt_dwarf_find(module->dwarf, address, frames, MAX_FRAMES);
        const char *missing = mt_dwarf_missing_split(module->dwarf);
        char *note = NULL;

        if (missing != NULL && module->note == NULL &&
            asprintf(&note, "its split debug file %s is missing", missing) >= 0)
            module->note = mt_strings_take(symbolizer->strings, note);
    }
    if (n != 0)
        *quality = MT_SYMBOL_DWARF;
    if (entry != NULL && (n == 0 || frames[n - 1].function == NULL)) {
        if (n == 0) {
            *quality = module->table_quality[table];
            frames[n++] = (struct mt_symbol_frame){0};
        }
        frames[n - 1].function = shown_name(symbolizer, linkage);
        frames[n - 1].offset = address - entry->address;
    }
    if (n > 0 && !frames[n - 1].inlined)
        frames[n - 1].linkage = linkage;
    if (module->quality < *quality)
        module->quality = *quality;
    return n;
}

static struct answer *answer_for(struct mt_symbolizer *symbolizer,
                                 struct module *module, uint64_t address)
{
    struct mt_symbol_frame frames[MAX_FRAMES];
    enum mt_symbol_quality quality;
    struct answer **slot =
        &module->cache[(address ^ address >> 10) % CACHE_SLOTS];

    for (struct answer *answer = *slot; answer != NULL; answer = answer->next)
        if (answer->address == address)
            return answer;
    size_t n = symbolize_look_up(symbolizer, module, address, frames, &quality);
    size_t bytes = sizeof(struct answer) + n * sizeof(*frames);
    struct answer *answer = malloc(bytes);

    if (answer == NULL) {
        symbolizer->no_memory = true;
        return NULL;
    }
    answer->next = *slot;
    answer->address = address;
    answer->quality = quality;
    answer->n = n;
    memcpy(answer->frames, frames, n * sizeof(*frames));
    module->cache_bytes += bytes;
    *slot = answer;
    keep_budget(symbolizer, module);
    return answer;
}

/* Is what was read of a module for another target right for any? */
static bool module_is_same(const struct module *module)
{
    return (module->id_bytes != 0 || module->fingerprint != 0) &&
           (module->match == MT_MATCH_BUILD_ID ||
            module->match == MT_MATCH_DEBUG_ONLY) &&
           mt_files_unchanged(&module->files) &&
           (module->dwarf == NULL || mt_dwarf_unchanged(module->dwarf));
}

static bool meet_module(struct mt_symbolizer *symbolizer, struct module *module)
{
    if (module->target == symbolizer->target)
        return true;
    if (!mt_grow(&symbolizer->asked, &symbolizer->asked_room,
                 symbolizer->n_asked + 1, sizeof *symbolizer->asked))
        return false;
    if (module->loaded && !module_is_same(module)) {
        symbolize_unload(symbolizer, module);
        module->note = NULL;
        module->quality = MT_SYMBOL_NONE;
    }
    symbolizer->asked[symbolizer->n_asked++] = module;
    module->target = symbolizer->target;
    return true;
}

void mt_symbolizer_next_target(struct mt_symbolizer *symbolizer)
{
    /* What is missing may be there at another try. */
    bool whole = mt_symbolizer_is_whole(symbolizer);

    for (size_t i = 0; !whole && i < symbolizer->n_modules; i++)
        symbolize_unload(symbolizer, symbolizer->modules[i]);
    symbolizer->no_memory = false;
    mt_strings_forget_lack(symbolizer->strings);
    symbolizer->n_asked = 0;
    symbolizer->target++;
}

/* The module, its files read. */
static struct module *symbolize_loaded(struct mt_symbolizer *symbolizer,
                                       const struct mt_symbol_module *recorded)
{
    struct module *module = find_module(symbolizer, recorded);

    if (module == NULL || !meet_module(symbolizer, module) ||
        (!module->loaded && !symbolize_load(symbolizer, module, recorded))) {
        symbolizer->no_memory = true;
        return NULL;
    }
    module->last_use = ++symbolizer->clock;
    return module;
}

size_t mt_symbolize(struct mt_symbolizer *symbolizer,
                    const struct mt_symbol_module *recorded, uint64_t pc,
                    bool is_return_address, struct mt_symbol_frame *out,
                    size_t max, enum mt_symbol_quality *quality)
{
    struct module *module = symbolize_loaded(symbolizer, recorded);
    uint64_t address = is_return_address ? pc - 1 : pc;
    const struct answer *answer = NULL;

    if (quality != NULL)
        *quality = MT_SYMBOL_NONE;
    if (module != NULL)
        answer = answer_for(symbolizer, module, address);
    if (answer == NULL)
        return 0;
    if (quality != NULL)
        *quality = answer->quality;
    /* Without room for all, those nearest the real frame are kept. */
    size_t n = answer->n < max ? answer->n : max;
    for (size_t i = 0; i < n; i++) {
        out[i] = answer->frames[answer->n - n + i];
        if (!out[i].inlined)
            out[i].offset += pc - address;
    }
    return n;
}

const char *mt_symbolize_plain(struct mt_symbolizer *symbolizer,
                               const struct mt_symbol_module *recorded,
                               uint64_t pc, bool is_return_address)
{
    struct module *module = symbolize_loaded(symbolizer, recorded);
    const struct mt_symtab_entry *entry = NULL;
    size_t table;

    if (module != NULL)
        entry = find_symbol(module, is_return_address ? pc - 1 : pc, &table);
    if (entry == NULL)
        return NULL;
    entry = mt_symtab_plain(module->tables[table], entry);
    return shown_name(symbolizer, linkage_name(symbolizer, entry));
}

bool mt_symbolize_code(struct mt_symbolizer *symbolizer,
                       const struct mt_symbol_module *recorded,
                       uint64_t address, void *buffer, size_t bytes)
{
    struct module *module = symbolize_loaded(symbolizer, recorded);

    return module != NULL && module->files.module != NULL &&
           mt_elf_code(module->files.module, address, buffer, bytes);
}

bool mt_symbolize_loaded(struct mt_symbolizer *symbolizer,
                         const struct mt_symbol_module *recorded,
                         uint64_t address, void *buffer, size_t bytes)
{
    struct module *module = symbolize_loaded(symbolizer, recorded);

    return module != NULL && module->files.module != NULL &&
           mt_elf_loaded(module->files.module, address, buffer, bytes);
}

size_t mt_symbolizer_n_modules(const struct mt_symbolizer *symbolizer)
{
    return symbolizer->n_asked;
}

bool mt_symbolizer_report(const struct mt_symbolizer *symbolizer, size_t index,
                          struct mt_symbol_report *out)
{
    if (index >= symbolizer->n_asked)
        return false;
    const struct module *module = symbolizer->asked[index];
    *out = (struct mt_symbol_report){
        .path = module->path != NULL ? module->path : "",
        .build_id = module->build_id != NULL ? module->build_id : "",
        .match = module->match,
        .quality = module->quality,
        .debug_path = module->debug_path,
        .note = module->note,
    };
    return true;
}
