/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_functions.c - functions that a module's file defines, by the end of
 * their names.  A prefix is what makes an allocator's functions a program's
 * own.
 */
#include "coreanalyze/source/modules.h"
#include "coreanalyze/base/elf_file.h"
#include "coreanalyze/base/hash.h"
#include "coreanalyze/source/module_files.h"

#include <elf.h>
#include <string.h>

/* `wanted` as in mt_module_functions. */
static bool is_function(const char *name, size_t length, const char *wanted)
{
    size_t n = strlen(wanted);

    if (wanted[0] == '_' && strcmp(name, wanted + 1) == 0)
        return true;
    return length >= n && memcmp(name + length - n, wanted, n) == 0 &&
           (length == n || wanted[0] == '_');
}

/* The name of a symbol that is a function and is defined, or NULL. */
static const char *function_name(const Elf64_Sym *symbol, const char *names,
                                 size_t bytes, size_t *length)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);

    if (symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0 ||
        (type != STT_FUNC && type != STT_GNU_IFUNC) || symbol->st_name >= bytes)
        return NULL;
    *length = strnlen(names + symbol->st_name, bytes - symbol->st_name);
    return *length < bytes - symbol->st_name ? names + symbol->st_name : NULL;
}

static void module_search_table(const struct mt_elf *elf,
                                const struct mt_elf_section *table,
                                const char *names, size_t bytes,
                                const char *wanted,
                                struct mt_module_function *found)
{
    size_t length;

    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table->bytes;
         at += sizeof(Elf64_Sym)) {
        const char *name;
        Elf64_Sym symbol;
        memcpy(&symbol, elf->data + table->offset + at, sizeof symbol);
        name = function_name(&symbol, names, bytes, &length);
        if (name == NULL || length >= sizeof found->name ||
            !is_function(name, length, wanted))
            continue;
        memcpy(found->name, name, length + 1);
        found->exported = table->type == SHT_DYNSYM &&
                          ELF64_ST_BIND(symbol.st_info) != STB_LOCAL;
        return;
    }
}

/* Does the name that has `part` at `at` end as it should? */
static bool strings_have(const char *names, size_t bytes, size_t at,
                         const char *wanted)
{
    const char *end = wanted + (wanted[0] == '_');
    size_t before = (size_t)(strstr(end, MT_FUNCTION_PART) - end);
    size_t n = strlen(end) + 1;

    return at >= before && n <= bytes - (at - before) &&
           memcmp(names + at - before, end, n) == 0;
}

/* Which of the names are in the strings: bit i.  Most tables have none of them,
 * and the strings show that in one pass. */
static uint32_t module_look(const char *names, size_t bytes,
                            const char *const wanted[], size_t n)
{
    const char *at = names;
    uint32_t there = 0;

    while ((at = memmem(at, bytes - (size_t)(at - names), MT_FUNCTION_PART,
                        strlen(MT_FUNCTION_PART)))) {
        for (size_t i = 0; i < n; i++)
            if (strings_have(names, bytes, (size_t)(at - names), wanted[i]))
                there |= UINT32_C(1) << i;
        at++;
    }
    return there;
}

static void module_search(const struct mt_elf *elf,
                          const struct mt_elf_section *table,
                          const char *const wanted[], size_t n,
                          struct mt_module_function found[])
{
    const struct mt_elf_section *strings;
    const char *names;
    uint32_t there;

    if (table->link >= elf->n_sections)
        return;
    strings = &elf->sections[table->link];
    names = (const char *)elf->data + strings->offset;
    there = module_look(names, strings->bytes, wanted, n);
    for (size_t i = 0; i < n; i++)
        if ((there >> i & 1) && found[i].name[0] == '\0')
            module_search_table(elf, table, names, strings->bytes, wanted[i],
                                &found[i]);
}

/* The first table of a kind, or NULL.  A file has one of each; more would be
 * there to take time. */
static const struct mt_elf_section *module_table(const struct mt_elf *elf,
                                                 uint32_t type)
{
    for (size_t i = 0; i < elf->n_sections; i++)
        if (elf->sections[i].type == type)
            return &elf->sections[i];
    return NULL;
}

static uint64_t hash_of_names(const char *const names[], size_t n)
{
    uint64_t hash = MT_HASH_START;

    for (size_t i = 0; i < n; i++)
        hash = mt_hash_bytes(hash, names[i], strlen(names[i]) + 1);
    return hash;
}

static bool has_any(const struct mt_module_function found[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (found[i].name[0] != '\0')
            return true;
    return false;
}

bool mt_module_functions(const struct mt_source *source,
                         const struct mt_module *module,
                         const char *const names[], size_t n,
                         struct mt_module_function found[])
{
    static const uint32_t types[] = {SHT_DYNSYM, SHT_SYMTAB};
    const struct mt_elf_section *table;
    struct mt_elf *elf;
    bool no_memory = false;
    uint64_t hash;

    memset(found, 0, n * sizeof *found);
    /* Without a build-id nothing shows that it is the one of a core. */
    if (module->build_id_bytes == 0 && source->process.kind != MT_SOURCE_LIVE)
        return true;
    elf = mt_module_file(source, module, &no_memory);
    if (elf == NULL)
        return !no_memory;
    hash = hash_of_names(names, n);
    for (size_t i = 0; i < sizeof types / sizeof *types &&
                       !mt_module_files_lacks(source->files, elf, hash);
         i++) {
        table = module_table(elf, types[i]);
        if (table)
            module_search(elf, table, names, n, found);
    }
    if (!has_any(found, n))
        mt_module_files_note_lack(source->files, elf, hash);
    mt_module_file_done(source, elf);
    return true;
}
