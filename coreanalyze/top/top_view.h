/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_view.h - what is shown of a refresh, as lines: for the screen and for
 * text alike.
 */
#ifndef MT_TOP_VIEW_H
#define MT_TOP_VIEW_H

#include "coreanalyze/profile/filter.h"
#include "coreanalyze/top/top.h"
#include "coreanalyze/top/top_lines.h"

enum mt_top_page {
    MT_PAGE_ROWS,      /* the stacks of a process */
    MT_PAGE_PROCESSES, /* where there are several */
    MT_PAGE_STACK,     /* the callers of a row */
    MT_PAGE_THREADS,
    MT_PAGE_HEAPS,
    MT_PAGE_NOTES, /* what is not seen */
};

struct mt_top_view {
    struct mt_top *top;
    enum mt_top_page page;
    size_t process; /* that all pages but PROCESSES are of: index */
    struct mt_top_order order;
    struct mt_filter *filter; /* or NULL */
    char *filter_text;        /* or NULL */
    unsigned filter_version;
    size_t first, most; /* rows of a page that are shown */
    size_t chosen;      /* row of the history that STACK is about */
    size_t all;         /* set: rows that there are */
    bool frozen;
};

void mt_top_view_begin(struct mt_top_view *view, struct mt_top *top);
void mt_top_view_end(struct mt_top_view *view);
/* "" or NULL: no filter.  False with `error` filled if it makes no sense; the
 * filter of before is then kept. */
bool mt_top_view_filter(struct mt_top_view *view, const char *text,
                        struct mt_error *error);

/* NULL if there is none. */
static inline struct mt_top_process *
mt_top_view_process(const struct mt_top_view *view)
{
    return view->process < view->top->n ? view->top->processes[view->process]
                                        : NULL;
}

/* Writes the header, and then the page. */
void mt_top_view_put_header(struct mt_top_view *view,
                            struct mt_top_lines *lines);
void mt_top_view_put_page(struct mt_top_view *view, struct mt_top_lines *lines);

/* --- top_pages.c: pages with other rows than stacks --- */
void mt_top_put_processes(struct mt_top_view *view, struct mt_top_lines *lines);
void mt_top_put_stack(struct mt_top_view *view, struct mt_top_lines *lines);
void mt_top_put_threads(struct mt_top_view *view, struct mt_top_lines *lines);
void mt_top_put_heaps(struct mt_top_view *view, struct mt_top_lines *lines);
void mt_top_put_notes(struct mt_top_view *view, struct mt_top_lines *lines);

#endif
