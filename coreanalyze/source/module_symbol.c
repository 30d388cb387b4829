/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_symbol.c - one data symbol of a module, out of the target's memory or
 * the module's file.
 */
#include "coreanalyze/source/modules.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

struct file {
    const uint8_t *data;
    size_t bytes;
};

/* `count` items at `offset` of the file, or NULL. */
static const void *file_at(const struct file *file, uint64_t offset,
                           uint64_t count, size_t item)
{
    if (offset > file->bytes || count > (file->bytes - offset) / item)
        return NULL;
    return file->data + offset;
}

static bool same_build_id(const struct file *file, const Elf64_Ehdr *header,
                          const struct mt_module *module)
{
    const uint8_t *headers =
        file_at(file, header->e_phoff, header->e_phnum, sizeof(Elf64_Phdr));
    uint8_t wanted[16 + sizeof module->build_id];
    Elf64_Nhdr note = {4, module->build_id_bytes, NT_GNU_BUILD_ID};

    if (module->build_id_bytes == 0)
        return true;
    memcpy(wanted, &note, sizeof note);
    memcpy(wanted + sizeof note, "GNU", 4);
    memcpy(wanted + 16, module->build_id, module->build_id_bytes);
    for (unsigned i = 0; headers && i < header->e_phnum; i++) {
        Elf64_Phdr program;
        memcpy(&program, headers + i * sizeof program, sizeof program);
        const void *notes =
            file_at(file, program.p_offset, program.p_filesz, 1);
        if (program.p_type == PT_NOTE && notes &&
            memmem(notes, program.p_filesz, wanted,
                   16 + module->build_id_bytes))
            return true;
    }
    return false;
}

static uint64_t module_symbol_in_section(const struct file *file,
                                         const uint8_t *sections, unsigned n,
                                         const Elf64_Shdr *table,
                                         const char *name)
{
    Elf64_Shdr strings;
    const uint8_t *symbols, *text;
    uint64_t count = table->sh_size / sizeof(Elf64_Sym);
    size_t length = strlen(name) + 1;

    if (table->sh_link >= n)
        return 0;
    memcpy(&strings, sections + table->sh_link * sizeof strings,
           sizeof strings);
    symbols = file_at(file, table->sh_offset, count, sizeof(Elf64_Sym));
    text = file_at(file, strings.sh_offset, strings.sh_size, 1);
    for (uint64_t i = 0; symbols && text && i < count; i++) {
        Elf64_Sym symbol;
        memcpy(&symbol, symbols + i * sizeof symbol, sizeof symbol);
        if (symbol.st_name < strings.sh_size &&
            strings.sh_size - symbol.st_name >= length &&
            memcmp(text + symbol.st_name, name, length) == 0 &&
            module_symbol_defines(&symbol))
            return symbol.st_value;
    }
    return 0;
}

static uint64_t in_mapped_file(const struct file *file,
                               const struct mt_module *module, const char *name)
{
    Elf64_Ehdr header;
    const uint8_t *sections;
    uint64_t value = 0;

    if (file->bytes < sizeof header)
        return 0;
    memcpy(&header, file->data, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 ||
        !same_build_id(file, &header, module))
        return 0;
    sections =
        file_at(file, header.e_shoff, header.e_shnum, sizeof(Elf64_Shdr));
    for (unsigned i = 0; sections && value == 0 && i < header.e_shnum; i++) {
        Elf64_Shdr table;
        memcpy(&table, sections + i * sizeof table, sizeof table);
        if (table.sh_type == SHT_DYNSYM || table.sh_type == SHT_SYMTAB)
            value = module_symbol_in_section(file, sections, header.e_shnum,
                                             &table, name);
    }
    return value;
}

static uint64_t in_file_at(const char *path, const struct mt_module *module,
                           const char *name)
{
    struct file file = {NULL, 0};
    struct stat status;
    uint64_t value = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return 0;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size > 0) {
        file.bytes = (size_t)status.st_size;
        void *map = mmap(NULL, file.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED) {
            file.data = map;
            value = in_mapped_file(&file, module, name);
            munmap(map, file.bytes);
        }
    }
    close(fd);
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
    return address ? address : in_file_at(module->path, module, name);
}

uint64_t mt_module_symbol(struct mt_source *source,
                          const struct mt_module *module, const char *name)
{
    uint64_t address = in_memory(source, module, name);

    if (address == 0 && module->path && module->path[0] == '/')
        address = in_file(source, module, name);
    return address;
}
