/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dwarf_unit.c - reads the tree of a unit once, into tables of functions,
 * inlined calls and containers.
 */
#include "config.h"
#include "coreanalyze/symbols/dwarf_unit.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"

#include <stdlib.h>

/* DIEs nest about as deep as the source's blocks, with what is inlined. */
#define MAX_DEPTH 512
#define NONE UINT32_MAX

/* One DIE of the walk whose children are read. */
struct level {
    uint32_t scope, container; /* that it opened, or NONE */
};
struct walk {
    const struct mt_entries *entries;
    struct mt_unit_tables *tables;
    const struct mt_address_space *space;
    uint32_t container; /* the innermost open one: index + 1, or 0 */
    bool memory;        /* is left */
    uint64_t skipped;   /* levels open below the last of `levels` */
    unsigned depth;     /* levels open */
    struct level levels[MAX_DEPTH];
};

static void *next_entry(void **array, size_t *n, size_t *room, size_t bytes)
{
    if (*n >= NONE || !mt_grow(array, room, *n + 1, bytes))
        return NULL;
    return (char *)*array + bytes * (*n)++;
}

static void add_scope(struct walk *walk, struct level *level,
                      const struct mt_entry *entry)
{
    struct mt_unit_tables *tables = walk->tables;
    size_t before = tables->ranges.n;
    struct mt_code code = mt_entry_code(entry);

    if (!mt_code_ranges(&code, walk->space, &tables->ranges))
        walk->memory = false;
    if (tables->ranges.n == before)
        return;
    struct mt_scope *scope =
        next_entry((void **)&tables->scopes, &tables->n_scopes,
                   &tables->scopes_room, sizeof(*scope));
    if (scope == NULL || tables->ranges.n >= NONE) {
        walk->memory = false;
        return;
    }
    level->scope = (uint32_t)(tables->n_scopes - 1);
    *scope = (struct mt_scope){
        .die = entry->offset,
        .end = level->scope + 1,
        .inlined = entry->kind == MT_DIE_INLINED,
        .first_range = (uint32_t)before,
        .n_ranges = (uint32_t)(tables->ranges.n - before),
    };
    if (scope->inlined) {
        scope->call_file =
            (uint32_t)mt_entry_number(entry, MT_ENTRY_CALL_FILE, UINT32_MAX);
        scope->call_line =
            (uint32_t)mt_entry_number(entry, MT_ENTRY_CALL_LINE, 0);
        return;
    }
    for (size_t i = before; i < tables->ranges.n; i++)
        if (!mt_intervals_add(&tables->functions, tables->ranges.at[i].low,
                              tables->ranges.at[i].high, level->scope))
            walk->memory = false;
}

static void add_container(struct walk *walk, struct level *level,
                          const struct mt_entry *entry)
{
    struct mt_unit_tables *tables = walk->tables;
    struct mt_container *container =
        next_entry((void **)&tables->containers, &tables->n_containers,
                   &tables->containers_room, sizeof(*container));

    if (container == NULL) {
        walk->memory = false;
        return;
    }
    *container = (struct mt_container){
        .die = entry->offset,
        .end = UINT64_MAX,
        .outer = walk->container,
        .kind = entry->kind,
    };
    level->container = (uint32_t)(tables->n_containers - 1);
    walk->container = level->container + 1;
}

/* The last level's DIE and all in it end at OFFSET. */
static void dwarf_unit_leave(struct walk *walk, uint64_t offset)
{
    struct level *level = &walk->levels[--walk->depth];
    struct mt_unit_tables *tables = walk->tables;

    if (level->scope != NONE)
        tables->scopes[level->scope].end = (uint32_t)tables->n_scopes;
    if (level->container != NONE) {
        struct mt_container *container = &tables->containers[level->container];

        walk->container = container->outer;
        container->end = offset;
    }
}

/* Notes what a DIE opens; false if nothing in it can matter. */
static bool dwarf_unit_enter(struct walk *walk, const struct mt_entry *entry)
{
    struct level level = {NONE, NONE};
    bool matters = entry->kind != MT_DIE_OTHER && walk->depth < MAX_DEPTH;

    if (entry->kind == MT_DIE_FUNCTION || entry->kind == MT_DIE_INLINED)
        add_scope(walk, &level, entry);
    if (!matters || !entry->has_children)
        return matters;
    if (entry->kind == MT_DIE_NAMESPACE || entry->kind == MT_DIE_TYPE)
        add_container(walk, &level, entry);
    walk->levels[walk->depth++] = level;
    return true;
}

/* Reads the DIE at OFFSET, and returns where the next one is; 0 at the end of
 * the unit, or where it cannot be read. */
