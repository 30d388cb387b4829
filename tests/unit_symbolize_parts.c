/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of the symbolizer that need no files: names, spans, strings, lists;
 * and the symbols of this program. */
#include "coreanalyze/symbols/dwarf_ranges.h"
#include "coreanalyze/symbols/dwarf_intervals.h"
#include "coreanalyze/symbols/dwarf_unit.h"
#include "coreanalyze/symbols/symbolize_demangle.h"
#include "coreanalyze/symbols/symbolize_symtab.h"
#include "coreanalyze/base/string_set.h"
#include "tests/unit.h"

#include <stdlib.h>

static bool is(const char *text, const char *expected)
{
    if (text != NULL && strcmp(text, expected) == 0)
        return true;
    printf("  \"%s\" is not \"%s\"\n", text != NULL ? text : "(null)",
           expected);
    return false;
}

static void demangling(void)
{
    static const struct {
        const char *mangled, *full, *bare;
    } names[] = {
        {"_ZN2ns3clsIiE6methodEi", "ns::cls<int>::method(int)",
         "ns::cls<int>::method"},
        {"_ZNK2ns3clsIiE6methodEv", "ns::cls<int>::method() const",
         "ns::cls<int>::method"},
        {"_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f()",
         "(anonymous namespace)::f"},
        {"_ZN3foo3barEv.cold", "foo::bar() [clone .cold]", "foo::bar"},
        {"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
         "core::fmt::Write::write_fmt", "core::fmt::Write::write_fmt"},
        {"_RNvCs1234_7mycrate3foo", "mycrate::foo", "mycrate::foo"},
    };

    bool no_memory = false;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *full = mt_demangle(names[i].mangled, true, &no_memory);
        char *bare = mt_demangle(names[i].mangled, false, &no_memory);

        CU_ASSERT(is(full, names[i].full));
        CU_ASSERT(is(bare, names[i].bare));
        free(full);
        free(bare);
    }
    CU_ASSERT_PTR_NULL(mt_demangle("main", true, &no_memory));
    CU_ASSERT_PTR_NULL(mt_demangle("", true, &no_memory));
    CU_ASSERT_PTR_NULL(mt_demangle("_Z", true, &no_memory));
    CU_ASSERT_PTR_NULL(mt_demangle("_ZN", false, &no_memory));
    CU_ASSERT_FALSE(no_memory);
}

/* A name of some hundred bytes that stands for more than memory holds: each
 * argument is a pair of the one before it. */
static void demangling_bombs(void)
{
    bool no_memory = false;
    char name[2048] = "_Z1fI1PI1AS0_E";
    size_t used = strlen(name);

    for (int i = 0; i < 60; i++)
        used +=
            (size_t)snprintf(name + used, sizeof(name) - used, "S_IS%c_S%c_E",
                             "0123456789ABCDEFGHIJKLMNOPQRS"
                             "TUVWXYZ"[i % 36],
                             "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i % 36]);
    snprintf(name + used, sizeof(name) - used, "Evv");
    free(mt_demangle(name, true, &no_memory)); /* returns, at all */
    char deep[32000];
    memset(deep, 'P', sizeof(deep));
    memcpy(deep, "_Z1f", 4);
    memcpy(deep + sizeof(deep) - 2, "i", 2);
    free(mt_demangle(deep, true, &no_memory));
}

static void spans(void)
{
    struct mt_intervals all = {NULL, 0, 0};

    mt_intervals_add(&all, 100, 200, 1);
    mt_intervals_add(&all, 50, 300, 2);
    mt_intervals_add(&all, 120, 130, 3);
    mt_intervals_add(&all, 100, 150, 4);
    mt_intervals_sort(&all);
    const struct mt_interval *span = mt_intervals_find(&all, 125, NULL);
    static const uint64_t order[] = {3, 4, 1, 2};
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(span);
        CU_ASSERT_EQUAL(span->value, order[i]);
        span = mt_intervals_find(&all, 125, span);
    }
    CU_ASSERT_PTR_NULL(span);
    CU_ASSERT_PTR_NULL(mt_intervals_find(&all, 49, NULL));
    CU_ASSERT_PTR_NULL(mt_intervals_find(&all, 300, NULL));
    CU_ASSERT_EQUAL(mt_intervals_find(&all, 250, NULL)->value, 2);
    mt_intervals_free(&all);
}

