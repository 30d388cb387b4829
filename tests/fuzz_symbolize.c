/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_symbolize: a libFuzzer target.  The input is an ELF file; it is opened,
 * its symbols, links and DWARF are read, and some pcs of what it says it has
 * are looked up.
 *
 *     make fuzz-symbolize          (clang; builds tests/fuzz_symbolize)
 *     tests/fuzz_symbolize CORPUS-DIR
 */
#include "coreanalyze/symbols/dwarf_module.h"
#include "coreanalyze/symbols/symbolize_demangle.h"
#include "coreanalyze/symbols/symbolize_symtab.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void look_up(struct mt_elf *elf, struct mt_symtab *symbols)
{
    struct mt_strings *strings = mt_strings_new();
    struct mt_dwarf_options options = {
        .elf = elf, .sysroot = "/nonexistent", .strings = strings};
    struct mt_symbol_frame frames[16];
    struct mt_error error;
    struct mt_dwarf *dwarf = mt_dwarf_new(&options, &error);

    for (size_t i = 0; dwarf != NULL && i < dwarf->index.n && i < 64; i++) {
        const struct mt_interval *span = &dwarf->index.at[i];

        mt_dwarf_find(dwarf, span->low, frames, 16);
        mt_dwarf_find(dwarf, span->low + (span->high - span->low) / 2, frames,
                      16);
        if (symbols != NULL)
            mt_symtab_find(symbols, span->low);
    }
    mt_dwarf_free(dwarf);
    mt_strings_free(strings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct mt_error error;
    struct mt_elf *elf = mt_elf_open_memory(data, bytes, &error);
    const uint8_t *id;
    const char *name;
    size_t id_bytes;
    uint32_t crc;

    if (elf == NULL)
        return 0;
    mt_elf_build_id(elf, &id, &id_bytes);
    mt_elf_debuglink(elf, &name, &crc);
    mt_elf_debugaltlink(elf, &name, &id, &id_bytes);
    mt_elf_crc(elf);
    struct mt_symtab *dynamic = mt_symtab_read(elf, true);
    struct mt_symtab *symbols = mt_symtab_read(elf, false);
    const struct mt_symtab_entry *entry =
        symbols != NULL ? mt_symtab_find(symbols, 0x1139) : NULL;
    bool no_memory = false;
    if (entry != NULL)
        free(mt_demangle(entry->name, true, &no_memory));
    look_up(elf, symbols);
    mt_symtab_free(dynamic);
    mt_symtab_free(symbols);
    mt_elf_close(elf);
    return 0;
}
