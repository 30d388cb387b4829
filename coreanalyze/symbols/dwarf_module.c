/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_module.c - functions, inlined calls and lines of one module: finds
 * the unit of an address, then the answer in its tables.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_module.h"
#include "coreanalyze/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INLINED 64 /* levels of inlining in one pc */
/* Bytes that libdwarf keeps for a unit that was read, about. */
#define UNIT_BYTES 2048

static void dwarf_index_add(struct mt_dwarf *dwarf, uint64_t low, uint64_t high,
                            size_t unit)
{
    if (!mt_intervals_add(&dwarf->index, low, high, unit))
        dwarf->main.elf->no_memory = true;
}

/* The ranges of a unit by its own DIE. */
static bool index_unit(struct mt_dwarf *dwarf, size_t number)
{
    struct mt_unit *unit = &dwarf->main.units[number];
    struct mt_dwarf_file *file = dwarf->main.file;
    struct mt_ranges ranges = {NULL, 0, 0};
    struct mt_die *die = mt_die_at(file, unit->header.die_offset);

    if (die == NULL)
        return false;
    /* Partial units are imported by others, and have no code. */
    bool partial = mt_die_kind(die) != MT_DIE_UNIT;
    if (!partial) {
        struct mt_address_space space = mt_unit_space(file, die);
        struct mt_code code = mt_die_code(file, die);

        space.ranges_base = 0;
        if (!mt_code_ranges(&code, &space, &ranges))
            dwarf->main.elf->no_memory = true;
    }
    for (size_t i = 0; i < ranges.n; i++)
        dwarf_index_add(dwarf, ranges.at[i].low, ranges.at[i].high, number);
    free(ranges.at);
    mt_die_free(die);
    return partial || (ranges.n > 0 && !unit->header.one_range);
}

/* A unit's DIE says where its code is.  If it does not, or can name one range
 * alone and leaves out the functions in other sections, the unit's functions
 * do. */
static void build_index(struct mt_dwarf *dwarf)
{
    struct mt_debug_file *debug = &dwarf->main;

    for (size_t i = 0; i < debug->n_units; i++) {
        struct mt_unit *unit = &debug->units[i];

        if (!unit->header.has_code || index_unit(dwarf, i))
            continue;
        const struct mt_intervals *functions =
            &mt_dwarf_tables(dwarf, debug, unit, NULL)->functions;
        for (size_t j = 0; j < functions->n; j++)
            dwarf_index_add(dwarf, functions->at[j].low, functions->at[j].high,
                            i);
    }
    mt_intervals_sort(&dwarf->index);
}

struct mt_dwarf *mt_dwarf_new(const struct mt_dwarf_options *options,
                              struct mt_error *error)
{
    struct mt_dwarf *dwarf = calloc(1, sizeof(*dwarf));
    struct mt_error why;

    if (dwarf == NULL) {
        mt_no_memory(error, "the debug information");
        return NULL;
    }
    dwarf->options = *options;
    if (options->supplement != NULL &&
        !mt_debug_file_open(&dwarf->supplement, options->supplement, false,
                            NULL, &why) &&
        why.no_memory)
        options->supplement->no_memory = true;
    if (!mt_debug_file_open(&dwarf->main, options->elf, false,
                            dwarf->supplement.file, error)) {
        mt_dwarf_free(dwarf);
        return NULL;
    }
    build_index(dwarf);
    return dwarf;
}

bool mt_dwarf_is_whole(const struct mt_dwarf *dwarf)
{
    for (struct mt_debug_file *s = dwarf->splits; s != NULL; s = s->next)
        if (s->elf->no_memory)
            return false;
    return true;
}

bool mt_dwarf_unchanged(const struct mt_dwarf *dwarf)
{
    for (struct mt_debug_file *s = dwarf->splits; s != NULL; s = s->next)
        if (!mt_elf_unchanged(s->elf))
            return false;
    return true;
}

