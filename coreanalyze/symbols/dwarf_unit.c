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

/* One level of the walk through the tree of DIEs. */
struct level {
    struct mt_die *die;
    uint32_t scope, container; /* that `die` opened, or NONE */
};
struct walk {
    struct mt_dwarf_file *file;
    struct mt_unit_tables *tables;
    const struct mt_address_space *space;
    uint32_t container; /* the innermost open one: index + 1, or 0 */
    uint32_t open;      /* first of the containers that end with a level whose
                           end is not known yet: index + 1, or 0 */
    bool memory;        /* is left */
    unsigned depth;
    struct level levels[MAX_DEPTH];
};

static void *next_entry(void **array, size_t *n, size_t *room, size_t bytes)
{
    if (*n >= NONE || !mt_grow(array, room, *n + 1, bytes))
        return NULL;
    return (char *)*array + bytes * (*n)++;
}

static void add_scope(struct walk *walk, struct level *level,
                      enum mt_die_kind kind)
{
    struct mt_unit_tables *tables = walk->tables;
    size_t before = tables->ranges.n;

    struct mt_code code = mt_die_code(walk->file, level->die);

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
        .die = mt_die_offset(level->die),
        .end = level->scope + 1,
        .inlined = kind == MT_DIE_INLINED,
        .first_range = (uint32_t)before,
        .n_ranges = (uint32_t)(tables->ranges.n - before),
    };
    if (scope->inlined) {
        mt_die_call(walk->file, level->die, &scope->call_file,
                    &scope->call_line);
        return;
    }
    for (size_t i = before; i < tables->ranges.n; i++)
        if (!mt_intervals_add(&tables->functions, tables->ranges.at[i].low,
                              tables->ranges.at[i].high, level->scope))
            walk->memory = false;
}

static void add_container(struct walk *walk, struct level *level,
                          enum mt_die_kind kind)
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
        .die = mt_die_offset(level->die),
        .end = UINT64_MAX,
        .outer = walk->container,
        .kind = kind,
        .name = mt_die_text(walk->file, level->die, MT_DIE_NAME),
    };
    level->container = (uint32_t)(tables->n_containers - 1);
    walk->container = level->container + 1;
}

/* Notes what the top level's DIE opens; false if nothing in it can matter. */
static bool dwarf_unit_enter(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth];
    enum mt_die_kind kind = mt_die_kind(level->die);

    level->scope = level->container = NONE;
    switch (kind) {
    case MT_DIE_FUNCTION:
    case MT_DIE_INLINED:
        add_scope(walk, level, kind);
        return true;
    case MT_DIE_NAMESPACE:
    case MT_DIE_TYPE:
        add_container(walk, level, kind);
        return true;
    case MT_DIE_UNIT:
    case MT_DIE_PARTIAL:
    case MT_DIE_BLOCK:
        return true;
    default:
        return false;
    }
}

/* The top level's DIE and all in it are done; NEXT is where it ends, or 0 if it
 * is the last in its parent, and ends where that does. */
static void dwarf_unit_leave(struct walk *walk, uint64_t next)
{
    struct level *level = &walk->levels[walk->depth];
    struct mt_unit_tables *tables = walk->tables;

    if (level->scope != NONE)
        tables->scopes[level->scope].end = (uint32_t)tables->n_scopes;
    if (level->container != NONE) {
        struct mt_container *container = &tables->containers[level->container];

        walk->container = container->outer;
        /* Until the end is known it links those that wait for it. */
        container->end = walk->open;
        walk->open = level->container + 1;
    }
    while (next != 0 && walk->open != 0) {
        struct mt_container *container = &tables->containers[walk->open - 1];

        walk->open = (uint32_t)container->end;
        container->end = next;
    }
}

/* To the next DIE on the top level.  Offsets only grow: a broken file cannot
 * send the walk round in circles. */
static bool dwarf_unit_advance(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth];
    struct mt_die *next = mt_die_sibling(walk->file, level->die);

    if (next != NULL && mt_die_offset(next) <= mt_die_offset(level->die)) {
        mt_die_free(next);
        next = NULL;
    }
    dwarf_unit_leave(walk, next != NULL ? mt_die_offset(next) : 0);
    mt_die_free(level->die);
    level->die = next;
    return next != NULL;
}

static bool dwarf_unit_descend(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth];
    struct mt_die *child;

    if (walk->depth + 1 == MAX_DEPTH)
        return false;
    child = mt_die_child(walk->file, level->die);
    if (child == NULL)
        return false;
    if (mt_die_offset(child) <= mt_die_offset(level->die)) {
        mt_die_free(child);
        return false;
    }
    walk->levels[++walk->depth].die = child;
    return true;
}

bool mt_unit_read(struct mt_dwarf_file *file, struct mt_die *unit,
                  const struct mt_address_space *space,
                  struct mt_unit_tables *tables)
{
    struct walk *walk = calloc(1, sizeof(*walk));

    if (walk == NULL)
        return false;
    walk->file = file;
    walk->tables = tables;
    walk->space = space;
    walk->memory = true;
    walk->levels[0].die = mt_die_child(file, unit);
    bool more = walk->levels[0].die != NULL;

    while (more && walk->memory) {
        if (dwarf_unit_enter(walk) && dwarf_unit_descend(walk))
            continue;
        while (!(more = dwarf_unit_advance(walk)) && walk->depth > 0)
            walk->depth--;
    }
    for (unsigned i = 0; i <= walk->depth; i++)
        mt_die_free(walk->levels[i].die);
    walk->depth = 0;
    walk->levels[0].scope = walk->levels[0].container = NONE;
    dwarf_unit_leave(walk, UINT64_MAX);
    mt_intervals_sort(&tables->functions);
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
