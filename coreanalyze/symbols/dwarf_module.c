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

/* A unit's DIE says where its code is.  If it does not, or can name one range
 * alone and leaves out the functions in other sections, the unit's functions
 * do. */
static void complete_index(struct mt_dwarf *dwarf)
{
    struct mt_debug_file *debug = &dwarf->main;

    for (size_t i = 0; i < debug->n_units; i++) {
        struct mt_unit *unit = &debug->units[i];

        if (!unit->by_functions)
            continue;
        const struct mt_intervals *functions =
            &mt_dwarf_tables(dwarf, debug, unit, NULL)->functions;
        for (size_t j = 0; j < functions->n; j++)
            if (!mt_intervals_add(&dwarf->index, functions->at[j].low,
                                  functions->at[j].high, i))
                debug->elf->no_memory = true;
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
                            NULL, NULL, &why) &&
        why.no_memory)
        options->supplement->no_memory = true;
    if (!mt_debug_file_open(&dwarf->main, options->elf, false,
                            dwarf->supplement.file, &dwarf->index, error)) {
        mt_dwarf_free(dwarf);
        return NULL;
    }
    complete_index(dwarf);
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

void mt_dwarf_trim(struct mt_dwarf *dwarf)
{
    mt_debug_file_trim(dwarf, &dwarf->main);
    mt_debug_file_trim(dwarf, &dwarf->supplement);
    for (struct mt_debug_file *s = dwarf->splits; s != NULL; s = s->next)
        mt_debug_file_trim(dwarf, s);
}

size_t mt_dwarf_bytes(const struct mt_dwarf *dwarf)
{
    size_t bytes = dwarf->table_bytes +
                   dwarf->index.room * sizeof(*dwarf->index.at) +
                   mt_debug_file_bytes(&dwarf->main) +
                   mt_debug_file_bytes(&dwarf->supplement);

    for (struct mt_debug_file *s = dwarf->splits; s != NULL; s = s->next)
        bytes += mt_debug_file_bytes(s);
    return bytes;
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
                                  uint32_t index)
{
    struct mt_line_sections sections = line_sections(dwarf);
    const char *name, *directory;

    if (!mt_lines_file(&sections, &unit->files, index, &name, &directory))
        return NULL;
    char *in =
        directory != NULL ? dwarf_join(unit->directory, directory) : NULL;
    char *path = dwarf_join(in != NULL ? in : unit->directory, name);
    if (path == NULL || (directory != NULL && in == NULL))
        mt_strings_lack(dwarf->options.strings);
    free(in);
    return mt_strings_take(dwarf->options.strings, path);
}

/* The path of an entry of a unit's file table, kept. */
static const char *file_name(struct mt_dwarf *dwarf, struct mt_unit *unit,
                             uint32_t index)
{
    if (!unit->files_read) {
        struct mt_line_sections sections = line_sections(dwarf);

        unit->files_read = true;
        if (unit->has_line_table)
            mt_lines_files(&sections, unit->line_table, &unit->files);
        dwarf->main.elf->no_memory |= unit->files.no_memory;
        dwarf->table_bytes += mt_lines_files_bytes(&unit->files);
    }
    if (index >= unit->files.n)
        return NULL;
    struct mt_line_file *file = &unit->files.at[index];
    if (file->path == NULL)
        file->path = read_file_name(dwarf, unit, index);
    return file->path;
}

static const struct mt_line_row *find_row(struct mt_dwarf *dwarf,
                                          struct mt_unit *unit, uint64_t pc)
{
    if (!unit->lines_read) {
        struct mt_bytes lines =
            mt_dwarf_section(dwarf->main.file, ".debug_line");

        unit->lines_read = true;
        if (unit->has_line_table)
            mt_lines_read(lines.data, lines.bytes, unit->line_table,
                          &unit->lines);
        dwarf->main.elf->no_memory |= unit->lines.no_memory;
        dwarf->table_bytes += unit->lines.rows_room * sizeof(*unit->lines.rows);
    }
    return mt_lines_find(&unit->lines, pc);
}

/* What the unit's own DIE says. */
static void read_attributes(struct mt_dwarf *dwarf, struct mt_unit *unit)
{
    struct mt_dwarf_file *file = dwarf->main.file;

    unit->attributes_read = true;
    if (unit->header.dwo_id != 0)
        mt_dwarf_find_split(dwarf, unit);
    unit->has_line_table =
        mt_die_line_table(file, unit->die, &unit->line_table);
    unit->directory = mt_die_text(file, unit->die, MT_DIE_COMP_DIR);
}

static size_t find_in(struct mt_dwarf *dwarf, struct mt_unit *unit, uint64_t pc,
                      struct mt_symbol_frame *out, size_t max)
{
    const struct mt_scope *scopes[MAX_INLINED];
    uint64_t low = pc;

    if (!unit->attributes_read)
        read_attributes(dwarf, unit);
    bool split = unit->split != NULL;
    struct mt_debug_file *debug = split ? unit->split_side : &dwarf->main;
    struct mt_unit_tables *tables = mt_dwarf_tables(
        dwarf, debug, split ? unit->split : unit, split ? unit : NULL);
    size_t n = mt_unit_find(tables, pc, scopes,
                            max < MAX_INLINED ? max : MAX_INLINED, &low);
    const struct mt_line_row *row = find_row(dwarf, unit, pc);
    uint32_t file = row != NULL ? row->file : UINT32_MAX;
    uint32_t line = row != NULL ? row->line : 0;

    if (n == 0 && row == NULL)
        return 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct mt_symbol_frame){
            .function = mt_dwarf_function_name(dwarf, debug, scopes[i]->die),
            .file = file_name(dwarf, unit, file),
            .line = line,
            .inlined = scopes[i]->inlined,
            .offset = scopes[i]->inlined ? 0 : pc - low,
        };
        file = scopes[i]->call_file;
        line = scopes[i]->call_line;
    }
    if (n == 0) {
        out[0] = (struct mt_symbol_frame){.file = file_name(dwarf, unit, file),
                                          .line = line};
        n = 1;
    }
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