void mt_dwarf_free(struct mt_dwarf *dwarf)
{
    if (dwarf == NULL)
        return;
    while (dwarf->splits != NULL) {
        struct mt_debug_file *debug = dwarf->splits;

        dwarf->splits = debug->next;
        mt_debug_file_close(dwarf, debug);
        mt_elf_close(debug->elf);
        free(debug->path);
        free(debug);
    }
    mt_debug_file_close(dwarf, &dwarf->main);
    mt_debug_file_close(dwarf, &dwarf->supplement);
    mt_intervals_free(&dwarf->index);
    free(dwarf);
}

static void trim_side(struct mt_dwarf *dwarf, struct mt_debug_file *debug)
{
    for (size_t i = 0; i < debug->n_units; i++)
        mt_dwarf_forget_unit(dwarf, &debug->units[i]);
}

void mt_dwarf_trim(struct mt_dwarf *dwarf)
{
    trim_side(dwarf, &dwarf->main);
    trim_side(dwarf, &dwarf->supplement);
    for (struct mt_debug_file *s = dwarf->splits; s != NULL; s = s->next)
        trim_side(dwarf, s);
}

size_t mt_dwarf_bytes(const struct mt_dwarf *dwarf)
{
    size_t units = dwarf->main.n_units + dwarf->supplement.n_units;
    size_t bytes = dwarf->table_bytes +
                   dwarf->index.room * sizeof(*dwarf->index.at) +
                   dwarf->main.elf->inflated_total;

    for (struct mt_debug_file *s = dwarf->splits; s != NULL; s = s->next) {
        units += s->n_units;
        bytes += s->elf->inflated_total;
    }
    return bytes + units * UNIT_BYTES;
}

const char *mt_dwarf_missing_split(const struct mt_dwarf *dwarf)
{
    return dwarf->missing_split;
}

/* DIRECTORY/NAME, or NAME if that is absolute or DIRECTORY unknown. */
static char *dwarf_join(const char *directory, const char *name)
{
    char *path = NULL;

    if (name[0] == '/' || directory == NULL || directory[0] == 0)
        return strdup(name);
    size_t last = strlen(directory) - 1;
    if (asprintf(&path, "%s%s%s", directory, directory[last] == '/' ? "" : "/",
                 name) < 0)
        return NULL;
    return path;
}

static struct mt_line_sections line_sections(struct mt_dwarf *dwarf)
{
    struct mt_dwarf_file *file = dwarf->main.file;

    return (struct mt_line_sections){
        {[MT_LINE_SECTION] = mt_dwarf_section(file, ".debug_line"),
         [MT_LINE_LINE_STRP] = mt_dwarf_section(file, ".debug_line_str"),
         [MT_LINE_STRP] = mt_dwarf_section(file, ".debug_str")}};
}

static const char *read_file_name(struct mt_dwarf *dwarf, struct mt_unit *unit,
                                  struct mt_die *die, uint32_t index)
{
    struct mt_line_sections sections = line_sections(dwarf);
    const char *name, *directory;

    if (!mt_lines_file(&sections, &unit->files, index, &name, &directory))
        return NULL;
    const char *compiled_in =
        mt_die_text(dwarf->main.file, die, MT_DIE_COMP_DIR);
    char *in = directory != NULL ? dwarf_join(compiled_in, directory) : NULL;
    char *path = dwarf_join(in != NULL ? in : compiled_in, name);
    if (path == NULL || (directory != NULL && in == NULL))
        mt_strings_lack(dwarf->options.strings);
    free(in);
    return mt_strings_take(dwarf->options.strings, path);
}

static void read_files(struct mt_dwarf *dwarf, struct mt_unit *unit,
                       struct mt_die *die)
{
    struct mt_line_sections sections = line_sections(dwarf);
    uint64_t offset;

    if (mt_die_line_table(dwarf->main.file, die, &offset))
        mt_lines_files(&sections, offset, &unit->files);
    dwarf->main.elf->no_memory |= unit->files.no_memory;
    dwarf->table_bytes += mt_lines_files_bytes(&unit->files);
}

/* The path of an entry of a unit's file table, kept. */
static const char *file_name(struct mt_dwarf *dwarf, struct mt_unit *unit,
                             struct mt_die *die, uint32_t index)
{
    if (!unit->files_read)
        read_files(dwarf, unit, die);
    unit->files_read = true;
    if (index >= unit->files.n)
        return NULL;
    struct mt_line_file *file = &unit->files.at[index];
    if (file->path == NULL)
        file->path = read_file_name(dwarf, unit, die, index);
    return file->path;
}

