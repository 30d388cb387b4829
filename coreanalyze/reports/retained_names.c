/* SPDX-License-Identifier: BSD-2-Clause
 *
 * retained_names.c - what holders and their places are called, and who holds
 * the blocks of each stack.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reports/print_retained.h"

#include <stdlib.h>

char *mt_retained_holder_name(const struct mt_retained_report *report,
                              const struct mt_holder *holder)
{
    const struct mt_namer *namer = &report->printer->namer;
    const struct mt_source *source = namer->model->source;
    const char *path;
    char *text = NULL;
    size_t bytes;
    FILE *out;

    if (holder->kind == MT_HOLDER_THREAD)
        return mt_name_thread(namer, holder->index);
    if (holder->kind == MT_HOLDER_KERNEL)
        return mt_name_kernel_word(namer, holder->index);
    if (holder->kind == MT_HOLDER_MAPPING)
        return mt_name_address(namer, source->mappings[holder->index].start);
    out = open_memstream(&text, &bytes);
    if (out == NULL) {
        mt_resolver_lacks(namer->resolver);
        return NULL;
    }
    path = source->modules[holder->index].path;
    fputs("data of ", out);
    mt_put_text(out, path ? mt_base_name(path) : "?");
    return fclose(out) == 0 ? text : NULL;
}

char *mt_retained_place_name(const struct mt_retained_report *report,
                             const struct mt_holder *holder,
                             const struct mt_holder_slot *place)
{
    const struct mt_namer *namer = &report->printer->namer;
    const struct mt_source *source = namer->model->source;
    uint64_t address = place->start, offset;
    const char *name;

    if (address == 0)
        return mt_name_word(namer, &report->retained->roots.words[place->word]);
    if (holder->kind == MT_HOLDER_MODULE &&
        mt_variable_at(namer->variables, &source->modules[holder->index],
                       address, &name, &offset))
        address -= offset;
    return mt_name_address(namer, address);
}

/* --- who holds a stack --- */

struct holder_names {
    const struct mt_retained_report *report;
    const struct mt_retained_stack **stacks; /* by id, or NULL */
    uint64_t *keys;                          /* of names: holder, place */
    size_t n, capacity;
    struct mt_table by_key;
};

static bool holder_match(const void *items, size_t item, const void *key)
{
    return ((const uint64_t *)items)[item] == *(const uint64_t *)key;
}

/* The index of the name of who holds a stack; MT_TABLE_NONE for nobody. */
static size_t holder_names_find(struct holder_names *names, uint32_t stack,
                                bool *no_memory)
{
    const struct mt_retained *r = names->report->retained;
    const struct mt_retained_stack *s = names->stacks[stack];
    uint32_t place = s ? s->place : UINT32_MAX;
    uint32_t holder = place < r->n_places ? r->places[place].holder
                      : s                 ? s->holder
                                          : UINT32_MAX;
    uint64_t key = (uint64_t)holder << 32 | place;
    size_t i;

    if (holder >= r->n_holders)
        return MT_TABLE_NONE;
    i = mt_table_find(&names->by_key, key, holder_match, names->keys, &key);
    if (i != MT_TABLE_NONE)
        return i;
    i = names->n;
    if (!mt_grow(&names->keys, &names->capacity, i + 1, sizeof *names->keys) ||
        !mt_table_add(&names->by_key, key, i)) {
        *no_memory = true;
        return MT_TABLE_NONE;
    }
    names->keys[names->n++] = key;
    return i;
}

static void holder_names_put(struct holder_names *names, struct mt_json *json)
{
    const struct mt_retained *r = names->report->retained;

    mt_json_open(json, "names", '[');
    for (size_t i = 0; i < names->n; i++) {
        const struct mt_holder *holder = &r->holders[names->keys[i] >> 32];
        uint32_t place = (uint32_t)names->keys[i];
        char *name = place < r->n_places
                         ? mt_retained_place_name(names->report, holder,
                                                  &r->places[place])
                         : mt_retained_holder_name(names->report, holder);
        mt_json_string(json, NULL, name ? name : "?");
        free(name);
    }
    mt_json_close(json, ']');
}

bool mt_json_put_stack_holders(struct mt_json *json,
                               const struct mt_retained_report *report,
                               struct mt_error *error)
{
    const struct mt_retained *r = report->retained;
    size_t n_stacks = report->printer->namer.model->n_stacks;
    struct holder_names names = {.report = report};
    bool no_memory = false;

    names.stacks = calloc(n_stacks + 1, sizeof *names.stacks);
    for (size_t i = 0; names.stacks && i < r->n_stacks; i++)
        names.stacks[r->stacks[i].stack] = &r->stacks[i];
    mt_json_open(json, "stack_holders", '{');
    mt_json_open(json, "of", '[');
    for (size_t i = 0; names.stacks && i < report->n_held_stacks; i++) {
        size_t name = MT_TABLE_NONE;
        if (report->held_stacks[i] < n_stacks)
            name =
                holder_names_find(&names, report->held_stacks[i], &no_memory);
        if (name == MT_TABLE_NONE)
            mt_json_null(json, NULL);
        else
            mt_json_u64(json, NULL, name);
    }
    mt_json_close(json, ']');
    holder_names_put(&names, json);
    mt_json_close(json, '}');
    no_memory |= !names.stacks;
    free(names.stacks);
    free(names.keys);
    mt_table_free(&names.by_key);
    return !no_memory || mt_no_memory(error, "the holders");
}
