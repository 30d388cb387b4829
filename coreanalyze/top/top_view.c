/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_view.c - the header of a process, and its stacks.
 */
#include "coreanalyze/top/top_view.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/reports/print.h"
#include "coreanalyze/reports/print_rows.h"
#include "coreanalyze/top/top_figures.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VIEW_LEAST_COLUMNS 24 /* of a title */
#define VIEW_LEAST_CALLEE 11  /* of what it called */
#define VIEW_ANY_COLUMNS 100000

void mt_top_view_begin(struct mt_top_view *view, struct mt_top *top)
{
    *view = (struct mt_top_view){.top = top, .most = SIZE_MAX};
    view->order.sort = top->options->sort;
    view->page = top->n > 1 ? MT_PAGE_PROCESSES : MT_PAGE_ROWS;
}

void mt_top_view_end(struct mt_top_view *view)
{
    mt_filter_free(view->filter);
    free(view->filter_text);
}

/* --- the filter --- */

bool mt_top_view_filter(struct mt_top_view *view, const char *text,
                        struct mt_error *error)
{
    struct mt_filter *filter = NULL;
    char *copy = NULL;

    if (text && *text) {
        copy = strdup(text);
        if (!copy)
            return mt_no_memory(error, "the filter");
        if (!mt_filter_new(text, NULL, &filter, error)) {
            free(copy);
            return false;
        }
    }
    mt_top_view_end(view);
    view->filter = filter;
    view->filter_text = copy;
    view->filter_version++;
    view->first = 0;
    return true;
}

/* A stack's answer stays as long as the filter does. */
static bool view_passes(void *context, struct mt_top_row *row)
{
    struct mt_top_view *view = context;
    struct mt_top_process *p = mt_top_view_process(view);

    if (row->filter_version == view->filter_version)
        return row->passes;
    if (!mt_top_process_has(p, row))
        return false;
    row->passes = mt_filter_keeps(view->filter, p->model, p->resolver,
                                  row->row.stack, row->row.depth);
    row->filter_version = view->filter_version;
    return row->passes;
}

/* --- the header --- */

static void view_put_clock(FILE *out)
{
    time_t now = time(NULL);
    struct tm local;

    if (localtime_r(&now, &local))
        fprintf(out, "%02d:%02d:%02d", local.tm_hour, local.tm_min,
                local.tm_sec);
}

static void view_put_title(const struct mt_top_view *view,
                           const struct mt_top_process *p,
                           struct mt_top_lines *lines)
{
    const struct mt_top_options *o = view->top->options;
    FILE *out = lines->out;

    fputs("memtrace top ", out);
    view_put_clock(out);
    if (p) {
        fprintf(out, "  process %d ", (int)p->pid);
        mt_put_text(out, p->name);
    }
    fprintf(out, "  every %" PRIu64 ".%us", o->delay_ns / 1000000000,
            (unsigned)(o->delay_ns / 100000000 % 10));
    if (view->page == MT_PAGE_ROWS)
        fprintf(out, "  by %s%s", mt_top_sort_names[view->order.sort],
                view->order.ascending ? ", reversed" : "");
    if (view->frozen)
        fputs("  FROZEN", out);
    mt_top_line_end(lines, MT_LOOK_TITLE, MT_TOP_NO_ITEM);
    if (p && p->ended) {
        fprintf(out, "process %d has ended: this is what was seen last",
                (int)p->pid);
        mt_top_line_end(lines, MT_LOOK_WARNING, MT_TOP_NO_ITEM);
    }
}

static void view_put_live(const struct mt_top_view *view,
                          const struct mt_top_process *p, FILE *out)
{
    const struct mt_style *style = &view->top->options->style;
    const struct mt_top_history *h = &p->history;
    char text[MT_TOP_FIGURE];

    fprintf(out, "live %s%s", p->show.scaled ? "about " : "",
            mt_top_bytes(style, h->total.bytes, text));
    if (h->refreshes > 1)
        fprintf(
            out, " (%s/s)",
            mt_top_signed_bytes(style,
                                mt_top_whole(mt_top_rate(
                                    h, h->total.bytes, h->total_before.bytes)),
                                text));
    mt_put_count(out, " in %s block{|s}", h->total.blocks);
    mt_put_count(out, " of %s stack{|s}", p->n_stacks);
    if (h->refreshes > 1)
        fprintf(out, ", %s allocations/s",
                mt_top_count(style,
                             (uint64_t)mt_top_whole(mt_top_rate(
                                 h, h->total.allocs, h->total_before.allocs)),
                             text));
}

