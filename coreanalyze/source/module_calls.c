/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_calls.c - which functions of other modules a module calls, of a few.
 *
 * A module's file says where it keeps the address of each.  That word leads to
 * its own stub until the first call; with "-z now" it is known from the start.
 */
#include "coreanalyze/source/modules.h"

#include <elf.h>
#include <string.h>

/* The place in `names` of what a symbol is called and is not defined; -1. */
static int calls_find(const struct mt_elf *elf,
                      const struct mt_elf_section *symbols, uint64_t number,
                      const char *const *names)
{
    const struct mt_elf_section *strings;
    Elf64_Sym symbol;

    if (symbols->link >= elf->n_sections ||
        number >= symbols->bytes / sizeof symbol)
        return -1;
    strings = &elf->sections[symbols->link];
    memcpy(&symbol, elf->data + symbols->offset + number * sizeof symbol,
           sizeof symbol);
    if (symbol.st_shndx != SHN_UNDEF || symbol.st_name >= strings->bytes)
        return -1;
    for (int i = 0; names[i]; i++) {
        size_t length = strlen(names[i]) + 1;
        if (length <= strings->bytes - symbol.st_name &&
            memcmp(elf->data + strings->offset + symbol.st_name, names[i],
                   length) == 0)
            return i;
    }
    return -1;
}

static bool calls_bound(struct mt_source *source,
                        const struct mt_module *module, const Elf64_Rela *at)
{
    uint64_t value = 0;

    if (ELF64_R_TYPE(at->r_info) != R_X86_64_JUMP_SLOT)
        return true;
    return mt_source_read(source, module->load_bias + at->r_offset, &value,
                          sizeof value) &&
           (value < module->start || value >= module->end);
}

bool mt_module_calls(struct mt_source *source, const struct mt_module *module,
                     const char *const *names, unsigned *found)
{
    bool no_memory = false;
    struct mt_elf *elf = mt_module_file(source, module, &no_memory);

    if (!elf)
        return !no_memory;
    for (size_t i = 0; i < elf->n_sections; i++) {
        const struct mt_elf_section *s = &elf->sections[i];
        if (s->type != SHT_RELA || s->link >= elf->n_sections ||
            elf->sections[s->link].type != SHT_DYNSYM)
            continue;
        for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= s->bytes;
             at += sizeof(Elf64_Rela)) {
            Elf64_Rela one;
            int name;
            memcpy(&one, elf->data + s->offset + at, sizeof one);
            if (ELF64_R_SYM(one.r_info) == 0)
                continue;
            name = calls_find(elf, &elf->sections[s->link],
                              ELF64_R_SYM(one.r_info), names);
            if (name >= 0 && calls_bound(source, module, &one))
                *found |= 1u << name;
        }
    }
    mt_module_file_done(source, elf);
    return true;
}