static void strings(void)
{
    struct mt_strings *all = mt_strings_new();
    char text[32];
    const char *first = mt_strings_keep(all, "number 7");

    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "number %d", i);
        CU_ASSERT_STRING_EQUAL(mt_strings_keep(all, text), text);
    }
    CU_ASSERT_PTR_EQUAL(mt_strings_take(all, strdup("number 7")), first);
    CU_ASSERT_PTR_NULL(mt_strings_keep(all, NULL));
    mt_strings_free(all);
}

/* A list of DWARF 5 with each kind of entry. */
static void range_lists(void)
{
    static const uint8_t lists[] = {
        4, 0x10, 0x20,                         /* offsets from the base */
        1, 0,                                  /* base by index */
        4, 1,    2,                            /* from that */
        3, 1,    5,                            /* by index, length */
        2, 0,    1,                            /* by indexes */
        5, 0,    0,    0x40, 0, 0, 0, 0, 0,    /* base */
        4, 3,    4,                            /* from that */
        7, 0,    0,    0x50, 0, 0, 0, 0, 0, 9, /* start, length */
        0,                                     /* end */
    };
    static const uint64_t addresses[] = {0x1000, 0x2000};
    static const struct mt_range expected[] = {
        {0x110, 0x120},   {0x1001, 0x1002},     {0x2000, 0x2005},
        {0x1000, 0x2000}, {0x400003, 0x400004}, {0x500000, 0x500009}};
    struct mt_address_space space = {
        .version = 5,
        .offset_bytes = 4,
        .low = 0x100,
        .addresses = {(const uint8_t *)addresses, sizeof(addresses)},
        .lists = {lists, sizeof(lists)},
    };
    struct mt_code code = {.has_ranges = true};
    struct mt_ranges ranges = {NULL, 0, 0};

    CU_ASSERT(mt_code_ranges(&code, &space, &ranges));
    CU_ASSERT_EQUAL_FATAL(ranges.n, 6);
    for (size_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(ranges.at[i].low, expected[i].low);
        CU_ASSERT_EQUAL(ranges.at[i].high, expected[i].high);
    }
    /* Every list that is cut short gives a start of that, and no more. */
    for (size_t bytes = 0; bytes < sizeof(lists); bytes++) {
        space.lists.bytes = bytes;
        ranges.n = 0;
        CU_ASSERT(mt_code_ranges(&code, &space, &ranges));
        CU_ASSERT(ranges.n <= 6);
        for (size_t i = 0; i < ranges.n; i++)
            CU_ASSERT_EQUAL(ranges.at[i].low, expected[i].low);
    }
    /* Indexes that overflow, or lie outside. */
    code = (struct mt_code){.has_low = true, .low_indexed = true, .low = 2};
    uint64_t low;
    CU_ASSERT_FALSE(mt_code_low(&code, &space, &low));
    code.low = UINT64_MAX / 8 + 2;
    CU_ASSERT_FALSE(mt_code_low(&code, &space, &low));
    code.low = 1;
    CU_ASSERT(mt_code_low(&code, &space, &low));
    CU_ASSERT_EQUAL(low, 0x2000);
    free(ranges.at);
}

