/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_retained.c - retained memory by root, by block and by stack, as text
 * and as JSON.
 */
#include "coreanalyze/reports/print_retained.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/reports/style.h"
#include "coreanalyze/reports/summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* --- the roots that are shown: holders, and below them their places --- */

struct root {
    const struct mt_holder *holder;
    const struct mt_holder_slot *place; /* NULL: the holder */
    struct mt_show_sum sum;
    uint64_t holder_bytes;
};

static int retained_print_compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int retained_print_by_bytes(const void *a, const void *b)
{
    const struct root *x = a, *y = b;
    int order = retained_print_compare(y->sum.bytes, x->sum.bytes);

    /* A holder has at least what its places have, and comes before them. */
    if (order == 0)
        order = retained_print_compare(y->sum.count, x->sum.count);
    if (order == 0)
        order =
            retained_print_compare((uintptr_t)x->holder, (uintptr_t)y->holder);
    if (order == 0)
        order = (x->place != NULL) - (y->place != NULL);
    return order ? order
                 : retained_print_compare((uintptr_t)x->place,
                                          (uintptr_t)y->place);
}

/* Holders by what they retain, each followed by its places. */
static int by_holder(const void *a, const void *b)
{
    const struct root *x = a, *y = b;
    int order = retained_print_compare(y->holder_bytes, x->holder_bytes);

    if (order == 0)
        order =
            retained_print_compare((uintptr_t)x->holder, (uintptr_t)y->holder);
    if (order == 0)
        order = (x->place != NULL) - (y->place != NULL);
    return order ? order : retained_print_by_bytes(x, y);
}

static void add_root(struct root *roots, size_t *n, const struct root *root)
{
    if (root->sum.count > 0)
        roots[(*n)++] = *root;
}

/* The `top` largest ones, and the holders of those; NULL when out of memory. */
static struct root *choose_roots(const struct mt_retained_report *report,
                                 size_t *n)
{
    const struct mt_retained *r = report->retained;
    struct root *roots = calloc(r->n_holders + r->n_places + 1, sizeof *roots);

    *n = 0;
    if (roots == NULL)
        return NULL;
    for (size_t i = 0; i < r->n_holders; i++) {
        const struct mt_holder *h = &r->holders[i];
        struct root root = {h, NULL, h->retained, h->retained.bytes};
        add_root(roots, n, &root);
        if (h->kind == MT_HOLDER_MAPPING || h->kind == MT_HOLDER_KERNEL)
            continue;
        for (uint32_t p = h->first; p != NONE; p = r->places[p].next) {
            root.place = &r->places[p];
            root.sum = r->places[p].retained;
            add_root(roots, n, &root);
        }
    }
    qsort(roots, *n, sizeof *roots, retained_print_by_bytes);
    if (report->top > 0 && *n > report->top)
        *n = report->top;
    qsort(roots, *n, sizeof *roots, by_holder);
    return roots;
}

static char *name_root(const struct mt_retained_report *report,
                       const struct root *root)
{
    return root->place
               ? mt_retained_place_name(report, root->holder, root->place)
               : mt_retained_holder_name(report, root->holder);
}

/* --- rows of stacks --- */

static struct mt_show_row
retained_print_row_of(const struct mt_model *model,
                      const struct mt_retained_stack *stack)
{
    return (struct mt_show_row){.stack = stack->stack,
                                .depth = model->stacks[stack->stack].depth,
                                .heap = stack->heap,
                                .oldest_epoch = stack->epoch,
                                .newest_epoch = stack->epoch};
}

static struct mt_report report_of(const struct mt_retained_report *report)
{
    const struct mt_block_printer *w = report->printer;

    return (struct mt_report){w->namer.model, NULL, w->namer.resolver,
                              w->out,         NULL, w->style};
}

static size_t shown_stacks(const struct mt_retained_report *report)
{
    size_t n = report->retained->n_stacks;

    return report->top > 0 && n > report->top ? report->top : n;
}

/* --- text --- */

#define ROOT_COLUMN 34 /* where the names of roots begin */

static const char *retained_name(const struct mt_report *all, const char *name)
{
    if (!name)
        mt_resolver_lacks(all->resolver);
    return name ? name : "?";
}

