/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_callgrind.c - Callgrind's format: what each line allocated itself, and
 * what it had others allocate.
 */
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

static size_t callgrind_collect(const struct mt_profile *p,
                                struct callgrind_cost *costs)
{
    size_t n = 0;

    for (uint32_t i = 1; i < p->n_nodes; i++) {
        const struct mt_profile_node *node = &p->nodes[i];
        const struct mt_profile_frame *frame = &p->frames[node->frame];
        const struct mt_profile_frame *caller;
        if (callgrind_is_some(&node->self))
            costs[n++] = (struct callgrind_cost){
                frame->function, frame->line, MT_PROFILE_NONE, 0, node->self};
        if (node->parent == 0 || !callgrind_is_some(&node->total))
            continue;
        caller = &p->frames[p->nodes[node->parent].frame];
        costs[n++] =
            (struct callgrind_cost){caller->function, caller->line,
                                    frame->function, frame->line, node->total};
    }
    return n;
}

static size_t callgrind_merge(struct callgrind_cost *costs, size_t n)
{
    size_t kept = 0;

    qsort(costs, n, sizeof *costs, callgrind_by_place);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && callgrind_by_place(&costs[kept - 1], &costs[i]) == 0)
            for (unsigned m = 0; m < CALLGRIND_MEASURES; m++)
                costs[kept - 1].is.of[m] += costs[i].is.of[m];
        else
            costs[kept++] = costs[i];
    }
    return kept;
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
    struct callgrind_cost *costs = calloc(p->n_nodes * 2 + 1, sizeof *costs);
    FILE *out = export->out;
    size_t n;

    if (!costs)
        return mt_no_memory(error, "the report");
    n = callgrind_merge(costs, callgrind_collect(p, costs));
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
    for (size_t i = 0; i < n; i++) {
        const struct callgrind_cost *c = &costs[i];
        if (i == 0 || costs[i - 1].function != c->function) {
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
    free(costs);
    return true;
}
