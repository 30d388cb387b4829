/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_callgrind.c - Callgrind's format: what each line allocated itself, and
 * what it had others allocate.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/export/export.h"

#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#define CALLGRIND_MEASURES (MT_ALLOCS + 1) /* the first ones */

/* Cost of a line; if `callee` is a function, of its calls from there. */
struct callgrind_cost {
    uint32_t function, line, callee, callee_line;
    struct mt_measures is;
};

static int callgrind_by_place(const void *a, const void *b)
{
    const struct callgrind_cost *x = a, *y = b;
    const uint32_t f[] = {x->function, ~x->callee, x->line, x->callee_line};
    const uint32_t g[] = {y->function, ~y->callee, y->line, y->callee_line};

    for (unsigned i = 0; i < 4; i++)
        if (f[i] != g[i])
            return f[i] < g[i] ? -1 : 1;
    return 0;
}

static bool callgrind_is_some(const struct mt_measures *is)
{
    for (unsigned m = 0; m < CALLGRIND_MEASURES; m++)
        if (is->of[m])
            return true;
    return false;
}

struct callgrind_costs {
    struct callgrind_cost *items;
    size_t n, capacity;
    struct mt_table table;
};

static bool callgrind_match(const void *items, size_t item, const void *key)
{
    const struct callgrind_cost *costs = items;

    return callgrind_by_place(&costs[item], key) == 0;
}

/* Adds to the cost of a place. */
static bool callgrind_add(struct callgrind_costs *costs,
                          const struct callgrind_cost *place,
                          const struct mt_measures *is)
{
    uint64_t hash = ((uint64_t)place->function << 32 ^ place->callee) *
                        UINT64_C(0x9e3779b97f4a7c15) ^
                    ((uint64_t)place->line << 32 ^ place->callee_line);
    size_t i = mt_table_find(&costs->table, hash, callgrind_match, costs->items,
                             place);

    if (i == MT_TABLE_NONE) {
        i = costs->n;
        if (!mt_grow(&costs->items, &costs->capacity, i + 1,
                     sizeof *costs->items) ||
            !mt_table_add(&costs->table, hash, i))
            return false;
        costs->items[costs->n++] = *place;
    }
    for (unsigned m = 0; m < CALLGRIND_MEASURES; m++)
        costs->items[i].is.of[m] += is->of[m];
    return true;
}

/* What was allocated at the end of a path is the cost of its last line, and of
 * each call on the way there. */
static bool callgrind_add_path(struct callgrind_costs *costs,
                               const struct mt_profile *p, uint32_t end)
{
    const struct mt_measures *is = mt_profile_self(p, end);
    const struct mt_profile_frame *frame = &p->frames[p->nodes[end].frame];
    struct callgrind_cost place = {.function = frame->function,
                                   .line = frame->line,
                                   .callee = MT_PROFILE_NONE};
    uint32_t node = p->nodes[end].parent;

    if (!callgrind_is_some(is))
        return true;
    if (!callgrind_add(costs, &place, is))
        return false;
    for (; node; node = p->nodes[node].parent) {
        const struct mt_profile_frame *caller =
            &p->frames[p->nodes[node].frame];
        place = (struct callgrind_cost){caller->function,
                                        caller->line,
                                        frame->function,
                                        frame->line,
                                        {{0}}};
        if (!callgrind_add(costs, &place, is))
            return false;
        frame = caller;
    }
    return true;
}

static bool callgrind_collect(struct callgrind_costs *costs,
                              const struct mt_profile *p)
{
    for (uint32_t i = 1; i < p->n_nodes; i++)
        if (p->nodes[i].end && !callgrind_add_path(costs, p, i))
            return false;
    if (costs->n)
        qsort(costs->items, costs->n, sizeof *costs->items, callgrind_by_place);
    return true;
}

static void callgrind_put_function(FILE *out, const struct mt_profile *p,
                                   uint32_t function, const char *prefix)
{
    const struct mt_profile_function *f = &p->functions[function];

    fprintf(out, "%sob=", prefix);
    mt_put_text(out, mt_profile_module_path(p, f->module));
    fprintf(out, "\n%s=", *prefix ? "cfi" : "fl");
    mt_put_text(out, f->file ? f->file : "???");
    fprintf(out, "\n%sfn=(%" PRIu32 ") ", prefix, function + 1);
    mt_put_text(out, f->name);
    putc('\n', out);
}

static void callgrind_put_measures(FILE *out, const struct mt_measures *is)
{
    for (unsigned m = 0; m < CALLGRIND_MEASURES; m++)
        fprintf(out, " %" PRIu64, is->of[m]);
    putc('\n', out);
}

bool mt_export_callgrind(const struct mt_export *export, struct mt_error *error)
{
    const struct mt_profile *p = export->now.profile;
    struct callgrind_costs costs = {0};
    FILE *out = export->out;
    bool ok = callgrind_collect(&costs, p);

    fprintf(out, "# callgrind format\nversion: 1\ncreator: memtrace %s\ncmd: ",
            PACKAGE_VERSION);
    mt_put_text(out, mt_export_command(p->model));
    fputs("\npositions: line\n"
          "event: LiveBytes : Live bytes\nevent: LiveBlocks : Live blocks\n"
          "event: AllocBytes : Bytes allocated since the start\n"
          "event: Allocs : Allocations since the start\n"
          "events: LiveBytes LiveBlocks AllocBytes Allocs\nsummary:",
          out);
    callgrind_put_measures(out, &p->total);
    for (size_t i = 0; ok && i < costs.n; i++) {
        const struct callgrind_cost *c = &costs.items[i];
        if (i == 0 || costs.items[i - 1].function != c->function) {
            putc('\n', out);
            callgrind_put_function(out, p, c->function, "");
        }
        if (c->callee != MT_PROFILE_NONE) {
            callgrind_put_function(out, p, c->callee, "c");
            fprintf(out, "calls=%" PRIu64 " %" PRIu32 "\n",
                    c->is.of[MT_ALLOCS] ? c->is.of[MT_ALLOCS]
                                        : c->is.of[MT_LIVE_BLOCKS],
                    c->callee_line);
        }
        fprintf(out, "%" PRIu32, c->line);
        callgrind_put_measures(out, &c->is);
    }
    fputs("\ntotals:", out);
    callgrind_put_measures(out, &p->total);
    free(costs.items);
    mt_table_free(&costs.table);
    return ok || mt_no_memory(error, "the report");
}
