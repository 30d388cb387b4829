/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_name.c - the name of a function, qualified by the namespaces and
 * types around its declaration.
 */
#include "config.h"
#include "coreanalyze/symbols/debug_file.h"
#include "coreanalyze/symbols/symbolize_demangle.h"

#include <stdlib.h>
#include <string.h>

/* An instance has an origin, that a declaration, that another; no more. */
#define MAX_HOPS 16
#define MAX_CONTAINERS 64

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
        parts[n] = container->name;
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

const char *mt_dwarf_function_name(struct mt_dwarf *dwarf,
                                   struct mt_debug_file *debug, uint64_t offset)
{
    const char *linkage = NULL, *name = NULL;
    struct mt_strings *strings = dwarf->options.strings;

    for (int hop = 0;; hop++) {
        struct mt_die *die = mt_die_at(debug->file, offset);
        uint64_t origin = 0;
        bool in_supplement = false;

        if (die == NULL)
            break;
        if (linkage == NULL)
            linkage = mt_die_text(debug->file, die, MT_DIE_LINKAGE_NAME);
        if (name == NULL)
            name = mt_die_text(debug->file, die, MT_DIE_NAME);
        bool more = hop < MAX_HOPS &&
                    mt_die_origin(debug->file, die, &origin, &in_supplement);
        mt_die_free(die);
        if (!more || (in_supplement && dwarf->supplement.file == NULL))
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
