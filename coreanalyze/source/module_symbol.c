/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_symbol.c - one data symbol of a module, out of the target's memory or
 * the module's file.
 */
#include "coreanalyze/source/modules.h"
#include "coreanalyze/base/elf_file.h"

#include <elf.h>
#include <errno.h>
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

static bool module_symbol_find_dynamic(struct mt_source *source,
                                       const struct mt_module *module,
                                       struct dynamic *dynamic)
{
    Elf64_Ehdr header;
    Elf64_Phdr program = {0};
    Elf64_Dyn entry;
    uint64_t address = module->start;
    unsigned i;

    if (!mt_source_read(source, address, &header, sizeof header))
        return false;
    for (i = 0; i < header.e_phnum && i < MAX_HEADERS; i++) {
        if (!mt_source_read(source,
                            address + header.e_phoff + i * sizeof program,
                            &program, sizeof program))
            return false;
        if (program.p_type == PT_DYNAMIC)
            break;
    }
    if (program.p_type != PT_DYNAMIC)
        return false;
    address = module->load_bias + program.p_vaddr;
    for (i = 0; i < MAX_HEADERS; i++) {
        if (!mt_source_read(source, address + i * sizeof entry, &entry,
                            sizeof entry) ||
            entry.d_tag == DT_NULL)
            break;
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

static uint64_t in_memory(struct mt_source *source,
                          const struct mt_module *module, const char *name)
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
    mt_source_read(source, buckets + (uint64_t)(hash % head[0]) * 4, &index,
                   sizeof index);
    if (index < head[1])
        return 0;
    for (unsigned i = 0; i < MAX_CHAIN; i++, index++) {
        uint32_t link;
        Elf64_Sym symbol;
        char text[64];

        if (!mt_source_read(source, chain + (uint64_t)(index - head[1]) * 4,
                            &link, sizeof link))
            return 0;
        if ((link | 1) == (hash | 1) &&
            mt_source_read(source,
                           dynamic.symbols + (uint64_t)index * sizeof symbol,
                           &symbol, sizeof symbol) &&
            mt_source_read_string(source, dynamic.strings + symbol.st_name,
                                  text, sizeof text) &&
            strcmp(text, name) == 0 && module_symbol_defines(&symbol))
            return module->load_bias + symbol.st_value;
        if (link & 1)
            return 0;
    }
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

static uint64_t in_file_at(const char *path, const struct mt_module *module,
                           const char *name)
{
    struct mt_error ignored;
    struct mt_elf *elf = mt_elf_open(path, &ignored);
    uint64_t value = 0;
    bool same;

    if (elf == NULL)
        return 0;
    same = same_build_id(elf, module);
    for (size_t i = 0; value == 0 && same && i < elf->n_sections; i++)
        if (elf->sections[i].type == SHT_DYNSYM ||
            elf->sections[i].type == SHT_SYMTAB)
            value = module_symbol_in_section(elf, &elf->sections[i], name);
    mt_elf_close(elf);
    return value ? module->load_bias + value : 0;
}

/* A path is that of the target's own root in a core, of ours in /proc/PID/maps
 * if we can reach it. */
static uint64_t in_file(const struct mt_source *source,
                        const struct mt_module *module, const char *name)
{
    char path[PATH_MAX];
    uint64_t address = 0;

    if (source->process.root) {
        int length = snprintf(path, sizeof path, "%s%s", source->process.root,
                              module->path);
        if (length > 0 && (size_t)length < sizeof path)
            address = in_file_at(path, module, name);
    }
    return address || errno == ENOMEM ? address
                                      : in_file_at(module->path, module, name);
}

uint64_t mt_module_symbol(struct mt_source *source,
                          const struct mt_module *module, const char *name)
{
    uint64_t address = in_memory(source, module, name);

    errno = 0;
    if (address == 0 && module->path && module->path[0] == '/')
        address = in_file(source, module, name);
    return address;
}
