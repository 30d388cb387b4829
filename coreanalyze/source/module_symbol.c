/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_symbol.c - one data symbol of a module, out of the target's memory or
 * the module's file.
 */
#include "coreanalyze/source/modules.h"
#include "coreanalyze/base/elf_file.h"
#include "coreanalyze/source/module_files.h"

#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MAX_CHAIN 65536u
#define MAX_HEADERS 256u

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;

    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* The tables that DT_GNU_HASH lookup needs, as addresses in the target. */
struct dynamic {
    uint64_t symbols, strings, hash;
};

/* Each table is read at once: a read of a live process is a system call or
 * two. */
static bool module_symbol_find_segment(struct mt_source *source,
                                       const struct mt_module *module,
                                       Elf64_Phdr *found)
{
    Elf64_Ehdr header;
    Elf64_Phdr programs[MAX_HEADERS];
    size_t n;

    if (!mt_source_read(source, module->start, &header, sizeof header))
        return false;
    n = header.e_phnum < MAX_HEADERS ? header.e_phnum : MAX_HEADERS;
    n = mt_source_read_part(source, module->start + header.e_phoff, programs,
                            n * sizeof *programs) /
        sizeof *programs;
    for (size_t i = 0; i < n; i++)
        if (programs[i].p_type == PT_DYNAMIC) {
            *found = programs[i];
            return true;
        }
    return false;
}

static bool module_symbol_find_dynamic(struct mt_source *source,
                                       const struct mt_module *module,
                                       struct dynamic *dynamic)
{
    Elf64_Phdr program;
    Elf64_Dyn entries[MAX_HEADERS];
    size_t n;

    if (!module_symbol_find_segment(source, module, &program))
        return false;
    n = program.p_memsz / sizeof *entries;
    n = n == 0 || n > MAX_HEADERS ? MAX_HEADERS : n;
    n = mt_source_read_part(source, module->load_bias + program.p_vaddr,
                            entries, n * sizeof *entries) /
        sizeof *entries;
    for (size_t i = 0; i < n && entries[i].d_tag != DT_NULL; i++) {
        const Elf64_Dyn entry = entries[i];
        uint64_t value = entry.d_un.d_ptr;
        /* ld.so relocates these in place; the kernel's vdso stays as is. */
        if (value < module->load_bias)
            value += module->load_bias;
        if (entry.d_tag == DT_SYMTAB)
            dynamic->symbols = value;
        else if (entry.d_tag == DT_STRTAB)
            dynamic->strings = value;
        else if (entry.d_tag == DT_GNU_HASH)
            dynamic->hash = value;
    }
    return dynamic->symbols && dynamic->strings && dynamic->hash;
}

static bool module_symbol_defines(const Elf64_Sym *symbol)
{
    return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 &&
           ELF64_ST_TYPE(symbol->st_info) != STT_TLS;
}

/* 0 if it is not there; `known` says whether the table could be asked. */
static uint64_t in_memory(struct mt_source *source,
                          const struct mt_module *module, const char *name,
                          bool *known)
{
    struct dynamic dynamic = {0};
    uint32_t head[4], index = 0, hash = gnu_hash(name);
    uint64_t buckets, chain;

    if (!module_symbol_find_dynamic(source, module, &dynamic) ||
        !mt_source_read(source, dynamic.hash, head, sizeof head) ||
        head[0] == 0)
        return 0;
    buckets = dynamic.hash + sizeof head + (uint64_t)head[2] * 8;
    chain = buckets + (uint64_t)head[0] * 4;
    *known = mt_source_read(source, buckets + (uint64_t)(hash % head[0]) * 4,
                            &index, sizeof index);
    if (index < head[1])
        return 0;
    for (unsigned i = 0; i < MAX_CHAIN; i++, index++) {
        uint32_t link;
        Elf64_Sym symbol;
        char text[64];

        if (!mt_source_read(source, chain + (uint64_t)(index - head[1]) * 4,
                            &link, sizeof link))
            break;
        if ((link | 1) == (hash | 1)) {
            if (!mt_source_read(
                    source, dynamic.symbols + (uint64_t)index * sizeof symbol,
                    &symbol, sizeof symbol) ||
                !mt_source_read_string(source, dynamic.strings + symbol.st_name,
                                       text, sizeof text))
                break;
            if (strcmp(text, name) == 0 && module_symbol_defines(&symbol))
                return module->load_bias + symbol.st_value;
        }
        if (link & 1)
            return 0;
    }
    *known = false;
    return 0;
}

