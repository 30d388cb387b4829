/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbolize_symtab.c - the symbol table of a file, and the symbol around an
 * address.  A table is sorted when it has been asked for often enough: before
 * that, all of it is looked through each time.
 */
#include "config.h"
#include "coreanalyze/symbols/symbolize_symtab.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/memory.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define NO_SECTION UINT32_MAX
/* Questions that cost about what sorting does. */
#define UNSORTED_QUESTIONS 48
#define SYMTAB_MEMOS 32

/* An answer of a table that is not sorted: many processes of one check have
 * the same questions. */
struct symtab_memo {
    uint64_t pc;
    bool known, found, plain_known;
    struct mt_symtab_entry entry, plain;
};

struct mt_symtab {
    struct mt_elf *elf;
    struct mt_symtab_entry *entries; /* once sorted, by address and name */
    size_t n;
    unsigned questions; /* up to UNSORTED_QUESTIONS; then it is sorted */
    struct symtab_memo memos[SYMTAB_MEMOS]; /* by pc */
};

static bool symtab_is_code(const struct mt_elf *elf, uint32_t section)
{
    const uint64_t code = SHF_ALLOC | SHF_EXECINSTR;

    return section < elf->n_sections &&
           (elf->sections[section].flags & code) == code;
}

/* A symbol that names code, as GDB takes them: labels too, but not the
 * assembler's own. */
static bool symtab_usable(const struct mt_elf *elf, const Elf64_Sym *symbol,
                          const char *name)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);

    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE ||
        type == STT_SECTION || type == STT_FILE || type == STT_TLS)
        return false;
    if (name[0] == 0 || strncmp(name, ".L", 2) == 0 ||
        (name[0] == '$' && ELF64_ST_BIND(symbol->st_info) == STB_LOCAL))
        return false;
    return symtab_is_code(elf, symbol->st_shndx);
}

/* If one address has several names, GDB takes the last in the order of strcmp,
 * and so do we. */
static int symtab_compare(const void *a, const void *b)
{
    const struct mt_symtab_entry *one = a, *other = b;

    if (one->address != other->address)
        return one->address < other->address ? -1 : 1;
    return strcmp(one->name, other->name);
}

static void symtab_fill(struct mt_symtab *table, const uint8_t *symbols,
                        size_t n, const char *names, size_t names_bytes)
{
    for (size_t i = 0; i < n; i++) {
        Elf64_Sym symbol;

        memcpy(&symbol, symbols + i * sizeof(symbol), sizeof(symbol));
        if (symbol.st_name >= names_bytes ||
            !symtab_usable(table->elf, &symbol, names + symbol.st_name))
            continue;
        table->entries[table->n++] = (struct mt_symtab_entry){
            .address = symbol.st_value,
            .bytes = symbol.st_size,
            .name = names + symbol.st_name,
            .section = symbol.st_shndx,
        };
    }
}

static const struct mt_elf_section *find_table(const struct mt_elf *elf,
                                               uint32_t type)
{
    for (size_t i = 0; i < elf->n_sections; i++)
        if (elf->sections[i].type == type && elf->sections[i].bytes != 0)
            return &elf->sections[i];
    return NULL;
}

struct mt_symtab *mt_symtab_read(struct mt_elf *elf, bool dynamic)
{
    const struct mt_elf_section *section =
        find_table(elf, dynamic ? SHT_DYNSYM : SHT_SYMTAB);
    const uint8_t *symbols, *names;
    size_t bytes, names_bytes;

    if (section == NULL || section->link >= elf->n_sections ||
        section->entry_bytes != sizeof(Elf64_Sym) ||
        !mt_elf_section_data(elf, section, &symbols, &bytes) ||
        !mt_elf_section_data(elf, &elf->sections[section->link], &names,
                             &names_bytes) ||
        names[names_bytes - 1] != 0)
        return NULL;
    size_t n = bytes / sizeof(Elf64_Sym);
    struct mt_symtab *table = calloc(1, sizeof(*table));
    if (table != NULL)
        table->entries = malloc((n + 1) * sizeof(*table->entries));
    if (table == NULL || table->entries == NULL) {
        elf->no_memory = true;
        free(table);
        return NULL;
    }
    table->elf = elf;
    symtab_fill(table, symbols, n, (const char *)names, names_bytes);
    /* Most symbols of a large program are data, or undefined. */
    mt_resize(&table->entries, table->n + 1, sizeof(*table->entries));
    return table;
}

void mt_symtab_free(struct mt_symtab *table)
{
    if (table == NULL)
        return;
    free(table->entries);
    free(table);
}

size_t mt_symtab_bytes(const struct mt_symtab *table)
{
    return table != NULL ? table->n * sizeof(*table->entries) : 0;
}

static uint32_t section_of(const struct mt_elf *elf, uint64_t pc)
{
    for (size_t i = 0; i < elf->n_sections; i++)
        if (symtab_is_code(elf, (uint32_t)i) &&
            pc >= elf->sections[i].address &&
            pc - elf->sections[i].address < elf->sections[i].memory_bytes)
            return (uint32_t)i;
    return NO_SECTION;
}

static bool symtab_covers(const struct mt_symtab_entry *entry, uint64_t pc)
{
    return pc - entry->address < entry->bytes;
}

