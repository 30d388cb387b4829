/* SPDX-License-Identifier: BSD-2-Clause
 *
 * linetables.c - the line tables of a file, read by libdwarf and by
 * coreanalyze/symbols/dwarf_lines.c: how long it takes, and how much memory.
 *
 * make bench-lines FILE=/usr/lib/debug/.build-id/ab/cdef.debug
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_unit.h"

#ifdef HAVE_LIBDWARF_LIBDWARF_H
#include <libdwarf/dwarf.h>
#include <libdwarf/libdwarf.h>
#else
#include <dwarf.h>
#include <libdwarf.h>
#endif
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5

struct unit {
    Dwarf_Die die;
    uint64_t offset; /* of its table in .debug_line */
};

struct result {
    uint64_t rows, places, files; /* sums: of addresses and lines, of files */
    uint64_t ns, most_bytes;
};

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void note_bytes(struct result *result, uint64_t before)
{
    uint64_t now = allocated();

    if (now > before && now - before > result->most_bytes)
        result->most_bytes = now - before;
}

static void by_libdwarf(const struct unit *unit, struct result *result)
{
    uint64_t before = allocated();
    Dwarf_Line_Context context;
    Dwarf_Unsigned version;
    Dwarf_Small tables;
    Dwarf_Line *lines;
    Dwarf_Signed n;

    if (dwarf_srclines_b(unit->die, &version, &tables, &context, NULL) !=
        DW_DLV_OK)
        return;
    if (dwarf_srclines_from_linecontext(context, &lines, &n, NULL) ==
        DW_DLV_OK) {
        for (Dwarf_Signed i = 0; i < n; i++) {
            Dwarf_Unsigned line = 0, file = 0;
            Dwarf_Addr address = 0;
            dwarf_lineaddr(lines[i], &address, NULL);
            dwarf_lineno(lines[i], &line, NULL);
            dwarf_line_srcfileno(lines[i], &file, NULL);
            result->places += address + line;
            result->files += file;
        }
        result->rows += (uint64_t)n;
    }
    note_bytes(result, before);
    dwarf_srclines_dealloc_b(context);
}

static void by_memtrace(const struct unit *unit, const uint8_t *section,
                        size_t bytes, struct result *result)
{
    struct mt_line_table table = {0};
    uint64_t before = allocated();

    mt_lines_read(section, bytes, unit->offset, &table);
    for (size_t i = 0; i < table.n_rows; i++) {
        result->places += table.rows[i].address + table.rows[i].line;
        result->files += table.rows[i].file;
    }
    result->rows += table.n_rows;
    note_bytes(result, before);
    mt_lines_free(&table);
}

static Dwarf_Debug open_libdwarf(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Dwarf_Debug debug = NULL;

#ifdef HAVE_DWARF_OBJ_ACCESS_INTERFACE_A
    if (fd < 0 || dwarf_init_b(fd, DW_GROUPNUMBER_ANY, NULL, NULL, &debug,
                               NULL) != DW_DLV_OK)
#else
    if (fd < 0 ||
        dwarf_init(fd, DW_DLC_READ, NULL, NULL, &debug, NULL) != DW_DLV_OK)
#endif
        return NULL;
    return debug;
}

/* The units that have a line table. */
static size_t list_units(Dwarf_Debug debug, struct unit *units, size_t most)
{
    Dwarf_Unsigned length, abbrevs, next, type_offset;
    Dwarf_Half version, address, offset_bytes, extension, kind;
    Dwarf_Sig8 signature;
    size_t n = 0;

    while (n < most && dwarf_next_cu_header_d(
                           debug, 1, &length, &version, &abbrevs, &address,
                           &offset_bytes, &extension, &signature, &type_offset,
                           &next, &kind, NULL) == DW_DLV_OK) {
        struct unit unit;
        Dwarf_Attribute attribute;
        Dwarf_Off offset;
        if (dwarf_siblingof_b(debug, NULL, 1, &unit.die, NULL) != DW_DLV_OK ||
            dwarf_attr(unit.die, DW_AT_stmt_list, &attribute, NULL) !=
                DW_DLV_OK ||
            dwarf_global_formref(attribute, &offset, NULL) != DW_DLV_OK)
            continue;
        unit.offset = offset;
        units[n++] = unit;
    }
    return n;
}

static void print_result(const char *name, const struct result *r)
{
    printf("%-10s %10" PRIu64 " rows %9.2f ms %7.1f ns/row %9" PRIu64
           " KiB at most for a table\n",
           name, r->rows, (double)r->ns / 1e6,
           r->rows ? (double)r->ns / (double)r->rows : 0, r->most_bytes / 1024);
}

static int compare(const char *path)
{
    enum { MOST = 100000 };
    struct mt_error error = {0};
    struct mt_elf *elf = mt_elf_open(path, &error);
    const struct mt_elf_section *section =
        elf ? mt_elf_find(elf, ".debug_line") : NULL;
    Dwarf_Debug debug = open_libdwarf(path);
    struct unit *units = calloc(MOST, sizeof *units);
    struct result theirs = {.ns = UINT64_MAX}, ours = {.ns = UINT64_MAX};
    const uint8_t *data;
    size_t bytes, n;

    if (!section || !debug || !units ||
        !mt_elf_section_data(elf, section, &data, &bytes)) {
        fprintf(stderr, "linetables: %s has no lines that can be read\n", path);
        return 1;
    }
    n = list_units(debug, units, MOST);
    printf("%s: %zu units, .debug_line of %zu bytes, best of %d rounds\n", path,
           n, bytes, ROUNDS);
    for (int round = 0; round < ROUNDS; round++) {
        struct result r = {0};
        uint64_t start = cpu_ns();
        for (size_t i = 0; i < n; i++)
            by_libdwarf(&units[i], &r);
        r.ns = cpu_ns() - start;
        theirs = r.ns < theirs.ns ? r : theirs;
        r = (struct result){0};
        start = cpu_ns();
        for (size_t i = 0; i < n; i++)
            by_memtrace(&units[i], data, bytes, &r);
        r.ns = cpu_ns() - start;
        ours = r.ns < ours.ns ? r : ours;
    }
    print_result("libdwarf", &theirs);
    print_result("memtrace", &ours);
    printf("addresses and lines %s, files %s\n",
           theirs.places == ours.places ? "agree" : "differ",
           theirs.files == ours.files ? "agree" : "differ");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: linetables FILE\n");
        return 1;
    }
    return compare(argv[1]);
}
