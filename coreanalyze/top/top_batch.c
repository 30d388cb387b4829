/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_batch.c - each refresh as text, for files, pipes and logs.
 *
 * Several processes are a list with a sum, and after it each one's stacks.
 */
#include "coreanalyze/base/memory.h"
#include "coreanalyze/top/top_view.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static bool batch_put(struct mt_top_view *view, enum mt_top_page page,
                      size_t process, bool header, struct mt_error *error)
{
    const struct mt_top_options *o = view->top->options;
    struct mt_top_lines lines;
    bool ok;

    view->page = page;
    view->process = process;
    view->most = page == MT_PAGE_ROWS && o->rows ? (size_t)o->rows : SIZE_MAX;
    if (!mt_top_lines_begin(&lines))
        return mt_no_memory(error, "the lines");
    if (header)
        mt_top_view_put_header(view, &lines);
    mt_top_view_put_page(view, &lines);
    ok = mt_top_lines_close(&lines) || mt_no_memory(error, "the lines");
    for (size_t i = 0; ok && i < lines.n; i++)
        fprintf(o->out, "%s\n", mt_top_line_text(&lines, i));
    if (ok)
        fputc('\n', o->out);
    mt_top_lines_free(&lines);
    return ok;
}

static bool batch_put_refresh(struct mt_top_view *view, struct mt_error *error)
{
    const struct mt_top *top = view->top;
    bool ok = true;

    if (top->n > 1 || top->options->children)
        ok = batch_put(view, MT_PAGE_PROCESSES, 0, true, error);
    for (size_t i = 0; ok && i < top->n; i++)
        if (top->processes[i]->model || top->n == 1)
            ok = batch_put(view, MT_PAGE_ROWS, i, true, error);
    if (ok && (fflush(top->options->out) != 0 || ferror(top->options->out)))
        ok =
            mt_fail(error, "cannot write standard output: %s", strerror(errno));
    return ok;
}

static void batch_sleep(const struct mt_top *top)
{
    uint64_t ns = mt_top_wait_ns(top);
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}

bool mt_top_batch(const struct mt_top_options *options, struct mt_error *error)
{
    struct mt_top top;
    struct mt_top_view view;
    bool ok = mt_top_begin(&top, options, error);

    mt_top_view_begin(&view, &top);
    ok = ok && mt_top_view_filter(&view, options->filter, error);
    while (ok) {
        ok = batch_put_refresh(&view, error);
        if (!ok || top.refreshes == options->refreshes ||
            mt_top_all_ended(&top))
            break;
        batch_sleep(&top);
        ok = mt_top_refresh(&top, error);
    }
    mt_top_view_end(&view);
    mt_top_end(&top);
    return ok;
}