/*
 * The rules, found by comparison with GDB 13 (tests/symbolize-gdb): go back
 * from PC.  A label without size gives way to a sized symbol before it that
 * covers PC; a sized symbol whose end PC is past gives way to the one before it
 * if that covers PC; otherwise no sized symbol is stretched, but a label is.
 */
static const struct mt_symtab_entry *
symtab_choose(const struct mt_symtab_entry *entries, size_t n, uint32_t section,
              uint64_t pc)
{
    const struct mt_symtab_entry *label = NULL;

    for (size_t i = n; i > 0; i--) {
        const struct mt_symtab_entry *entry = &entries[i - 1];

        if (entry->section != section)
            continue;
        if (entry->bytes == 0) {
            if (label == NULL)
                label = entry;
            continue;
        }
        if (symtab_covers(entry, pc))
            return entry;
        if (i > 1 && entries[i - 2].section == section &&
            symtab_covers(&entries[i - 2], pc))
            return &entries[i - 2];
        break;
    }
    return label;
}

/* Where the rules stop looking: at the last address with a sized symbol of the
 * section, and one before it. */
static uint64_t symtab_first_address(const struct mt_symtab *table,
                                     uint32_t section, uint64_t pc)
{
    const struct mt_symtab_entry *end = table->entries + table->n;
    uint64_t last = 0, before = 0;

    for (const struct mt_symtab_entry *e = table->entries; e < end; e++)
        if (e->bytes != 0 && e->section == section && e->address <= pc &&
            e->address > last)
            last = e->address;
    for (const struct mt_symtab_entry *e = table->entries; e < end; e++)
        if (e->address < last && e->address > before)
            before = e->address;
    return before;
}

/* Brings what the rules look at to the front, sorted; returns its number. */
static size_t symtab_gather(struct mt_symtab *table, uint32_t section,
                            uint64_t pc)
{
    uint64_t first = symtab_first_address(table, section, pc);
    size_t n = 0;

    for (size_t i = 0; i < table->n; i++) {
        struct mt_symtab_entry entry = table->entries[i];

        if (entry.address < first || entry.address > pc)
            continue;
        table->entries[i] = table->entries[n];
        table->entries[n++] = entry;
    }
    return n;
}

const struct mt_symtab_entry *mt_symtab_find(struct mt_symtab *table,
                                             uint64_t pc)
{
    uint32_t section = section_of(table->elf, pc);
    struct symtab_memo *memo = &table->memos[(pc ^ pc >> 8) % SYMTAB_MEMOS];
    const struct mt_symtab_entry *found;
    size_t n = table->n, front;

    if (table->questions == UNSORTED_QUESTIONS) {
        front = mt_count_up_to(table->entries, n, address, pc);
        return symtab_choose(table->entries, front, section, pc);
    }
    if (memo->known && memo->pc == pc)
        return memo->found ? &memo->entry : NULL;
    front = ++table->questions == UNSORTED_QUESTIONS
                ? n
                : symtab_gather(table, section, pc);
    if (front != 0)
        qsort(table->entries, front, sizeof(*table->entries), symtab_compare);
    front = front == n ? mt_count_up_to(table->entries, n, address, pc) : front;
    found = symtab_choose(table->entries, front, section, pc);
    *memo = (struct symtab_memo){.pc = pc, .known = true, .found = found};
    if (!found)
        return NULL;
    memo->entry = *found;
    return &memo->entry;
}

/* How plain a name is: what a C library puts before it counts most, then its
 * length. */
static size_t symtab_ornament(const char *name)
{
    static const char *const prefixes[] = {"__GI_", "_IO_new_", "_IO_", "_"};
    size_t all = strcspn(name, "@"), skipped = 0;

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes;)
        if (strncmp(name + skipped, prefixes[i], strlen(prefixes[i])) == 0) {
            skipped += strlen(prefixes[i]);
            i = 0;
        } else {
            i++;
        }
    return (all - (skipped < all ? skipped : all)) * 65536 + all;
}

static const struct mt_symtab_entry *
symtab_plainest(const struct mt_symtab *table,
                const struct mt_symtab_entry *entry)
{
    const struct mt_symtab_entry *best = entry;
    size_t least = symtab_ornament(entry->name);
    bool sorted = table->questions == UNSORTED_QUESTIONS;
    size_t i = sorted ? mt_count_below(table->entries, table->n, address,
                                       entry->address)
                      : 0;

    for (; i < table->n; i++) {
        const struct mt_symtab_entry *other = &table->entries[i];

        if (sorted && other->address != entry->address)
            break;
        if (other->address != entry->address ||
            other->section != entry->section)
            continue;
        size_t ornament = symtab_ornament(other->name);
        if (ornament < least) {
            least = ornament;
            best = other;
        }
    }
    return best;
}

const struct mt_symtab_entry *
mt_symtab_plain(struct mt_symtab *table, const struct mt_symtab_entry *entry)
{
    struct symtab_memo *memo = table->memos;
    const struct symtab_memo *end = memo + SYMTAB_MEMOS;

    while (memo < end && entry != &memo->entry)
        memo++;
    if (memo == end)
        return symtab_plainest(table, entry);
    if (!memo->plain_known)
        memo->plain = *symtab_plainest(table, entry);
    memo->plain_known = true;
    return &memo->plain;
}
