/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_pages.c - processes, the callers of a row, threads, heaps, and what is
 * not seen.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/top/top_figures.h"
#include "coreanalyze/top/top_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void pages_warn(struct mt_top_lines *lines, const char *text)
{
    fputs(text, lines->out);
    mt_top_line_end(lines, MT_LOOK_WARNING, MT_TOP_NO_ITEM);
}

/* --- processes --- */

static const char *process_rate(const struct mt_top_view *view,
                                const struct mt_top_process *p, bool allocs,
                                char text[MT_TOP_FIGURE])
{
    const struct mt_style *style = &view->top->options->style;
    const struct mt_top_history *h = &p->history;

    if (h->refreshes < 2 || p->ended)
        return strcpy(text, "-");
    if (allocs)
        return mt_top_count(style,
                            (uint64_t)mt_top_whole(mt_top_rate(
                                h, h->total.allocs, h->total_before.allocs)),
                            text);
    return mt_top_signed_bytes(
        style,
        mt_top_whole(mt_top_rate(h, h->total.bytes, h->total_before.bytes)),
        text);
}

static void pages_put_process(const struct mt_top_view *view, size_t i,
                              struct mt_top_lines *lines)
{
    const struct mt_top_process *p = view->top->processes[i];
    const struct mt_style *style = &view->top->options->style;
    const struct mt_top_history *h = &p->history;
    int wide = style->bytes ? 14 : 7;
    FILE *out = lines->out;
    char text[MT_TOP_FIGURE];

    fprintf(out, "%7d ", (int)p->pid);
    if (p->model) {
        fprintf(out, "%*s ", wide, mt_top_bytes(style, h->total.bytes, text));
        fprintf(out, "%*s ", wide + 1, process_rate(view, p, false, text));
        fprintf(out, "%7s ", mt_top_count(style, h->total.blocks, text));
        fprintf(out, "%8s ", process_rate(view, p, true, text));
        fprintf(out, "%*s ", wide,
                p->ended
                    ? "-"
                    : mt_top_bytes(style, p->source->process.rss_bytes, text));
        fprintf(out, "%7s  ", mt_top_count(style, p->n_stacks, text));
    } else {
        fprintf(out, "%*s %*s %7s %8s %*s %7s  ", wide, "-", wide + 1, "-", "-",
                "-", wide, "-", "-");
    }
    if (p->parent)
        fputs(" ", out);
    mt_put_text(out, p->name[0] ? p->name : "?");
    if (p->ended)
        fputs(": has ended", out);
    else if (!p->model)
        fputs(": not traced", out);
    mt_top_line_end(lines, p->model ? MT_LOOK_PLAIN : MT_LOOK_WARNING, i);
}

/* Sums over processes that run. */
static void pages_put_sum(const struct mt_top_view *view,
                          struct mt_top_lines *lines)
{
    const struct mt_style *style = &view->top->options->style;
    struct mt_top_figures sum = {0};
    double change = 0, allocs = 0;
    uint64_t rss = 0, stacks = 0;
    int wide = style->bytes ? 14 : 7;
    FILE *out = lines->out;
    char text[MT_TOP_FIGURE];

    for (size_t i = 0; i < view->top->n; i++) {
        const struct mt_top_process *p = view->top->processes[i];
        const struct mt_top_history *h = &p->history;
        if (!p->model || p->ended)
            continue;
        sum.bytes += h->total.bytes;
        sum.blocks += h->total.blocks;
        change += mt_top_rate(h, h->total.bytes, h->total_before.bytes);
        allocs += mt_top_rate(h, h->total.allocs, h->total_before.allocs);
        rss += p->source->process.rss_bytes;
        stacks += p->n_stacks;
    }
    fprintf(out, "%7s %*s ", "all", wide, mt_top_bytes(style, sum.bytes, text));
    fprintf(out, "%*s ", wide + 1,
            mt_top_signed_bytes(style, mt_top_whole(change), text));
    fprintf(out, "%7s ", mt_top_count(style, sum.blocks, text));
    fprintf(out, "%8s ",
            mt_top_count(style, (uint64_t)mt_top_whole(allocs), text));
    fprintf(out, "%*s ", wide, mt_top_bytes(style, rss, text));
    fprintf(out, "%7s", mt_top_count(style, stacks, text));
    mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
}

