/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_name.c - the name of a function, qualified by the namespaces and
 * types around its declaration.
 */
#include "config.h"
#include "coreanalyze/symbols/debug_file.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/symbols/symbolize_demangle.h"

#include <stdlib.h>
#include <string.h>

/* An instance has an origin, that a declaration, that another; no more. */
#define MAX_HOPS 16
#define MAX_CONTAINERS 64

/* An attribute's text, for what is at `entries` of a unit. */
static const char *
dwarf_name_text(struct mt_dwarf *dwarf, struct mt_debug_file *debug,
                struct mt_unit *unit, const struct mt_entries *entries,
                const struct mt_entry *entry, enum mt_entry_value which)
{
    struct mt_dwarf_file *supplement =
        debug == &dwarf->main ? dwarf->supplement.file : NULL;

    if (unit->strings_base == UINT64_MAX && mt_entry_is_indexed(entry, which))
        unit->strings_base = mt_unit_strings_base(debug->file, unit->die);
    return mt_entry_text(debug->file, supplement, entries, entry, which,
                         unit->strings_base);
}

/* The name of the namespace or type at OFFSET, or NULL. */
static const char *dwarf_name_container(struct mt_dwarf *dwarf,
                                        struct mt_debug_file *debug,
                                        struct mt_unit *unit, uint64_t offset)
{
    struct mt_entries entries;
    struct mt_entry entry;

    if (!mt_dwarf_entries(debug, unit, &entries) ||
        !mt_entry_read(&entries, offset, &entry))
        return NULL;
    return dwarf_name_text(dwarf, debug, unit, &entries, &entry, MT_ENTRY_NAME);
}

/* NS::CLS::NAME by the namespaces and types around the DIE at OFFSET. */
static char *dwarf_name_qualified(struct mt_dwarf *dwarf,
                                  struct mt_debug_file *debug, uint64_t offset,
                                  const char *name, bool *has_prefix)
{
    const char *parts[MAX_CONTAINERS];
    size_t n = 0, bytes = strlen(name) + 1;
    struct mt_unit *unit = mt_dwarf_unit_at(debug, offset);
    struct mt_unit_tables *tables =
        unit != NULL ? mt_dwarf_tables(dwarf, debug, unit, NULL) : NULL;
    const struct mt_container *container =
        tables != NULL ? mt_unit_container(tables, offset) : NULL;

    while (container != NULL && n < MAX_CONTAINERS) {
        parts[n] = dwarf_name_container(dwarf, debug, unit, container->die);
        if (parts[n] == NULL && container->kind == MT_DIE_TYPE)
            break; /* what is in a type without a name has no scope */
        if (parts[n] == NULL)
            parts[n] = "(anonymous namespace)";
        bytes += strlen(parts[n++]) + 2;
        container = container->outer != 0
                        ? &tables->containers[container->outer - 1]
                        : NULL;
    }
    *has_prefix = n > 0;
    char *text = malloc(bytes), *end = text;
    if (text == NULL) {
        mt_strings_lack(dwarf->options.strings);
        return NULL;
    }
    while (n > 0) {
        end = stpcpy(end, parts[--n]);
        end = stpcpy(end, "::");
    }
    strcpy(end, name);
    return text;
}

static const char *dwarf_name_make(struct mt_dwarf *dwarf,
                                   struct mt_debug_file *debug, uint64_t offset)
{
    const char *linkage = NULL, *name = NULL;
    struct mt_strings *strings = dwarf->options.strings;

    for (int hop = 0;; hop++) {
        struct mt_unit *unit = mt_dwarf_unit_at(debug, offset);
        struct mt_entries entries;
        struct mt_entry entry;
        uint64_t origin = 0;
        bool in_supplement = false;

        if (unit == NULL || !mt_dwarf_entries(debug, unit, &entries) ||
            !mt_entry_read(&entries, offset, &entry) || entry.ends)
            break;
        if (linkage == NULL)
            linkage = dwarf_name_text(dwarf, debug, unit, &entries, &entry,
                                      MT_ENTRY_LINKAGE_NAME);
        if (name == NULL)
            name = dwarf_name_text(dwarf, debug, unit, &entries, &entry,
                                   MT_ENTRY_NAME);
        if (hop == MAX_HOPS ||
            !mt_entry_origin(&entries, &entry, &origin, &in_supplement) ||
            (in_supplement && dwarf->supplement.file == NULL))
            break;
        if (in_supplement)
            debug = &dwarf->supplement;
        offset = origin;
    }
    if (linkage != NULL && dwarf->options.no_demangle)
        return mt_strings_keep(strings, linkage);
    if (linkage != NULL) {
        const char *text = mt_demangle_keep(strings, linkage, false);

        if (text != NULL)
            return text;
    }
    if (name == NULL)
        return mt_strings_keep(strings, linkage);
    bool has_prefix = false;
    char *text = dwarf_name_qualified(dwarf, debug, offset, name, &has_prefix);
    /* Either C, where linkage names are labels set by hand, or a language whose
     * mangling is not known here; its scopes make the better name. */
    if (linkage != NULL && !has_prefix) {
        free(text);
        return mt_strings_keep(strings, linkage);
    }
    return mt_strings_take(strings, text);
}

static bool die_name_matches(const void *items, size_t item, const void *key)
{
    const struct mt_die_name *names = items;

    return names[item].die == *(const uint64_t *)key;
}

const char *mt_dwarf_function_name(struct mt_dwarf *dwarf,
                                   struct mt_debug_file *debug, uint64_t die)
{
    size_t item = mt_table_find(&debug->by_die, die, die_name_matches,
                                debug->names, &die);

    if (item != MT_TABLE_NONE)
        return debug->names[item].name;
    const char *name = dwarf_name_make(dwarf, debug, die);
    /* Without memory it is made again. */
    if (mt_grow(&debug->names, &debug->names_room, debug->n_names + 1,
                sizeof *debug->names) &&
        mt_table_add(&debug->by_die, die, debug->n_names))
        debug->names[debug->n_names++] = (struct mt_die_name){die, name};
    return name;
}