/* DWARF 5 starts in file 1; rows that go back are put in order. */
static void line_program(void)
{
    static const uint8_t program[] = {
        46, 0, 0, 0,    5,    0, 8, 0, 6 + 3, 0, 0,
        0,                                /* lengths, version, sizes */
        1,  1, 1, 0xfb, 14,   4, 0, 1, 1, /* units, bases, operands of 1 to 3 */
        0,  9, 2, 0,    0x10, 0, 0, 0, 0,     0, 0, /* address 0x1000 */
        3,  9, 1,                                   /* line 10 */
        2,  4, 3, 1,    1,                          /* 0x1004, line 11 */
        2,  4, 0, 1,    1,                          /* end at 0x1008 */
        0,  0, 0, 0,    0,
    };
    struct mt_line_table table = {0};
    const struct mt_line_row *row;

    mt_lines_read(program, 50 - 5, 0, &table); /* cut short */
    CU_ASSERT_EQUAL(table.n_rows, 0);
    mt_lines_free(&table);
    mt_lines_read(program, sizeof(program), 0, &table);
    row = mt_lines_find(&table, 0x1003);
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_EQUAL(row->line, 10);
    CU_ASSERT_EQUAL(row->file, 1);
    row = mt_lines_find(&table, 0x1004);
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_EQUAL(row->line, 11);
    CU_ASSERT_PTR_NULL(mt_lines_find(&table, 0x1008));
    CU_ASSERT_PTR_NULL(mt_lines_find(&table, 0xfff));
    mt_lines_free(&table);
}

static void expect_file(const struct mt_line_sections *sections, uint32_t index,
                        const char *name, const char *directory)
{
    struct mt_line_files files = {0};
    const char *got, *in;

    mt_lines_files(sections, 0, &files);
    CU_ASSERT_EQUAL(mt_lines_file(sections, &files, index, &got, &in),
                    name != NULL);
    CU_ASSERT(name == NULL ? got == NULL : got && strcmp(got, name) == 0);
    CU_ASSERT(directory == NULL ? in == NULL
                                : in && strcmp(in, directory) == 0);
    mt_lines_files_free(&files);
}

/* DWARF 4: numbered from 1; 0 is the directory of the compilation. */
static void old_file_table(void)
{
    static const uint8_t program[] = "\x1f\0\0\0\x04\0\x19\0\0\0"
                                     "\1\1\1\1\1\1"          /* no opcodes */
                                     "d\0\0"                 /* one directory */
                                     "a\0\0\1\2"             /* a */
                                     "b\0\1\x80\x80\1\x83\0" /* d/b */
                                     "c\0\7";                /* cut off */
    struct mt_line_sections sections = {{{program, sizeof(program)}}};

    expect_file(&sections, 0, NULL, NULL);
    expect_file(&sections, 1, "a", NULL);
    expect_file(&sections, 2, "b", "d");
    expect_file(&sections, 4, NULL, NULL);
    for (size_t bytes = 0; bytes < sizeof(program) - 1; bytes++) {
        sections.at[MT_LINE_SECTION].bytes = bytes;
        expect_file(&sections, 2, NULL, NULL);
    }
}

/* DWARF 5: both tables say what they consist of, and are numbered from 0. */
static void new_file_table(void)
{
    static const uint8_t strings[] = "xyz";
    uint8_t program[] = "?\0\0\0\5\0\x08\0?\0\0\0"
                        "\1\1\1\1\1\1"         /* no opcodes */
                        "\1\1\x08\2/\0d\0"     /* strings in place */
                        "\4\1\x1f\2\x0b"       /* a text, a directory, */
                        "\5\x1e\x81\x40\x0a\1" /* a digest, a block; one */
                        "\0\0\0\0\1digest of 16 byt\0";
    struct mt_line_sections sections = {
        {{program, sizeof(program)}, {strings, sizeof(strings)}}};

    program[0] = sizeof(program) - 4;
    program[8] = sizeof(program) - 12;
    expect_file(&sections, 0, "xyz", "d");
    expect_file(&sections, 1, NULL, NULL);
    program[37] = 1; /* within the strings */
    expect_file(&sections, 0, "yz", "d");
    program[37] = 4; /* after them */
    expect_file(&sections, 0, NULL, "d");
    program[37] = 0;
    program[36] = 100; /* more files than there are */
    expect_file(&sections, 0, "xyz", "d");
    program[30] = 0x7f; /* a form that is not known */
    expect_file(&sections, 0, NULL, NULL);
    program[26] = 0; /* entries of nothing */
    expect_file(&sections, 0, NULL, NULL);
}

