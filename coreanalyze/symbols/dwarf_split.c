/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_split.c - finds the .dwo or .dwp file that holds the rest of a
 * skeleton unit.
 */
#include "config.h"
#include "coreanalyze/symbols/debug_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mt_debug_file *dwarf_split_open_side(struct mt_dwarf *dwarf,
                                                   const char *path)
{
    struct mt_debug_file *debug;
    struct mt_error error;

    for (debug = dwarf->splits; debug != NULL; debug = debug->next)
        if (strcmp(debug->path, path) == 0)
            return debug;
    struct mt_elf *elf = mt_elf_open(path, &error);
    if (elf == NULL) {
        dwarf->main.elf->no_memory |= error.no_memory;
        return NULL;
    }
    debug = calloc(1, sizeof(*debug));
    if (debug != NULL)
        debug->path = strdup(path);
    if (debug == NULL || debug->path == NULL)
        mt_no_memory(&error, "the split units");
    if (debug == NULL || debug->path == NULL ||
        !mt_debug_file_open(debug, elf, true, NULL, NULL, &error)) {
        dwarf->main.elf->no_memory |= error.no_memory || elf->no_memory;
        mt_elf_close(elf);
        if (debug != NULL)
            free(debug->path);
        free(debug);
        return NULL;
    }
    dwarf->table_bytes += debug->n_units * sizeof(*debug->units);
    debug->next = dwarf->splits;
    dwarf->splits = debug;
    return debug;
}

static bool dwo_id_matches(const void *items, size_t item, const void *key)
{
    const struct mt_unit *units = items;

    return units[item].header.dwo_id == *(const uint64_t *)key;
}

static bool dwarf_split_match(struct mt_unit *unit, struct mt_debug_file *debug)
{
    uint64_t id = unit->header.dwo_id;
    size_t item = debug != NULL
                      ? mt_table_find(&debug->by_dwo, id, dwo_id_matches,
                                      debug->units, &id)
                      : MT_TABLE_NONE;

    if (item == MT_TABLE_NONE)
        return false;
    unit->split_side = debug;
    unit->split = &debug->units[item];
    return true;
}

static bool try_path(struct mt_dwarf *dwarf, struct mt_unit *unit,
                     const char *directory, size_t directory_bytes,
                     const char *name)
{
    const char *root =
        dwarf->options.sysroot != NULL ? dwarf->options.sysroot : "";
    char *path = NULL;

    if (asprintf(&path, "%s%.*s%s%s", root, (int)directory_bytes, directory,
                 directory_bytes != 0 ? "/" : "", name) < 0) {
        dwarf->main.elf->no_memory = true;
        return false;
    }
    bool found = dwarf_split_match(unit, dwarf_split_open_side(dwarf, path));
    free(path);
    return found;
}

static size_t directory_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) : 0;
}

static bool in_package(struct mt_dwarf *dwarf, struct mt_unit *unit)
{
    const char *paths[] = {dwarf->options.path, dwarf->options.debug_path};
    bool found = false;

    for (size_t i = 0; i < 2 && !found; i++) {
        char *package = NULL;

        if (paths[i] == NULL)
            continue;
        if (asprintf(&package, "%s.dwp", paths[i]) < 0) {
            dwarf->main.elf->no_memory = true;
            continue;
        }
        found = dwarf_split_match(unit, dwarf_split_open_side(dwarf, package));
        free(package);
    }
    return found;
}

void mt_dwarf_find_split(struct mt_dwarf *dwarf, struct mt_unit *unit)
{
    struct mt_dwarf_file *file = dwarf->main.file;
    const char *path = dwarf->options.path != NULL ? dwarf->options.path : "";
    const char *name = mt_die_text(file, unit->die, MT_DIE_DWO_NAME);
    const char *in = mt_die_text(file, unit->die, MT_DIE_COMP_DIR);

    if (unit->header.dwo_id == 0 || name == NULL || in_package(dwarf, unit))
        return;
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;

    if (name[0] == '/'
            ? try_path(dwarf, unit, "", 0, name)
            : in != NULL && try_path(dwarf, unit, in, strlen(in), name))
        return;
    /* Built elsewhere, and carried here beside the program. */
    if ((name[0] != '/' &&
         try_path(dwarf, unit, path, directory_bytes(path), name)) ||
        try_path(dwarf, unit, path, directory_bytes(path), base))
        return;
    if (dwarf->missing_split == NULL)
        dwarf->missing_split = mt_strings_keep(dwarf->options.strings, name);
}