static uint64_t dwarf_unit_step(struct walk *walk, uint64_t offset)
{
    struct mt_entry entry;

    if (!mt_entry_read(walk->entries, offset, &entry))
        return 0;
    if (entry.ends) {
        if (walk->skipped > 0)
            walk->skipped--;
        else if (walk->depth > 0)
            dwarf_unit_leave(walk, entry.next);
        return walk->depth > 0 ? entry.next : 0;
    }
    if (walk->skipped == 0 && dwarf_unit_enter(walk, &entry))
        return walk->depth > 0 ? entry.next : 0;
    if (!entry.has_children)
        return entry.next;
    uint64_t sibling = mt_entry_sibling(walk->entries, &entry);
    if (sibling != 0)
        return sibling;
    walk->skipped++;
    return entry.next;
}

/* Tables of large programs: what they have to spare would be a third. */
static void unit_tables_fit(struct mt_unit_tables *tables)
{
    struct mt_intervals *functions = &tables->functions;

    if (tables->n_scopes > 0 &&
        mt_resize(&tables->scopes, tables->n_scopes, sizeof *tables->scopes))
        tables->scopes_room = tables->n_scopes;
    if (tables->ranges.n > 0 && mt_resize(&tables->ranges.at, tables->ranges.n,
                                          sizeof *tables->ranges.at))
        tables->ranges.room = tables->ranges.n;
    if (functions->n > 0 &&
        mt_resize(&functions->at, functions->n, sizeof *functions->at))
        functions->room = functions->n;
    if (tables->n_containers > 0 &&
        mt_resize(&tables->containers, tables->n_containers,
                  sizeof *tables->containers))
        tables->containers_room = tables->n_containers;
}

bool mt_unit_read(const struct mt_entries *entries, uint64_t die,
                  const struct mt_address_space *space,
                  struct mt_unit_tables *tables)
{
    struct walk *walk = calloc(1, sizeof(*walk));

    if (walk == NULL)
        return false;
    walk->entries = entries;
    walk->tables = tables;
    walk->space = space;
    walk->memory = true;
    while (die != 0 && walk->memory)
        die = dwarf_unit_step(walk, die);
    /* A unit that is cut has scopes that are open. */
    while (walk->depth > 0)
        dwarf_unit_leave(walk, UINT64_MAX);
    mt_intervals_sort(&tables->functions);
    unit_tables_fit(tables);
    bool memory = walk->memory;
    free(walk);
    return memory;
}

void mt_unit_tables_free(struct mt_unit_tables *tables)
{
    free(tables->scopes);
    free(tables->ranges.at);
    free(tables->containers);
    mt_intervals_free(&tables->functions);
    *tables = (struct mt_unit_tables){0};
}

size_t mt_unit_tables_bytes(const struct mt_unit_tables *tables)
{
    return tables->scopes_room * sizeof(*tables->scopes) +
           tables->ranges.room * sizeof(*tables->ranges.at) +
           tables->functions.room * sizeof(*tables->functions.at) +
           tables->containers_room * sizeof(*tables->containers);
}

static bool dwarf_unit_holds(const struct mt_unit_tables *tables,
                             const struct mt_scope *scope, uint64_t pc)
{
    const struct mt_range *range = tables->ranges.at + scope->first_range;

    for (uint32_t i = 0; i < scope->n_ranges; i++)
        if (pc >= range[i].low && pc < range[i].high)
            return true;
    return false;
}

size_t mt_unit_find(const struct mt_unit_tables *tables, uint64_t pc,
                    const struct mt_scope **out, size_t max, uint64_t *low)
{
    const struct mt_interval *span =
        mt_intervals_find(&tables->functions, pc, NULL);
    size_t n = 0;

    if (span == NULL || max == 0)
        return 0;
    const struct mt_scope *function = &tables->scopes[span->value];
    *low = span->low;
    out[n++] = function;
    uint32_t at = (uint32_t)span->value + 1, end = function->end;

    while (at < end && n < max) {
        const struct mt_scope *scope = &tables->scopes[at];

        if (scope->inlined && dwarf_unit_holds(tables, scope, pc)) {
            out[n++] = scope;
            end = scope->end;
            at++;
        } else {
            at = scope->end;
        }
    }
    for (size_t i = 0; i < n / 2; i++) {
        const struct mt_scope *swap = out[i];

        out[i] = out[n - 1 - i];
        out[n - 1 - i] = swap;
    }
    return n;
}

const struct mt_container *
mt_unit_container(const struct mt_unit_tables *tables, uint64_t die)
{
    const struct mt_container *all = tables->containers;
    size_t n = mt_count_below(all, tables->n_containers, die, die);

    if (n == 0)
        return NULL;
    /* The last one that starts before DIE, or one around that. */
    const struct mt_container *found = &all[n - 1];

    while (found->end <= die) {
        if (found->outer == 0)
            return NULL;
        found = &all[found->outer - 1];
    }
    return found;
}