/* A table answers its first questions before it is sorted, and by the same
 * rules. */
static void unsorted_symbols(void)
{
    struct mt_error error;
    struct mt_elf *elf = mt_elf_open("/proc/self/exe", &error);
    struct mt_symtab *sorted, *fresh = NULL;
    uint64_t start = (uint64_t)(uintptr_t)&unsorted_symbols & 0xfff;
    size_t named = 0, differ = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(elf);
    const struct mt_elf_section *text = mt_elf_find(elf, ".text");
    sorted = mt_symtab_read(elf, false);
    CU_ASSERT_FATAL(sorted && text && text->bytes > 0);
    for (size_t i = 0; i < 100; i++)
        mt_symtab_find(sorted, text->address + i);
    for (size_t i = 0; i < 2000; i++) {
        uint64_t pc =
            text->address - 64 + (start + i * 977) % (text->bytes + 128);
        const struct mt_symtab_entry *one = mt_symtab_find(sorted, pc), *other;

        if (i % 20 == 0) {
            mt_symtab_free(fresh);
            fresh = mt_symtab_read(elf, false);
            CU_ASSERT_PTR_NOT_NULL_FATAL(fresh);
        }
        other = mt_symtab_find(fresh, pc);
        named += one != NULL;
        differ += !one != !other || (one && strcmp(one->name, other->name));
    }
    CU_ASSERT(named > 1000);
    CU_ASSERT_EQUAL(differ, 0);
    mt_symtab_free(fresh);
    mt_symtab_free(sorted);
    mt_elf_close(elf);
}

/* A unit by hand.  Codes are out of order, and attributes that nobody asks for
 * are of fixed and of varying length. */
static const uint8_t abbreviations[] = {
    0xff, /* the table starts after this */
    /* 9: a unit, with a name, and producer of two bytes and a block */
    9, 0x11, 1, 0x03, 0x08, 0x25, 0x05, 0x02, 0x0a, 0, 0,
    /* 2: a function of 8 bytes of address, and a length */
    2, 0x2e, 1, 0x3f, 0x19, 0x03, 0x08, 0x11, 0x01, 0x12, 0x0b, 0x3a, 0x21,
    0xe4, 0x00, 0, 0,
    /* 1: a structure, named by the section of strings */
    1, 0x13, 1, 0x03, 0x0e, 0x0b, 0x1e, 0, 0,
    /* 3: a call site with children, and no sibling; 4: with one */
    3, 0xd0, 0x82, 0x01, 1, 0x11, 0x01, 0, 0, 4, 0xd0, 0x82, 0x01, 1, 0x01,
    0x11, 0x02, 0x09, 0, 0,
    /* 5: a block; 7: an inlined call, its line in the abbreviation */
    5, 0x0b, 1, 0, 0, 7, 0x1d, 0, 0x31, 0x13, 0x11, 0x01, 0x12, 0x0f, 0x58,
    0x0b, 0x59, 0x21, 42, 0, 0,
    /* 6: a form that nobody knows */
    6, 0x34, 0, 0x02, 0x7e, 0, 0, 0};

static const uint8_t unit_bytes[] = {
    0xff, /* the unit starts here, and has no header */
    9, 'u', 0, 1, 2, 3, 0xa, 0xb, 0xc,
    /* 10: a structure; in it, at 31, a function at 0x1000, of 0x80 bytes */
    1, 2, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* */
    2, 'f', 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x80,
    /* 43: calls, skipped with what is in them */
    3, 0, 0x10, 0, 0, 0, 0, 0, 0, 3, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 63: its sibling is at 80 */
    4, 80, 2, 0xa, 0xb, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    /* 80: a block, and in it at 81 an inlined call at 0x1010 of 16 bytes */
    5, 7, 31, 0, 0, 0, 0x10, 0x10, 0, 0, 0, 0, 0, 0, 16, 3,
    /* 96: the ends of the block, of the function, of the structure */
    0, 0, 0,
    /* 99: a function in no structure */
    2, 'g', 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0x10, 0, 0};

