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

static bool debug_file_list_units(struct mt_debug_file *debug)
{
    struct mt_unit_header header;
    size_t room = 0;

    while (mt_dwarf_next_unit(debug->file, &header)) {
        if (!mt_grow(&debug->units, &room, debug->n_units + 1,
                     sizeof *debug->units))
            return false;
        debug->units[debug->n_units++] = (struct mt_unit){.header = header};
    }
    return true;
}

bool mt_debug_file_open(struct mt_debug_file *debug, struct mt_elf *elf,
                        bool split, struct mt_dwarf_file *tie,
                        struct mt_error *error)
{
    debug->file = mt_dwarf_file_open(elf, split, error);
    if (debug->file == NULL)
        return false;
    if (tie != NULL)
        mt_dwarf_file_tie(debug->file, tie);
    if (!debug_file_list_units(debug)) {
        mt_dwarf_file_close(debug->file);
        free(debug->units);
        return mt_no_memory(error, "the units");
    }
    debug->elf = elf;
    return true;
}

void mt_dwarf_forget_unit(struct mt_dwarf *dwarf, struct mt_unit *unit)
{
    dwarf->table_bytes -= mt_unit_tables_bytes(&unit->tables) +
                          unit->lines.rows_room * sizeof(*unit->lines.rows) +
                          mt_lines_files_bytes(&unit->files);
    mt_unit_tables_free(&unit->tables);
    mt_lines_free(&unit->lines);
    mt_lines_files_free(&unit->files);
    unit->tables_read = unit->lines_read = unit->files_read = false;
}

void mt_debug_file_close(struct mt_dwarf *dwarf, struct mt_debug_file *debug)
{
    for (size_t i = 0; i < debug->n_units; i++)
        mt_dwarf_forget_unit(dwarf, &debug->units[i]);
    free(debug->units);
    mt_dwarf_file_close(debug->file);
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
                                       struct mt_die *skeleton)
{
    struct mt_die *die;

    if (unit->tables_read)
        return &unit->tables;
    unit->tables_read = true;
    die = mt_die_at(debug->file, unit->header.die_offset);
    if (die == NULL)
        return &unit->tables;
    struct mt_address_space space = mt_unit_space(debug->file, die);
    if (skeleton != NULL) {
        struct mt_address_space its = mt_unit_space(dwarf->main.file, skeleton);

        space.low = its.low;
        space.addresses = its.addresses;
        space.addr_base = its.addr_base;
        space.ranges = its.ranges;
        space.ranges_base = its.ranges_base;
    } else {
        space.ranges_base = 0; /* it is for the split unit alone */
    }
    if (!mt_unit_read(debug->file, die, &space, &unit->tables))
        debug->elf->no_memory = true;
    mt_die_free(die);
    dwarf->table_bytes += mt_unit_tables_bytes(&unit->tables);
    return &unit->tables;
}