static unsigned view_percent(uint64_t part, uint64_t all)
{
    return all ? (unsigned)((unsigned __int128)part * 100 / all) : 0;
}

static void view_put_memory(const struct mt_top_view *view,
                            const struct mt_top_process *p, FILE *out)
{
    const struct mt_style *style = &view->top->options->style;
    const struct mt_process *process = &p->source->process;
    uint64_t limit = 0;
    char text[MT_TOP_FIGURE];

    fprintf(out, "RSS %s", mt_top_bytes(style, process->rss_bytes, text));
    fprintf(out, ", peak %s",
            mt_top_bytes(style, process->peak_rss_bytes, text));
    for (uint32_t i = 0; i < p->model->n_heaps; i++)
        if (p->model->heaps[i].main)
            limit = p->model->heaps[i].limit;
    if (p->use.limit) {
        fprintf(out, "; limit %s", mt_top_bytes(style, p->use.limit, text));
        fprintf(out, " (cgroup, %u%% used)",
                view_percent(p->use.usage, p->use.limit));
    }
    if (p->limit.bytes) {
        fprintf(out, "; limit %s", mt_top_bytes(style, p->limit.bytes, text));
        fprintf(out, " (%s)", p->limit.name);
    }
    if (limit)
        fprintf(out, "; limit %s (heap)", mt_top_bytes(style, limit, text));
    if (!p->use.limit && !p->limit.bytes && !limit)
        fputs("; no limit", out);
}

/* What the figures lack; the page of notes says more. */
static void view_put_unseen(const struct mt_top_view *view,
                            const struct mt_top_process *p, FILE *out)
{
    const struct mt_style *style = &view->top->options->style;
    const struct mt_coverage *c = &p->model->coverage;
    uint64_t damaged = c->skipped_spans + c->skipped_stacks + c->bad_tags +
                       c->skipped_sections;
    char text[MT_TOP_FIGURE];
    const char *comma = " ";

    fputs("not seen:", out);
    if (p->untraced.blocks) {
        fprintf(out, "%s%s in ", comma,
                mt_top_bytes(style, p->untraced.bytes, text));
        mt_put_count(out, "%s block{|s} from before tracing",
                     p->untraced.blocks);
        comma = ", ";
    }
    if (p->show.scaled) {
        fprintf(out, "%sblocks outside of the sample", comma);
        comma = ", ";
    }
    if (c->overflow_allocs) {
        fputs(comma, out);
        mt_put_count(out, "%s allocation{|s} with the stack table full",
                     c->overflow_allocs);
        comma = ", ";
    }
    if (c->truncated_stacks) {
        fputs(comma, out);
        mt_put_count(out, "the ends of %s stack{|s}", c->truncated_stacks);
        comma = ", ";
    }
    if (c->unreadable_bytes || damaged) {
        fprintf(out, "%sdamaged parts of the trace", comma);
        comma = ", ";
    }
    if (*comma == ' ' && !comma[1])
        fputs(" nothing that the trace knows of", out);
}

static void view_put_baseline(const struct mt_top_view *view,
                              const struct mt_top_process *p,
                              struct mt_top_lines *lines)
{
    const struct mt_style *style = &view->top->options->style;
    const struct mt_top_history *h = &p->history;
    FILE *out = lines->out;
    char text[MT_TOP_FIGURE];

    if (h->base_ns) {
        fprintf(out, "since the baseline, %" PRIu64 " s ago: live %s",
                (h->now_ns - h->base_ns) / 1000000000,
                mt_top_signed_bytes(
                    style,
                    mt_top_difference(h->total.bytes, h->total_base.bytes),
                    text));
        fprintf(out, ", blocks %s",
                mt_top_signed_count(
                    style,
                    mt_top_difference(h->total.blocks, h->total_base.blocks),
                    text));
        mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
    }
    if (view->filter_text) {
        fputs("filter: ", out);
        mt_put_text(out, view->filter_text);
        mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
    }
}

void mt_top_view_put_header(struct mt_top_view *view,
                            struct mt_top_lines *lines)
{
    const struct mt_top_process *p =
        view->page == MT_PAGE_PROCESSES ? NULL : mt_top_view_process(view);