static void retained_print_put_head(const struct mt_retained_report *report,
                                    const struct mt_report *all)
{
    const struct mt_retained *r = report->retained;
    const struct {
        const char *text;
        struct mt_show_sum sum;
    } sums[] = {
        {"of these by several threads or modules", r->shared},
        {"reached by none (see leaks)",
         {r->live.bytes - r->reached.bytes, r->live.count - r->reached.count}},
    };

    mt_summary_process(all);
    fputs(": ", all->out);
    mt_summary_amount(all, &r->reached);
    fputs(r->reached.count == 1 ? " is reached by roots\n"
                                : " are reached by roots\n",
          all->out);
    mt_summary_core(all);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        fprintf(all->out, "  %s: ", sums[i].text);
        mt_summary_amount(all, &sums[i].sum);
        putc('\n', all->out);
    }
}

static unsigned retained_print_percent(uint64_t part, uint64_t all)
{
    return all ? (unsigned)(((unsigned __int128)part * 200 + all) / 2 / all)
               : 0;
}

static void put_reached(const struct mt_report *all,
                        const struct mt_holder_slot *place)
{
    char text[MT_FIGURE_BYTES] = "";

    if (place && place->searched)
        mt_figure(all, place->reached.bytes, text);
    fprintf(all->out, "%8s  ", text);
}

static bool put_roots(const struct mt_retained_report *report,
                      const struct mt_report *all)
{
    uint64_t reached = report->retained->reached.bytes;
    char text[MT_FIGURE_BYTES];
    size_t n;
    struct root *roots = choose_roots(report, &n);

    if (roots == NULL)
        return false;
    if (n > 0)
        fprintf(all->out, "\n%9s %4s %8s %8s  Root\n", "Retained", "%",
                "Blocks", "Reached");
    for (size_t i = 0; i < n; i++) {
        char *name = name_root(report, &roots[i]);
        fprintf(all->out, "%9s %3u%% %8" PRIu64 " ",
                mt_figure(all, roots[i].sum.bytes, text),
                retained_print_percent(roots[i].sum.bytes, reached),
                roots[i].sum.count);
        put_reached(all, roots[i].place);
        fputs(roots[i].place ? "  " : "", all->out);
        mt_put_in_line(all, retained_name(all, name),
                       ROOT_COLUMN + !!roots[i].place * 2);
        putc('\n', all->out);
        free(name);
    }
    free(roots);
    return true;
}

#define SHARERS 3u                   /* that are named */
#define SHARER_COLUMN (20 + 11 + 14) /* with what comes after the name */

/* Names roots that reach a block which is retained by none of them. */
static void put_sharers(const struct mt_retained_report *report,
                        const struct mt_report *all, unsigned shared)
{
    const struct mt_retained *r = report->retained;
    char text[MT_FIGURE_BYTES], *name;
    size_t n = 0;

    for (size_t i = 0; i < r->n_places; i++) {
        if (!(r->places[i].shares >> shared & 1) || n++ >= SHARERS)
            continue;
        name = mt_retained_place_name(report, &r->holders[r->places[i].holder],
                                      &r->places[i]);
        mt_figure(all, r->places[i].reached.bytes, text);
        fprintf(all->out, "%20sreached by ", "");
        mt_put_in_line(all, retained_name(all, name),
                       SHARER_COLUMN + (int)strlen(text));
        fprintf(all->out, " (it reaches %s)\n", text);
        free(name);
    }
    if (n > SHARERS)
        mt_put_count(all->out, "                    and by %s other root{|s}\n",
                     n - SHARERS);
}

static void retained_print_put_block(const struct mt_report *all,
                                     const struct mt_block *block, int indent)
{
    struct mt_show_row row = {.heap = block->heap,
                              .stack = block->stack,
                              .depth = all->model->stacks[block->stack].depth};

    mt_print_row_stack(
        all, &row, mt_report_is_full(all) ? indent : mt_row_indent(all, indent),
        MT_ROW_CALLERS);
}

static void put_shared(const struct mt_retained_report *report,
                       const struct mt_report *all)
{
    const struct mt_retained *r = report->retained;
    char text[MT_FIGURE_BYTES];
    unsigned shown = 0;
    int indent;

    /* A thousandth is of interest to nobody. */
    while (shown < r->n_shared_blocks &&
           (report->top == 0 || shown < report->top) &&
           r->shared_blocks[shown].retained.bytes >= r->reached.bytes / 1000)
        shown++;
    if (shown > 0)
        fprintf(all->out, "\n%9s %8s  Block that several roots reach\n",
                "Bytes", "Blocks");
    for (unsigned i = 0; i < shown; i++) {
        indent =
            fprintf(all->out, "%9s %8" PRIu64 "  ",
                    mt_figure(all, r->shared_blocks[i].retained.bytes, text),
                    r->shared_blocks[i].retained.count);
        indent += fprintf(all->out, "0x%" PRIx64 "  ",
                          r->shared_blocks[i].block.address);
        retained_print_put_block(all, &r->shared_blocks[i].block, indent);
        put_sharers(report, all, i);
    }
}

