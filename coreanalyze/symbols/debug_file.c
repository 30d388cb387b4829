/* SPDX-License-Identifier: BSD-2-Clause
 *
 * debug_file.c - opening a file with DWARF: its units, and the tables of a unit
 * when they are first asked for.
 */
#include "config.h"
#include "coreanalyze/symbols/debug_file.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"

#include <stdlib.h>

/* Bytes that libdwarf keeps for a unit that was read, about. */
#define UNIT_BYTES 2048
/* Tables of abbreviations take about twice what is in the file.  Broken files
 * can have one start in another: there they are dropped, and read again. */
#define ABBREV_GROWTH 16
#define ABBREV_LEAST ((size_t)1 << 20)

/* The ranges of a unit by its own DIE. */
static bool debug_file_index_unit(struct mt_debug_file *debug, size_t number,
                                  struct mt_intervals *index)
{
    struct mt_unit *unit = &debug->units[number];
    struct mt_ranges ranges = {NULL, 0, 0};
    bool memory = true;

    /* Partial units are imported by others, and have no code. */
    if (!unit->header.has_code || mt_die_is_partial(unit->die))
        return true;
    struct mt_address_space space = mt_unit_space(debug->file, unit->die);
    struct mt_code code = mt_die_code(debug->file, unit->die);

    space.ranges_base = 0;
    memory = mt_code_ranges(&code, &space, &ranges);
    for (size_t i = 0; i < ranges.n && memory; i++)
        memory = mt_intervals_add(index, ranges.at[i].low, ranges.at[i].high,
                                  number);
    unit->by_functions = ranges.n == 0 || unit->header.one_range;
    free(ranges.at);
    return memory;
}

static bool debug_file_list_units(struct mt_debug_file *debug,
                                  struct mt_intervals *index)
{
    struct mt_unit_header header;
    struct mt_die *die;
    bool memory = true;
    size_t room = 0;

    while (memory && (die = mt_dwarf_next_unit(debug->file, &header)) != NULL) {
        memory = mt_grow(&debug->units, &room, debug->n_units + 1,
                         sizeof *debug->units);
        if (memory)
            debug->units[debug->n_units++] = (struct mt_unit){
                .header = header, .die = die, .strings_base = UINT64_MAX};
        if (memory && header.dwo_id != 0)
            memory =
                mt_table_add(&debug->by_dwo, header.dwo_id, debug->n_units - 1);
        if (memory && index != NULL)
            memory = debug_file_index_unit(debug, debug->n_units - 1, index);
    }
    return memory;
}

bool mt_debug_file_open(struct mt_debug_file *debug, struct mt_elf *elf,
                        bool split, struct mt_dwarf_file *tie,
                        struct mt_intervals *index, struct mt_error *error)
{
    debug->file = mt_dwarf_file_open(elf, split, error);
    if (debug->file == NULL)
        return false;
    if (tie != NULL)
        mt_dwarf_file_tie(debug->file, tie);
    if (!debug_file_list_units(debug, index)) {
        mt_dwarf_file_close(debug->file);
        mt_table_free(&debug->by_dwo);
        free(debug->units);
        *debug = (struct mt_debug_file){.path = debug->path};
        return mt_no_memory(error, "the units");
    }
    debug->elf = elf;
    debug->info = mt_dwarf_own_section(debug->file, ".debug_info");
    debug->abbrev = mt_dwarf_own_section(debug->file, ".debug_abbrev");
    return true;
}

static void debug_file_drop_abbrevs(struct mt_debug_file *debug)
{
    for (size_t i = 0; i < debug->n_abbrevs; i++)
        mt_abbrevs_free(&debug->abbrevs[i]);
    debug->n_abbrevs = debug->abbrev_bytes = 0;
    mt_table_free(&debug->by_abbrevs);
}

static bool abbrevs_match(const void *items, size_t item, const void *key)
{
    const struct mt_abbrevs *found = (const struct mt_abbrevs *)items + item;
    const struct mt_unit_header *header = key;

    return found->offset == header->abbrevs &&
           found->version == header->version &&
           found->offset_bytes == header->offset_bytes;
}

