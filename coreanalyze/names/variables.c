/* SPDX-License-Identifier: BSD-2-Clause
 *
 * variables.c - finds the variable of a module that an address lies in, by
 * the symbol tables of the module's file.
 */
#include "coreanalyze/names/variables.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/symbols/symbolize_demangle.h"
#include "coreanalyze/symbols/symbolize_files.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

struct variable {
    uint64_t address, bytes; /* as in the file */
    const char *name;
    char *demangled; /* or NULL: it is not mangled, or was not asked for */
};

struct file {
    uint64_t start; /* of the module: what it is looked up by */
    const char *path;
    struct mt_files files;
    struct variable *variables; /* by address */
    size_t n, capacity;
};

struct mt_variables {
    struct mt_files_options options;
    struct file *files;
    size_t n, capacity;
    bool no_memory; /* a name may be missing */
};

struct mt_variables *mt_variables_new(const char *const *debug_dirs,
                                      const char *sysroot)
{
    struct mt_variables *variables = calloc(1, sizeof *variables);

    if (variables)
        variables->options =
            (struct mt_files_options){.debug_dirs = debug_dirs,
                                      .sysroot = sysroot,
                                      .no_memory = &variables->no_memory};
    return variables;
}

bool mt_variables_are_whole(const struct mt_variables *variables)
{
    bool whole = !variables->no_memory;

    for (size_t i = 0; i < variables->n; i++)
        whole = whole && mt_files_are_whole(&variables->files[i].files);
    return whole;
}

void mt_variables_free(struct mt_variables *variables)
{
    if (variables == NULL)
        return;
    for (size_t i = 0; i < variables->n; i++) {
        for (size_t j = 0; j < variables->files[i].n; j++)
            free(variables->files[i].variables[j].demangled);
        free(variables->files[i].variables);
        mt_files_close(&variables->files[i].files);
    }
    free(variables->files);
    free(variables);
}

static int variables_by_address(const void *a, const void *b)
{
    const struct variable *x = a, *y = b;

    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    /* Among aliases the shortest name, without leading underscores, comes
     * last. */
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return strcmp(y->name, x->name);
}

static void variables_add_table(struct file *file, struct mt_elf *elf,
                                uint32_t type)
{
    const struct mt_elf_section *section = NULL;
    const uint8_t *symbols, *names;
    size_t bytes, names_bytes;

    for (size_t i = 0; i < elf->n_sections && section == NULL; i++)
        if (elf->sections[i].type == type && elf->sections[i].bytes != 0)
            section = &elf->sections[i];
    if (section == NULL || section->link >= elf->n_sections ||
        section->entry_bytes != sizeof(Elf64_Sym) ||
        !mt_elf_section_data(elf, section, &symbols, &bytes) ||
        !mt_elf_section_data(elf, &elf->sections[section->link], &names,
                             &names_bytes) ||
        names_bytes == 0 || names[names_bytes - 1] != 0)
        return;
    for (size_t i = 0; i < bytes / sizeof(Elf64_Sym); i++) {
        Elf64_Sym symbol;
        memcpy(&symbol, symbols + i * sizeof symbol, sizeof symbol);
        if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT ||
            symbol.st_shndx == SHN_UNDEF || symbol.st_size == 0 ||
            symbol.st_name >= names_bytes || names[symbol.st_name] == 0)
            continue;
        if (!mt_grow(&file->variables, &file->capacity, file->n + 1,
                     sizeof *file->variables)) {
            elf->no_memory = true;
            return;
        }
        file->variables[file->n++] =
            (struct variable){symbol.st_value, symbol.st_size,
                              (const char *)names + symbol.st_name, NULL};
    }
}

static void variables_read_file(struct file *file,
                                const struct mt_module *module,
                                const struct mt_files_options *options)
{
    const struct mt_symbol_module wanted = {
        .path = module->path,
        .build_id = module->build_id_bytes ? module->build_id : NULL,
        .build_id_bytes = module->build_id_bytes,
        .fingerprint = module->build_id_bytes ? 0 : module->fingerprint};

    mt_files_find(&wanted, options, &file->files);
    if (file->files.debug)
        variables_add_table(file, file->files.debug, SHT_SYMTAB);
    if (file->n == 0 && file->files.module)
        variables_add_table(file, file->files.module, SHT_SYMTAB);
    if (file->n == 0 && file->files.module)
        variables_add_table(file, file->files.module, SHT_DYNSYM);
    if (file->n > 0)
        qsort(file->variables, file->n, sizeof *file->variables,
              variables_by_address);
}

static struct file *file_of(struct mt_variables *variables,
                            const struct mt_module *module)
{
    struct file *file;

    for (size_t i = 0; i < variables->n; i++)
        if (variables->files[i].start == module->start &&
            variables->files[i].path == module->path)
            return &variables->files[i];
    if (!mt_grow(&variables->files, &variables->capacity, variables->n + 1,
                 sizeof *variables->files)) {
        variables->no_memory = true;
        return NULL;
    }
    file = &variables->files[variables->n++];
    memset(file, 0, sizeof *file);
    file->start = module->start;
    file->path = module->path;
    variables_read_file(file, module, &variables->options);
    return file;
}

static const char *variable_name(struct mt_variables *variables,
                                 struct variable *v)
{
    if (!v->demangled && v->name[0] == '_') {
        char *whole = mt_demangle(v->name, true, &variables->no_memory);
        v->demangled = whole ? mt_short_name(whole) : NULL;
        variables->no_memory |= whole && !v->demangled;
        free(whole);
    }
    return v->demangled ? v->demangled : v->name;
}

bool mt_variable_at(struct mt_variables *variables,
                    const struct mt_module *module, uint64_t address,
                    const char **name, uint64_t *offset)
{
    struct file *file = file_of(variables, module);
    uint64_t wanted = address - module->load_bias;
    size_t n =
        file ? mt_count_up_to(file->variables, file->n, address, wanted) : 0;

    /* Aliases may be shorter than what they stand for. */
    for (unsigned i = 0; i < 8 && n > 0; i++) {
        struct variable *v = &file->variables[--n];
        if (wanted - v->address >= v->bytes)
            continue;
        *name = variable_name(variables, v);
        *offset = wanted - v->address;
        return true;
    }
    return false;
}

bool mt_variables_code(struct mt_variables *variables,
                       const struct mt_module *module, uint64_t address,
                       void *buffer, size_t bytes)
{
    struct file *file = file_of(variables, module);
    struct mt_elf *elf = file ? file->files.module : NULL;

    return elf && mt_elf_code(elf, address - module->load_bias, buffer, bytes);
}