    view_put_title(view, p, lines);
    if (!p)
        return;
    if (!p->ended && p->error.text[0]) {
        mt_put_text(lines->out, p->error.text);
        mt_top_line_end(lines, MT_LOOK_WARNING, MT_TOP_NO_ITEM);
    }
    if (!p->model)
        return;
    view_put_live(view, p, lines->out);
    mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
    view_put_memory(view, p, lines->out);
    mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
    view_put_unseen(view, p, lines->out);
    mt_top_line_end(lines, MT_LOOK_PLAIN, MT_TOP_NO_ITEM);
    view_put_baseline(view, p, lines);
}

/* --- rows --- */

/* Makes one line of the lines that show prints for a stack: the frame that
 * names it, and the names of its callers, without their places, if they fit. */
static void view_join_callers(char *text, size_t columns)
{
    size_t length = strcspn(text, "\n");
    char *line = text + length, *to = text + length;

    while (*line) {
        size_t n, m;
        line += strspn(line, "\n ");
        n = strcspn(line, "\n");
        for (m = 0; m < n && strncmp(line + m, "  ", 2) != 0; m++)
            ;
        /* Every character counts as a column: too few are shown, not more. */
        if (n == 0 || (size_t)(to - text) + 3 + m > columns)
            break;
        memmove(to + 3, line, m); /* after it: newline and two spaces */
        memcpy(to, " < ", 3);
        to += 3 + m;
        line += n;
    }
    *to = '\0';
}

/* Brings the library function that the row's frame called into the first line,
 * where it takes the place of the frame's file and line: rows of one function
 * may differ by it alone. */
static char *view_join_callee(char *text, const struct mt_style *style)
{
    size_t length = strcspn(text, "\n"), n, bytes = 0, columns = 0;
    char *callee = text + length, *place = strstr(text, "  "), *joined = NULL;
    struct mt_report to = {.style = style};
    const char *rest;

    if (strncmp(callee, "\n  [", 4) != 0 || !place || place > callee)
        return text;
    for (const char *p = text; p < place; p++)
        columns += ((unsigned char)*p & 0xc0) != 0x80;
    columns += 3; /* " [" and "]" */
    if (columns + VIEW_LEAST_CALLEE > style->width ||
        !(to.out = open_memstream(&joined, &bytes)))
        return text;
    fprintf(to.out, "%.*s [", (int)(place - text), text);
    callee += 4;
    n = strcspn(callee, "\n");
    rest = callee + n;
    if (n > 0)
        callee[n - 1] = '\0'; /* the bracket */
    if (columns + n - 1 > style->width && strncmp(callee, "std::", 5) == 0)
        callee += 5;
    mt_put_in_line(&to, callee, (int)columns);
    fprintf(to.out, "]%s", rest);
    fclose(to.out);
    if (!joined)
        return text;
    free(text);
    return joined;
}

/* As show prints the row's stack. */
static char *view_make_title(const struct mt_top_view *view,
                             const struct mt_top_process *p,
                             const struct mt_show_row *row, unsigned columns)
{
    struct mt_style style = view->top->options->style;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    const struct mt_report report = {p->model, &p->show, p->resolver,
                                     out,      NULL,     &style};

    if (!out)
        return NULL;
    style.full = style.colour = false;
    style.width = columns;
    mt_print_row_stack(&report, row, 0, MT_ROW_CALLERS);
    fclose(out);
    if (text)
        text = view_join_callee(text, &style);
    if (text)
        view_join_callers(text, columns);
    return text;
}

static void view_put_row_title(const struct mt_top_view *view,
                               struct mt_top_process *p, struct mt_top_row *row,
                               unsigned columns, struct mt_top_lines *lines)
{
    if (mt_top_process_has(p, row) &&
        (!row->title || row->title_columns != columns)) {
        free(row->title);
        row->title = view_make_title(view, p, &row->row, columns);
        row->title_columns = columns;
        lines->incomplete |= !row->title;
    }
    if (row->title)
        fputs(row->title, lines->out);
    else
        fputs(p->ended ? "(the process ended before it was read)"
                       : "(a stack that no block has any more)",
              lines->out);
}

static void view_put_head(const struct mt_top_view *view,
                          struct mt_top_lines *lines)
{
    bool wide = view->top->options->style.bytes;