void mt_top_put_processes(struct mt_top_view *view, struct mt_top_lines *lines)
{
    int wide = view->top->options->style.bytes ? 14 : 7;

    view->all = view->top->n;
    pages_put_sum(view, lines);
    fprintf(lines->out, "%7s %*s %*s %7s %8s %*s %7s  %s", "PID", wide, "Live",
            wide + 1, "Change/s", "Blocks", "Allocs/s", wide, "RSS", "Stacks",
            "Process");
    mt_top_line_end(lines, MT_LOOK_HEAD, MT_TOP_NO_ITEM);
    for (size_t i = view->first;
         i < view->top->n && i - view->first < view->most; i++)
        pages_put_process(view, i, lines);
}

/* --- the callers of a row --- */

struct path {
    uint64_t pcs[MT_MAX_FRAMES]; /* innermost first */
    size_t n;
    uint64_t bytes[MT_MAX_FRAMES]; /* live, of all stacks that pass there */
};

/* Adds a stack to the frames of the path that it shares, seen from the
 * outermost one. */
static void path_add(struct mt_top_process *p, struct path *path,
                     const struct mt_top_row *row)
{
    uint64_t pcs[MT_MAX_FRAMES];
    size_t n = mt_model_frames(p->model, row->row.stack, pcs);

    for (size_t i = 1; i <= n && i <= path->n; i++) {
        if (pcs[n - i] != path->pcs[path->n - i])
            break;
        path->bytes[path->n - i] += row->now.bytes;
    }
}

struct path_writer {
    const struct mt_top_view *view;
    struct mt_top_lines *lines;
    struct path path;
    size_t at, line; /* frame of the path; line that is shown */
};