static void dwarf_read_lines(struct mt_dwarf *dwarf, struct mt_unit *unit,
                             struct mt_die *die)
{
    struct mt_bytes lines = mt_dwarf_section(dwarf->main.file, ".debug_line");
    uint64_t offset;

    if (mt_die_line_table(dwarf->main.file, die, &offset))
        mt_lines_read(lines.data, lines.bytes, offset, &unit->lines);
    dwarf->main.elf->no_memory |= unit->lines.no_memory;
    dwarf->table_bytes += unit->lines.rows_room * sizeof(*unit->lines.rows);
}

static const struct mt_line_row *find_row(struct mt_dwarf *dwarf,
                                          struct mt_unit *unit,
                                          struct mt_die *die, uint64_t pc)
{
    if (!unit->lines_read)
        dwarf_read_lines(dwarf, unit, die);
    unit->lines_read = true;
    return mt_lines_find(&unit->lines, pc);
}

static size_t find_in_unit(struct mt_dwarf *dwarf, struct mt_unit *unit,
                           struct mt_die *die, uint64_t pc,
                           struct mt_symbol_frame *out, size_t max)
{
    const struct mt_scope *scopes[MAX_INLINED];
    uint64_t low = pc;

    if (unit->header.dwo_id != 0 && !unit->split_sought)
        mt_dwarf_find_split(dwarf, unit, die);
    bool split = unit->split != NULL;
    struct mt_debug_file *debug = split ? unit->split_side : &dwarf->main;
    struct mt_unit_tables *tables = mt_dwarf_tables(
        dwarf, debug, split ? unit->split : unit, split ? die : NULL);
    size_t n = mt_unit_find(tables, pc, scopes,
                            max < MAX_INLINED ? max : MAX_INLINED, &low);
    const struct mt_line_row *row = find_row(dwarf, unit, die, pc);
    uint32_t file = row != NULL ? row->file : UINT32_MAX;
    uint32_t line = row != NULL ? row->line : 0;

    if (n == 0 && row == NULL)
        return 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct mt_symbol_frame){
            .function = mt_dwarf_function_name(dwarf, debug, scopes[i]->die),
            .file = file_name(dwarf, unit, die, file),
            .line = line,
            .inlined = scopes[i]->inlined,
            .offset = scopes[i]->inlined ? 0 : pc - low,
        };
        file = scopes[i]->call_file;
        line = scopes[i]->call_line;
    }
    if (n == 0) {
        out[0] = (struct mt_symbol_frame){
            .file = file_name(dwarf, unit, die, file), .line = line};
        n = 1;
    }
    return n;
}

static size_t find_in(struct mt_dwarf *dwarf, struct mt_unit *unit, uint64_t pc,
                      struct mt_symbol_frame *out, size_t max)
{
    struct mt_die *die = mt_die_at(dwarf->main.file, unit->header.die_offset);
    size_t n = die != NULL ? find_in_unit(dwarf, unit, die, pc, out, max) : 0;

    mt_die_free(die);
    return n;
}

size_t mt_dwarf_find(struct mt_dwarf *dwarf, uint64_t pc,
                     struct mt_symbol_frame *out, size_t max)
{
    const struct mt_interval *span = NULL;
    struct mt_unit *unnamed = NULL; /* has the lines, and not the name */
    struct mt_unit *before = NULL;

    if (max == 0)
        return 0;
    /* Units may overlap, and a unit may claim what it does not explain. */
    for (int tries = 0; tries < 8; tries++) {
        span = mt_intervals_find(&dwarf->index, pc, span);
        if (span == NULL)
            break;
        struct mt_unit *unit = &dwarf->main.units[span->value];
        size_t n = unit == before ? 0 : find_in(dwarf, unit, pc, out, max);

        before = unit;
        if (n > 0 && out[n - 1].function != NULL)
            return n;
        if (n > 0 && unnamed == NULL)
            unnamed = unit;
    }
    return unnamed != NULL ? find_in(dwarf, unnamed, pc, out, max) : 0;
}