static void put_blocks(const struct mt_retained_report *report,
                       const struct mt_report *all)
{
    const struct mt_retained *r = report->retained;
    char text[MT_FIGURE_BYTES], sample[24];
    bool inner = false;
    int indent;

    if (r->n_blocks > 0)
        fprintf(all->out, "\n%9s %8s %8s %14s  Block, or nodes like it\n",
                "Retained", "Blocks", "Nodes", "Sample");
    for (size_t i = 0; i < r->n_blocks; i++) {
        const struct mt_retained_block *b = &r->blocks[i];
        snprintf(sample, sizeof sample, "0x%" PRIx64, b->block.address);
        indent = fprintf(all->out, "%9s %8" PRIu64 " %8" PRIu64 " %14s  ",
                         mt_figure(all, b->retained.bytes, text),
                         b->retained.count, b->nodes, sample);
        inner |= b->retained.count > b->nodes;
        retained_print_put_block(all, &b->block, indent);
    }
    if (r->n_blocks < r->n_all_blocks)
        mt_put_count(all->out, "  %s more row{|s} of blocks (--top)\n",
                     r->n_all_blocks - r->n_blocks);
    if (!report->inner && inner)
        fputs("  blocks that these retain have no rows (--inner)\n", all->out);
}

static void retained_print_put_stacks(const struct mt_retained_report *report,
                                      const struct mt_report *all)
{
    const struct mt_retained *r = report->retained;
    char text[MT_FIGURE_BYTES], own[MT_FIGURE_BYTES], sample[24];
    size_t n = shown_stacks(report);
    int indent;

    if (n > 0)
        fprintf(all->out, "\n%9s %8s %8s %14s  All blocks of a stack\n",
                "Retained", "Own", "Count", "Sample");
    for (size_t i = 0; i < n; i++) {
        const struct mt_retained_stack *stack = &r->stacks[i];
        struct mt_show_row row = retained_print_row_of(all->model, stack);
        snprintf(sample, sizeof sample, "0x%" PRIx64, stack->sample);
        indent = fprintf(all->out, "%9s %8s %8" PRIu64 " %14s  ",
                         mt_figure(all, stack->retained.bytes, text),
                         mt_figure(all, stack->own.bytes, own),
                         stack->own.count, sample);
        if (!mt_report_is_full(all))
            indent = mt_row_indent(all, indent);
        mt_print_row_stack(all, &row, indent, MT_ROW_CALLERS);
    }
    if (n < r->n_stacks)
        mt_put_count(all->out, "  %s more stack{|s} (--top 0 shows all)\n",
                     r->n_stacks - n);
}

/* Is there a root of which it is not known what it reaches? */
static bool unsearched(const struct mt_retained *r)
{
    for (size_t i = 0; i < r->n_places; i++)
        if (!r->places[i].searched)
            return true;
    return false;
}

static void retained_print_put_notes(const struct mt_retained_report *report)
{
    const struct mt_retained *r = report->retained;
    const struct mt_report all = report_of(report);
    FILE *out = report->printer->out;

    putc('\n', out);
    if (unsearched(r))
        fputs("  note: the graph is too large to say of every root what it "
              "reaches\n",
              out);
    if (r->missing_bytes)
        mt_report_put_count(&all,
                            "  note: %b of roots and blocks could not be "
                            "read\n",
                            r->missing_bytes);
    if (r->roots.coverage.missing_bytes)
        mt_report_put_count(&all,
                            "  note: %b of writable memory {is|are} not in "
                            "the core\n",
                            r->roots.coverage.missing_bytes);
    if (r->roots.coverage.threads_without_registers)
        mt_put_count(out, "  note: %s thread{ has|s have} no registers\n",
                     r->roots.coverage.threads_without_registers);
    mt_print_notes(&all, "  note: ");
}

bool mt_print_retained(const struct mt_retained_report *report,
                       struct mt_error *error)
{
    const struct mt_report all = report_of(report);

    retained_print_put_head(report, &all);
    if (!put_roots(report, &all))
        return mt_no_memory(error, "the report");
    put_shared(report, &all);
    put_blocks(report, &all);
    retained_print_put_stacks(report, &all);
    retained_print_put_notes(report);
    return true;
}

/* --- JSON --- */