static void path_put_frame(struct path_writer *w, const struct mt_frame *frame)
{
    struct mt_style style = w->view->top->options->style;
    struct mt_top_process *p = mt_top_view_process(w->view);
    const struct mt_report report = {p->model,      &p->show, p->resolver,
                                     w->lines->out, NULL,     &style};
    char text[MT_TOP_FIGURE];
    int figure = style.bytes ? 14 : 7;

    if (w->line++ < w->view->first || w->line - w->view->first > w->view->most)
        return;
    style.full = style.colour = false;
    fprintf(report.out, "%*s  ", figure,
            mt_top_bytes(&style, w->path.bytes[w->at], text));
    mt_print_frame(&report, frame,
                   style.width ? style.width - (unsigned)figure - 2 : SIZE_MAX,
                   false);
    mt_top_line_end(w->lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
}

static void path_put(struct path_writer *w, struct mt_top_process *p,
                     const struct mt_top_row *row)
{
    struct mt_resolved found = {NULL, 0, false};

    for (w->at = 0; w->at < w->path.n && w->at < row->row.depth; w->at++) {
        struct mt_pc at = {w->path.pcs[w->at],
                           p->model->stacks[row->row.stack].modules,
                           found.signal_frame};
        found = mt_resolve(p->resolver, &at);
        for (size_t i = 0; i < found.n; i++)
            path_put_frame(w, &found.frames[i]);
    }
}

void mt_top_put_stack(struct mt_top_view *view, struct mt_top_lines *lines)
{
    struct mt_top_process *p = mt_top_view_process(view);
    const struct mt_top_row *row;
    struct path_writer *w;

    if (view->chosen >= p->history.n)
        return;
    row = &p->history.rows[view->chosen];
    if (!mt_top_process_has(p, row)) {
        pages_warn(lines, p->ended ? "the process has ended: its stacks cannot "
                                     "be read"
                                   : "no block has this stack any more");
        return;
    }
    w = calloc(1, sizeof *w);
    if (!w) {
        lines->incomplete = true;
        return;
    }
    w->view = view;
    w->lines = lines;
    w->path.n = mt_model_frames(p->model, row->row.stack, w->path.pcs);
    for (size_t i = 0; i < p->history.n; i++)
        if (p->history.rows[i].now.blocks > 0 &&
            mt_top_process_has(p, &p->history.rows[i]))
            path_add(p, &w->path, &p->history.rows[i]);
    fprintf(lines->out, "%*s  %s", view->top->options->style.bytes ? 14 : 7,
            "Live", "Frame, and what all stacks hold that pass it");
    mt_top_line_end(lines, MT_LOOK_HEAD, MT_TOP_NO_ITEM);
    path_put(w, p, row);
    if (w->path.n == 0)
        pages_warn(lines, "this stack has no frames");
    view->all = w->line;
    free(w);
}

/* --- threads --- */

struct thread_sum {
    uint32_t record;
    uint64_t bytes, blocks, stacks;
};

static int thread_by_bytes(const void *a, const void *b)
{
    const struct thread_sum *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->record < y->record ? -1 : x->record > y->record;
}

static struct thread_sum *thread_sums(const struct mt_show *show, size_t *n)
{
    struct thread_sum *sums = NULL;
    size_t capacity = 0;

    *n = 0;
    for (size_t i = 0; i < show->n_rows; i++) {
        const struct mt_show_row *row = &show->rows[i];
        size_t at = 0;
        if (row->count == 0)
            continue;
        while (at < *n && sums[at].record != row->thread)
            at++;
        if (at == *n) {
            if (!mt_grow(&sums, &capacity, *n + 1, sizeof *sums)) {
                free(sums);
                return NULL;
            }
            sums[(*n)++] = (struct thread_sum){.record = row->thread};
        }
        sums[at].bytes += row->bytes;
        sums[at].blocks += row->count;
        sums[at].stacks++;
    }
    if (*n > 0)
        qsort(sums, *n, sizeof *sums, thread_by_bytes);
    return sums;
}

static void pages_put_thread(const struct mt_top_view *view,
                             const struct mt_model *model,
                             const struct thread_sum *sum,
                             struct mt_top_lines *lines)
{
    const struct mt_style *style = &view->top->options->style;
    const struct mt_traced_thread *thread = mt_model_thread(model, sum->record);
    FILE *out = lines->out;
    char text[MT_TOP_FIGURE];

    if (thread && thread->live)
        fprintf(out, "%8u ", thread->tid);
    else
        fprintf(out, "%8s ", "-");
    fprintf(out, "%*s ", style->bytes ? 14 : 7,
            mt_top_bytes(style, sum->bytes, text));
    fprintf(out, "%7s ", mt_top_count(style, sum->blocks, text));
    fprintf(out, "%7s  ", mt_top_count(style, sum->stacks, text));
    if (thread) {
        mt_put_text(out, thread->name[0] ? thread->name : "?");
        if (!thread->live)
            fputs(" (has exited)", out);
    } else {
        fputs("of no thread that is known, as of those that have exited", out);
    }
    mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
}

void mt_top_put_threads(struct mt_top_view *view, struct mt_top_lines *lines)
{
    struct mt_top_process *p = mt_top_view_process(view);
    struct thread_sum *sums;

    p->wanted.threads = true;
    if (!p->show_by_thread) {
        pages_warn(lines, p->ended ? "the process has ended: its threads were "
                                     "not looked at"
                                   : "threads come with the next refresh");
        return;
    }
    sums = thread_sums(&p->show, &view->all);
    fprintf(lines->out, "%8s %*s %7s %7s  %s", "TID",
            view->top->options->style.bytes ? 14 : 7, "Live", "Blocks",
            "Stacks", "Thread that owns the memory");
    mt_top_line_end(lines, MT_LOOK_HEAD, MT_TOP_NO_ITEM);
    lines->incomplete |= !sums && view->all > 0;
    for (size_t i = view->first;
         sums && i < view->all && i - view->first < view->most; i++)
        pages_put_thread(view, p->model, &sums[i], lines);
    free(sums);
}

/* --- heaps --- */

static void pages_put_heap(const struct mt_top_view *view,
                           const struct mt_top_process *p, uint32_t heap,
                           struct mt_top_lines *lines)
{
    const struct mt_style *style = &view->top->options->style;
    const struct mt_heap *h = &p->model->heaps[heap];
    const struct mt_heap_usage *usage = &p->show.usage[heap];
    int wide = style->bytes ? 14 : 8;
    FILE *out = lines->out;
    char text[MT_TOP_FIGURE];

    fprintf(out, "%*s ", wide,
            mt_top_bytes(style, p->show.traced[heap].bytes, text));
    fprintf(out, "%7s ", mt_top_count(style, p->show.traced[heap].count, text));
    fprintf(out, "%*s ", wide, mt_top_bytes(style, usage->used_bytes, text));
    fprintf(out, "%*s ", wide, mt_top_bytes(style, h->committed, text));
    fprintf(out, "%*s ", wide, mt_top_bytes(style, h->span_bytes_peak, text));
    fprintf(out, "%*s  ", wide,
            h->limit ? mt_top_bytes(style, h->limit, text) : "-");
    mt_put_text(out, h->name);
    if (!h->tracing)
        fputs(", tracing off", out);
    if (h->failures)
        mt_put_count(out, ", %s allocation{|s} failed", h->failures);
    mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
}

void mt_top_put_heaps(struct mt_top_view *view, struct mt_top_lines *lines)
{
    struct mt_top_process *p = mt_top_view_process(view);
    int wide = view->top->options->style.bytes ? 14 : 8;

    fprintf(lines->out, "%*s %7s %*s %*s %*s %*s  %s", wide, "Live", "Blocks",
            wide, "In use", wide, "Mapped", wide, "Peak", wide, "Limit",
            "Heap");
    mt_top_line_end(lines, MT_LOOK_HEAD, MT_TOP_NO_ITEM);
    for (uint32_t i = 0; i < p->model->n_heaps; i++) {
        if (!mt_show_wants(p->model, &p->show, i))
            continue;
        if (view->all >= view->first && view->all - view->first < view->most)
            pages_put_heap(view, p, i, lines);
        view->all++;
    }
}

/* --- what is not seen --- */

void mt_top_put_notes(struct mt_top_view *view, struct mt_top_lines *lines)
{
    struct mt_top_process *p = mt_top_view_process(view);
    const struct mt_style *style = &view->top->options->style;
    char *text = NULL;
    size_t bytes = 0, n = 0;
    FILE *out;
    const struct mt_report report = {p->model, &p->show, p->resolver,
                                     NULL,     NULL,     style};
    struct mt_report to = report;

    fputs("What the figures do not show", lines->out);
    mt_top_line_end(lines, MT_LOOK_HEAD, MT_TOP_NO_ITEM);
    if (p->ended) {
        pages_warn(lines, "the process has ended: it was not asked");
        return;
    }
    out = open_memstream(&text, &bytes);
    if (!out) {
        lines->incomplete = true;
        return;
    }
    to.out = out;
    n = mt_print_notes(&to, "");
    fclose(out);
    if (text)
        mt_top_lines_add(lines, text, MT_LOOK_PLAIN);
    if (n == 0)
        mt_top_lines_add(lines, "nothing that the trace knows of",
                         MT_LOOK_PLAIN);
    fprintf(lines->out, "The last refresh took %u.%u ms of CPU time.",
            (unsigned)(p->cpu_ns / 1000000),
            (unsigned)(p->cpu_ns / 100000 % 10));
    mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
    free(text);
}