    fprintf(lines->out, "%*s %*s %7s %8s %-8s  %s", wide ? 14 : 7,
            view->order.baseline ? "Live+-" : "Live", wide ? 14 : 8, "Change/s",
            "Blocks", "Allocs/s", "Age", "Stack");
    mt_top_line_end(lines, MT_LOOK_HEAD, MT_TOP_NO_ITEM);
}

/* Returns the columns that the figures took. */
static unsigned view_put_figures(const struct mt_top_view *view,
                                 const struct mt_top_history *h,
                                 const struct mt_top_row *r, FILE *out)
{
    const struct mt_top_options *o = view->top->options;
    char text[MT_TOP_FIGURE], dash[] = "-";
    int wide = o->style.bytes ? 14 : 7;
    bool rates = r->known && h->refreshes > 1, base = view->order.baseline;

    fprintf(out, "%*s ", wide,
            base ? mt_top_signed_bytes(
                       &o->style,
                       mt_top_difference(r->now.bytes, r->base.bytes), text)
                 : mt_top_bytes(&o->style, r->now.bytes, text));
    fprintf(out, "%*s ", wide == 7 ? 8 : wide,
            rates ? mt_top_signed_bytes(&o->style,
                                        mt_top_whole(mt_top_rate(
                                            h, r->now.bytes, r->before.bytes)),
                                        text)
                  : dash);
    fprintf(out, "%7s ",
            base ? mt_top_signed_count(
                       &o->style,
                       mt_top_difference(r->now.blocks, r->base.blocks), text)
                 : mt_top_count(&o->style, r->now.blocks, text));
    fprintf(out, "%8s ",
            rates ? mt_top_count(&o->style,
                                 (uint64_t)mt_top_whole(mt_top_rate(
                                     h, r->now.allocs, r->before.allocs)),
                                 text)
                  : dash);
    fprintf(out, "%s%c ", mt_top_ages(r->row.ages, o->utf8, text),
            r->row.steady ? '+' : ' ');
    return (unsigned)(wide + 1 + (wide == 7 ? 8 : wide) + 1 + 8 + 9 + 10);
}

static void view_put_rows(struct mt_top_view *view, struct mt_top_lines *lines)
{
    struct mt_top_process *p = mt_top_view_process(view);
    struct mt_top_history *h = &p->history;
    unsigned width = view->top->options->style.width, columns;
    size_t most =
        view->most < h->n - view->first ? view->first + view->most : h->n;
    size_t *indices = calloc(most + 1, sizeof *indices), n = 0;

    view->order.passes = view->filter ? view_passes : NULL;
    view->order.context = view;
    if (indices)
        n = mt_top_history_pick(h, &view->order, indices, most, &view->all);
    else
        lines->incomplete = true;
    for (size_t i = view->first; i < n; i++) {
        struct mt_top_row *r = &h->rows[indices[i]];
        columns = view_put_figures(view, h, r, lines->out);
        if (width == 0)
            columns = VIEW_ANY_COLUMNS;
        else
            columns = width > columns + VIEW_LEAST_COLUMNS ? width - columns
                                                           : VIEW_LEAST_COLUMNS;
        view_put_row_title(view, p, r, columns, lines);
        mt_top_line_end(lines, MT_LOOK_PLAIN, indices[i]);
    }
    free(indices);
}

void mt_top_view_put_page(struct mt_top_view *view, struct mt_top_lines *lines)
{
    const struct mt_top_process *p = mt_top_view_process(view);

    view->all = 0;
    if (view->page == MT_PAGE_PROCESSES) {
        mt_top_put_processes(view, lines);
        return;
    }
    if (!p || !p->model)
        return;
    if (view->page == MT_PAGE_ROWS) {
        view_put_head(view, lines);
        if (view->first < p->history.n)
            view_put_rows(view, lines);
    } else if (view->page == MT_PAGE_STACK) {
        mt_top_put_stack(view, lines);
    } else if (view->page == MT_PAGE_THREADS) {
        mt_top_put_threads(view, lines);
    } else if (view->page == MT_PAGE_HEAPS) {
        mt_top_put_heaps(view, lines);
    } else {
        mt_top_put_notes(view, lines);
    }
    /* Names that are missing for want of memory are an error. */
    lines->incomplete |= p->resolver && !mt_resolver_is_whole(p->resolver);
}
