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

static const struct unit_test tests[] = {
    {"names of C++ and Rust", demangling},
    {"mangled names that would fill memory", demangling_bombs},
    {"overlapping spans", spans},
    {"range lists of DWARF 5", range_lists},
    {"a line program", line_program},
    {"file names of DWARF 4", old_file_table},
    {"file names of DWARF 5", new_file_table},
    {"each string once", strings},
    {"symbols before their table is sorted", unsorted_symbols},
};

UNIT_MAIN(tests)