static void put_json_root(struct mt_json *json,
                          const struct mt_retained_report *report,
                          const struct root *root)
{
    static const char *const kinds[] = {"thread", "module", "mapping"};
    char *name = name_root(report, root);

    mt_json_open(json, NULL, '{');
    mt_json_string(json, "name", name);
    mt_json_string(json, "kind", kinds[root->holder->kind]);
    mt_json_bool(json, "place", root->place != NULL);
    if (root->place && root->place->start)
        mt_json_address(json, "at", root->place->start);
    mt_json_u64(json, "bytes", root->sum.bytes);
    mt_json_u64(json, "count", root->sum.count);
    if (root->place && root->place->searched)
        mt_json_put_sum(json, "reached", &root->place->reached);
    mt_json_close(json, '}');
    free(name);
}

static void put_json_blocks(struct mt_json *json,
                            const struct mt_retained_report *report)
{
    const struct mt_retained *r = report->retained;

    mt_json_open(json, "blocks", '[');
    for (size_t i = 0; i < r->n_blocks; i++) {
        const struct mt_block *block = &r->blocks[i].block;
        mt_json_open(json, NULL, '{');
        mt_json_u64(json, "retained_bytes", r->blocks[i].retained.bytes);
        mt_json_u64(json, "retained_count", r->blocks[i].retained.count);
        mt_json_u64(json, "nodes", r->blocks[i].nodes);
        mt_json_bool(json, "inner", r->blocks[i].inner);
        mt_json_put_block(json, report->printer, block, block->address);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

static void put_json_stacks(struct mt_json *json,
                            const struct mt_retained_report *report)
{
    const struct mt_report frames = report_of(report);
    size_t n = shown_stacks(report);

    mt_json_open(json, "stacks", '[');
    for (size_t i = 0; i < n; i++) {
        const struct mt_retained_stack *s = &report->retained->stacks[i];
        struct mt_show_row row = retained_print_row_of(frames.model, s);
        mt_json_open(json, NULL, '{');
        mt_json_u64(json, "retained_bytes", s->retained.bytes);
        mt_json_u64(json, "retained_count", s->retained.count);
        mt_json_u64(json, "bytes", s->own.bytes);
        mt_json_u64(json, "count", s->own.count);
        mt_json_address(json, "sample", s->sample);
        mt_json_bool(json, "traced", s->stack >= MT_ID_FIRST);
        mt_json_put_frames(json, &frames, &row, NULL);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

static void put_json_shared(struct mt_json *json,
                            const struct mt_retained_report *report)
{
    const struct mt_retained *r = report->retained;
    char *name;

    mt_json_open(json, "shared_blocks", '[');
    for (unsigned i = 0; i < r->n_shared_blocks; i++) {
        mt_json_open(json, NULL, '{');
        mt_json_address(json, "start", r->shared_blocks[i].block.address);
        mt_json_u64(json, "retained_bytes", r->shared_blocks[i].retained.bytes);
        mt_json_u64(json, "retained_count", r->shared_blocks[i].retained.count);
        mt_json_open(json, "roots", '[');
        for (size_t p = 0; p < r->n_places; p++) {
            if (!(r->places[p].shares >> i & 1))
                continue;
            name = mt_retained_place_name(
                report, &r->holders[r->places[p].holder], &r->places[p]);
            mt_json_string(json, NULL, name);
            free(name);
        }
        mt_json_close(json, ']');
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

bool mt_print_retained_json(const struct mt_retained_report *report,
                            struct mt_error *error)
{
    const struct mt_retained *r = report->retained;
    const struct mt_report all = report_of(report);
    struct mt_json json = {.out = report->printer->out};
    size_t n;
    struct root *roots = choose_roots(report, &n);

    if (roots == NULL)
        return mt_no_memory(error, "the report");
    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    mt_json_put_target(&json, all.model);
    mt_json_put_sum(&json, "live", &r->live);
    mt_json_put_sum(&json, "reached", &r->reached);
    mt_json_put_sum(&json, "shared", &r->shared);
    mt_json_u64(&json, "pointers", r->n_pointers);
    mt_json_open(&json, "roots", '[');
    for (size_t i = 0; i < n; i++)
        put_json_root(&json, report, &roots[i]);
    mt_json_close(&json, ']');
    put_json_shared(&json, report);
    put_json_blocks(&json, report);
    put_json_stacks(&json, report);
    if (report->held_stacks &&
        !mt_json_put_stack_holders(&json, report, error)) {
        free(roots);
        return false;
    }
    mt_json_u64(&json, "unreadable_bytes", r->missing_bytes);
    mt_json_u64(&json, "missing_root_bytes", r->roots.coverage.missing_bytes);
    mt_json_u64(&json, "threads_without_registers",
                r->roots.coverage.threads_without_registers);
    mt_json_put_coverage(&json, &all);
    mt_json_close(&json, '}');
    free(roots);
    return true;
}