static void entry_tables(struct mt_unit_tables *tables, size_t bytes,
                         struct mt_abbrevs *abbrevs)
{
    /* A copy of its own: reading past its end shows under a sanitizer. */
    uint8_t *data = malloc(bytes);
    struct mt_entries entries = {
        .info = {data, bytes}, .end = bytes, .abbrevs = abbrevs};
    struct mt_address_space space = {.version = 5, .offset_bytes = 4};

    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    memcpy(data, unit_bytes, bytes);
    CU_ASSERT(mt_unit_read(&entries, 1, &space, tables));
    free(data);
}

static void unit_by_hand(void)
{
    struct mt_abbrevs abbrevs = {.offset = 1, .version = 5, .offset_bytes = 4};
    struct mt_bytes section = {abbreviations, sizeof abbreviations};
    struct mt_unit_tables tables = {0};
    const struct mt_scope *scopes[4];
    uint64_t low = 0;

    CU_ASSERT_FATAL(mt_abbrevs_read(section, &abbrevs));
    CU_ASSERT_EQUAL(abbrevs.n, 8);
    CU_ASSERT_PTR_NULL(mt_abbrevs_find(&abbrevs, 8));
    CU_ASSERT_PTR_NULL(mt_abbrevs_find(&abbrevs, 0));
    entry_tables(&tables, sizeof unit_bytes, &abbrevs);
    CU_ASSERT_EQUAL(tables.n_scopes, 3);
    CU_ASSERT_EQUAL(tables.n_containers, 1);
    CU_ASSERT_EQUAL_FATAL(mt_unit_find(&tables, 0x1018, scopes, 4, &low), 2);
    CU_ASSERT_EQUAL(low, 0x1000);
    CU_ASSERT(scopes[0]->inlined && scopes[0]->die == 81);
    CU_ASSERT_EQUAL(scopes[0]->call_file, 3);
    CU_ASSERT_EQUAL(scopes[0]->call_line, 42);
    CU_ASSERT_EQUAL(scopes[1]->die, 31);
    CU_ASSERT_EQUAL(mt_unit_find(&tables, 0x1020, scopes, 4, &low), 1);
    CU_ASSERT_EQUAL_FATAL(mt_unit_find(&tables, 0x2000, scopes, 4, &low), 1);
    CU_ASSERT_EQUAL(scopes[0]->die, 99);
    const struct mt_container *in = mt_unit_container(&tables, 31);
    CU_ASSERT_FATAL(in != NULL && in->die == 10 && in->end == 99);
    CU_ASSERT_PTR_NULL(mt_unit_container(&tables, 99));
    mt_unit_tables_free(&tables);
    /* A unit that is cut keeps what it has. */
    for (size_t bytes = 2; bytes < sizeof unit_bytes; bytes++) {
        entry_tables(&tables, bytes, &abbrevs);
        size_t whole = (bytes >= 43) + (bytes >= 96) + (bytes >= 111);
        CU_ASSERT_EQUAL(tables.n_scopes, whole);
        mt_unit_tables_free(&tables);
    }
    mt_abbrevs_free(&abbrevs);
}