static bool same_build_id(const struct mt_elf *elf,
                          const struct mt_module *module)
{
    const uint8_t *id;
    size_t bytes;

    return module->build_id_bytes == 0 ||
           (mt_elf_build_id(elf, &id, &bytes) &&
            bytes == module->build_id_bytes &&
            memcmp(id, module->build_id, bytes) == 0);
}

static uint64_t module_symbol_in_section(const struct mt_elf *elf,
                                         const struct mt_elf_section *table,
                                         const char *name)
{
    const struct mt_elf_section *strings;
    size_t length = strlen(name) + 1;

    if (table->link >= elf->n_sections)
        return 0;
    strings = &elf->sections[table->link];
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table->bytes;
         at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        memcpy(&symbol, elf->data + table->offset + at, sizeof symbol);
        if (symbol.st_name < strings->bytes &&
            strings->bytes - symbol.st_name >= length &&
            memcmp(elf->data + strings->offset + symbol.st_name, name,
                   length) == 0 &&
            module_symbol_defines(&symbol))
            return symbol.st_value;
    }
    return 0;
}

static struct mt_elf *module_file_at(const struct mt_source *source,
                                     const char *path,
                                     const struct mt_module *module,
                                     bool *no_memory)
{
    struct mt_error why;
    struct mt_elf *elf = mt_module_files_open(source->files, path, &why);

    if (!elf)
        *no_memory |= why.no_memory;
    if (elf && !same_build_id(elf, module)) {
        mt_module_file_done(source, elf);
        elf = NULL;
    }
    return elf;
}

/* A path is that of the target's own root in a core, of ours in /proc/PID/maps
 * if we can reach it. */
struct mt_elf *mt_module_file(const struct mt_source *source,
                              const struct mt_module *module, bool *no_memory)
{
    char path[PATH_MAX];
    struct mt_elf *elf = NULL;
    bool lacks = false;

    if (!module->path || module->path[0] != '/')
        return NULL;
    if (source->process.root) {
        int length = snprintf(path, sizeof path, "%s%s", source->process.root,
                              module->path);
        if (length > 0 && (size_t)length < sizeof path)
            elf = module_file_at(source, path, module, &lacks);
    }
    if (!elf && !lacks)
        elf = module_file_at(source, module->path, module, &lacks);
    if (lacks && no_memory)
        *no_memory = true;
    return elf;
}

void mt_module_file_done(const struct mt_source *source, struct mt_elf *elf)
{
    mt_module_files_close(source->files, elf);
}

/* The dynamic symbols are those in memory. */
static uint64_t in_file(const struct mt_source *source,
                        const struct mt_module *module, const char *name,
                        bool dynamic, bool *no_memory)
{
    struct mt_elf *elf = mt_module_file(source, module, no_memory);
    uint64_t value = 0;

    for (size_t i = 0; elf && value == 0 && i < elf->n_sections; i++)
        if ((dynamic && elf->sections[i].type == SHT_DYNSYM) ||
            elf->sections[i].type == SHT_SYMTAB)
            value = module_symbol_in_section(elf, &elf->sections[i], name);
    mt_module_file_done(source, elf);
    return value ? module->load_bias + value : 0;
}

static uint64_t module_symbol_look_up(struct mt_source *source,
                                      const struct mt_module *module,
                                      const char *name, bool *no_memory)
{
    bool known = false;
    uint64_t address = in_memory(source, module, name, &known);

    if (address == 0)
        address = in_file(source, module, name, !known, no_memory);
    return address;
}

static bool has_dynamic_symbols(const struct mt_elf *elf)
{
    for (size_t i = 0; i < elf->n_sections; i++)
        if (elf->sections[i].type == SHT_DYNSYM)
            return true;
    return false;
}

/* Processes that are looked at in turn share files, and with them what these
 * define. */
uint64_t mt_module_symbol(struct mt_source *source,
                          const struct mt_module *module, const char *name,
                          bool *no_memory)
{
    struct mt_elf *elf = source->still && module->build_id_bytes > 0
                             ? mt_module_file(source, module, NULL)
                             : NULL;
    bool lacks = false;
    uint64_t value = 0;

    if (elf && mt_module_files_symbol(source->files, elf, name, &value)) {
        mt_module_file_done(source, elf);
        return value ? module->load_bias + value : 0;
    }
    value = module_symbol_look_up(source, module, name, &lacks);
    if (elf && !lacks && has_dynamic_symbols(elf))
        mt_module_files_note(source->files, elf, name,
                             value ? value - module->load_bias : 0);
    mt_module_file_done(source, elf);
    if (lacks && no_memory)
        *no_memory = true;
    return value;
}