/* A unit's table, or NULL when out of memory. */
static const struct mt_abbrevs *
debug_file_abbrevs(struct mt_debug_file *debug,
                   const struct mt_unit_header *header)
{
    size_t item = mt_table_find(&debug->by_abbrevs, header->abbrevs,
                                abbrevs_match, debug->abbrevs, header);

    if (item != MT_TABLE_NONE)
        return &debug->abbrevs[item];
    if (debug->abbrev_bytes >
        ABBREV_GROWTH * debug->abbrev.bytes + ABBREV_LEAST)
        debug_file_drop_abbrevs(debug);
    struct mt_abbrevs table = {.offset = header->abbrevs,
                               .version = header->version,
                               .offset_bytes = header->offset_bytes};
    if (!mt_grow(&debug->abbrevs, &debug->abbrevs_room, debug->n_abbrevs + 1,
                 sizeof *debug->abbrevs) ||
        !mt_abbrevs_read(debug->abbrev, &table) ||
        !mt_table_add(&debug->by_abbrevs, header->abbrevs, debug->n_abbrevs)) {
        mt_abbrevs_free(&table);
        debug->elf->no_memory = true;
        return NULL;
    }
    debug->abbrev_bytes += mt_abbrevs_bytes(&table);
    debug->abbrevs[debug->n_abbrevs] = table;
    return &debug->abbrevs[debug->n_abbrevs++];
}

bool mt_dwarf_entries(struct mt_debug_file *debug, const struct mt_unit *unit,
                      struct mt_entries *out)
{
    const struct mt_unit_header *header = &unit->header;

    *out = (struct mt_entries){
        .info = debug->info,
        .unit = header->offset,
        .end =
            header->end < debug->info.bytes ? header->end : debug->info.bytes,
    };
    if (header->version == 0)
        return false;
    out->abbrevs = debug_file_abbrevs(debug, header);
    return out->abbrevs != NULL;
}

static void debug_file_forget_unit(struct mt_dwarf *dwarf, struct mt_unit *unit)
{
    dwarf->table_bytes -= mt_unit_tables_bytes(&unit->tables) +
                          unit->lines.rows_room * sizeof(*unit->lines.rows) +
                          mt_lines_files_bytes(&unit->files);
    mt_unit_tables_free(&unit->tables);
    mt_lines_free(&unit->lines);
    mt_lines_files_free(&unit->files);
    unit->tables_read = unit->lines_read = unit->files_read = false;
}

void mt_debug_file_trim(struct mt_dwarf *dwarf, struct mt_debug_file *debug)
{
    for (size_t i = 0; i < debug->n_units; i++)
        debug_file_forget_unit(dwarf, &debug->units[i]);
    debug_file_drop_abbrevs(debug);
    mt_table_free(&debug->by_die);
    debug->n_names = 0;
}

void mt_debug_file_close(struct mt_dwarf *dwarf, struct mt_debug_file *debug)
{
    mt_debug_file_trim(dwarf, debug);
    mt_table_free(&debug->by_dwo);
    free(debug->abbrevs);
    free(debug->names);
    free(debug->units);
    mt_dwarf_file_close(debug->file);
}

size_t mt_debug_file_bytes(const struct mt_debug_file *debug)
{
    return debug->n_units * UNIT_BYTES + debug->abbrev_bytes +
           debug->names_room * sizeof *debug->names +
           (debug->by_dwo.capacity + debug->by_die.capacity +
            debug->by_abbrevs.capacity) *
               sizeof *debug->by_die.slots +
           (debug->elf != NULL ? debug->elf->inflated_total : 0);
}

/* The unit that an offset of .debug_info lies in. */
struct mt_unit *mt_dwarf_unit_at(struct mt_debug_file *debug, uint64_t offset)
{
    size_t n =
        mt_count_up_to(debug->units, debug->n_units, header.offset, offset);

    if (n == 0 || offset >= debug->units[n - 1].header.end)
        return NULL;
    return &debug->units[n - 1];
}

struct mt_unit_tables *mt_dwarf_tables(struct mt_dwarf *dwarf,
                                       struct mt_debug_file *debug,
                                       struct mt_unit *unit,
                                       const struct mt_unit *skeleton)
{
    struct mt_entries entries;

    if (unit->tables_read)
        return &unit->tables;
    unit->tables_read = true;
    struct mt_address_space space = mt_unit_space(debug->file, unit->die);
    if (skeleton == NULL) {
        space.ranges_base = 0; /* it is for the split unit alone */
    } else {
        struct mt_address_space its =
            mt_unit_space(dwarf->main.file, skeleton->die);

        space.low = its.low;
        space.addresses = its.addresses;
        space.addr_base = its.addr_base;
        space.ranges = its.ranges;
        space.ranges_base = its.ranges_base;
    }
    if (mt_dwarf_entries(debug, unit, &entries) &&
        !mt_unit_read(&entries, unit->header.die_offset, &space, &unit->tables))
        debug->elf->no_memory = true;
    dwarf->table_bytes += mt_unit_tables_bytes(&unit->tables);
    return &unit->tables;
}