/* Attributes of DIEs, their names among them. */
static void entries_by_hand(void)
{
    struct mt_abbrevs abbrevs = {.offset = 1, .version = 5, .offset_bytes = 4};
    struct mt_bytes section = {abbreviations, sizeof abbreviations};
    struct mt_entries entries = {.info = {unit_bytes, sizeof unit_bytes},
                                 .end = sizeof unit_bytes,
                                 .abbrevs = &abbrevs};
    struct mt_entry entry;
    uint64_t offset = 0;
    bool in_supplement = true;

    CU_ASSERT_FATAL(mt_abbrevs_read(section, &abbrevs));
    CU_ASSERT_FATAL(mt_entry_read(&entries, 31, &entry));
    CU_ASSERT_EQUAL(entry.kind, MT_DIE_FUNCTION);
    CU_ASSERT(entry.has_children && entry.next == 43);
    CU_ASSERT(
        is(mt_entry_text(NULL, NULL, &entries, &entry, MT_ENTRY_NAME, 0), "f"));
    CU_ASSERT_PTR_NULL(
        mt_entry_text(NULL, NULL, &entries, &entry, MT_ENTRY_LINKAGE_NAME, 0));
    CU_ASSERT_FALSE(mt_entry_origin(&entries, &entry, &offset, &in_supplement));
    struct mt_code code = mt_entry_code(&entry);
    CU_ASSERT(code.has_low && code.low == 0x1000);
    CU_ASSERT(code.has_high && code.high_is_length && code.high == 0x80);
    CU_ASSERT_FATAL(mt_entry_read(&entries, 63, &entry));
    CU_ASSERT_EQUAL(mt_entry_sibling(&entries, &entry), 80);
    CU_ASSERT_FATAL(mt_entry_read(&entries, 81, &entry));
    CU_ASSERT(mt_entry_origin(&entries, &entry, &offset, &in_supplement));
    CU_ASSERT(offset == 31 && !in_supplement);
    CU_ASSERT_FATAL(mt_entry_read(&entries, 96, &entry));
    CU_ASSERT(entry.ends);
    CU_ASSERT_FALSE(mt_entry_read(&entries, sizeof unit_bytes, &entry));
    mt_abbrevs_free(&abbrevs);
}

/* More levels than are kept, without siblings: what is deeper is left out. */
static void deep_unit(void)
{
    static const uint8_t table[] = {1,    0x11, 1,    0, 0,    2, 0x0b,
                                    1,    0,    0,    3, 0x2e, 0, 0x11,
                                    0x01, 0x12, 0x0b, 0, 0,    0};
    struct mt_abbrevs abbrevs = {.version = 5, .offset_bytes = 4};
    struct mt_bytes section = {table, sizeof table};
    struct mt_address_space space = {.version = 5, .offset_bytes = 4};
    struct mt_unit_tables tables = {0};
    enum { DEPTH = 100000, FUNCTION = 2 + 2 * DEPTH };
    struct mt_entries entries = {.end = FUNCTION + 11, .abbrevs = &abbrevs};
    uint8_t *data = calloc(1, entries.end);

    CU_ASSERT_FATAL(data && mt_abbrevs_read(section, &abbrevs));
    entries.info = (struct mt_bytes){data, entries.end};
    data[1] = 1;
    memset(data + 2, 2, DEPTH);
    /* After the ends of all of them, at the unit's level. */
    data[FUNCTION] = 3;
    data[FUNCTION + 2] = 0x10;
    data[FUNCTION + 9] = 0x20;
    CU_ASSERT(mt_unit_read(&entries, 1, &space, &tables));
    CU_ASSERT_EQUAL_FATAL(tables.n_scopes, 1);
    CU_ASSERT_EQUAL(tables.scopes[0].die, FUNCTION);
    mt_unit_tables_free(&tables);
    mt_abbrevs_free(&abbrevs);
    free(data);
}

static const struct unit_test tests[] = {
    {"names of C++ and Rust", demangling},
    {"mangled names that would fill memory", demangling_bombs},
    {"overlapping spans", spans},
    {"range lists of DWARF 5", range_lists},
    {"a line program", line_program},
    {"file names of DWARF 4", old_file_table},
    {"file names of DWARF 5", new_file_table},
    {"a unit, and one that is cut", unit_by_hand},
    {"DIEs and their attributes", entries_by_hand},
    {"a unit of many levels", deep_unit},
    {"each string once", strings},
    {"symbols before their table is sorted", unsorted_symbols},
};

UNIT_MAIN(tests)
