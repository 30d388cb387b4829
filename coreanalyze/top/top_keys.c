/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_keys.c - keys: orders, pages, the cursor, the baseline.
 */
#include "coreanalyze/top/top_keys.h"

#include <stdio.h>
#include <string.h>

const char mt_top_keys_help[] =
    "Rows are call stacks, named as memtrace show names them.\n"
    "\n"
    "  Up Down PgUp PgDn Home End   choose a row\n"
    "  Enter    the callers of the row, with what all stacks hold that pass\n"
    "           each of them; or the stacks of a process\n"
    "  Esc      back\n"
    "\n"
    "Order of the rows (again: the other way round)\n"
    "  l  live bytes             c  change of live bytes in a second\n"
    "  n  number of blocks       a  allocations in a second\n"
    "  o  the oldest block first\n"
    "\n"
    "  /  only stacks with a function, module or file that matches\n"
    "  b  baseline: live and blocks are differences from now on; again: a new\n"
    "     one             B  no baseline\n"
    "  space  freeze: nothing is read until space is pressed again\n"
    "\n"
    "Pages\n"
    "  T  threads   H  heaps   N  notes: what is not seen   P  processes\n"
    "\n"
    "  L  search for leaks; the process is stopped for that, and you are "
    "asked\n"
    "  w  write a mini-core; the process is stopped for that, too\n"
    "  q  quit\n"
    "\n"
    "Age: how many of the live blocks are from each eighth of the time since\n"
    "the start of the trace, the oldest on the left; + grows steadily.\n"
    "Refreshes neither stop the process nor give it memory.\n";

static void keys_to_page(struct mt_top_view *view, struct mt_top_cursor *cursor,
                         enum mt_top_page page)
{
    view->page = page;
    view->first = cursor->row = 0;
}

static void keys_sort(struct mt_top_view *view, struct mt_top_cursor *cursor,
                      enum mt_top_sort sort)
{
    bool again = view->order.sort == sort && view->page == MT_PAGE_ROWS;

    view->order.ascending = again && !view->order.ascending;
    view->order.sort = sort;
    keys_to_page(view, cursor, MT_PAGE_ROWS);
}

static void keys_baseline(struct mt_top_view *view,
                          struct mt_top_cursor *cursor, bool on)
{
    for (size_t i = 0; i < view->top->n; i++) {
        if (on)
            mt_top_history_mark(&view->top->processes[i]->history);
        else
            mt_top_history_unmark(&view->top->processes[i]->history);
    }
    view->order.baseline = on;
    snprintf(cursor->message, sizeof cursor->message, "%s",
             on ? "live and blocks are differences from now on"
                : "no baseline");
}

static void keys_enter(struct mt_top_view *view, struct mt_top_cursor *cursor)
{
    if (cursor->item == MT_TOP_NO_ITEM)
        return;
    if (view->page == MT_PAGE_PROCESSES) {
        view->process = cursor->item;
        keys_to_page(view, cursor, MT_PAGE_ROWS);
    } else if (view->page == MT_PAGE_ROWS) {
        view->chosen = cursor->item;
        keys_to_page(view, cursor, MT_PAGE_STACK);
    }
}

static void keys_back(struct mt_top_view *view, struct mt_top_cursor *cursor)
{
    struct mt_error unused = {0};

    if (view->page != MT_PAGE_ROWS && view->page != MT_PAGE_PROCESSES)
        keys_to_page(view, cursor, MT_PAGE_ROWS);
    else if (view->filter_text)
        mt_top_view_filter(view, NULL, &unused);
    else if (view->top->n > 1)
        keys_to_page(view, cursor, MT_PAGE_PROCESSES);
}

static void keys_move(struct mt_top_view *view, struct mt_top_cursor *cursor,
                      int key)
{
    size_t page = view->most > 1 ? view->most - 1 : 1;
    size_t last = view->all > 0 ? view->all - 1 : 0;
    size_t row = cursor->row;

    switch (key) {
    case MT_KEY_UP:
        row -= row > 0;
        break;
    case MT_KEY_DOWN:
        row++;
        break;
    case MT_KEY_PAGE_UP:
        row = row > page ? row - page : 0;
        break;
    case MT_KEY_PAGE_DOWN:
        row += page;
        break;
    case MT_KEY_HOME:
        row = 0;
        break;
    default:
        row = last;
    }
    cursor->row = row < last ? row : last;
    mt_top_follow_cursor(view, cursor);
}

void mt_top_follow_cursor(struct mt_top_view *view,
                          struct mt_top_cursor *cursor)
{
    if (view->all > 0 && cursor->row >= view->all)
        cursor->row = view->all - 1;
    if (cursor->row < view->first)
        view->first = cursor->row;
    if (view->most > 0 && cursor->row - view->first >= view->most)
        view->first = cursor->row - view->most + 1;
}

static enum mt_top_action keys_act(const struct mt_top_view *view,
                                   struct mt_top_cursor *cursor, int key)
{
    const struct mt_top_process *p = mt_top_view_process(view);
    bool of_process = key == 'L' || key == 'w';

    if (of_process &&
        (view->page == MT_PAGE_PROCESSES || !p || p->ended || !p->model)) {
        snprintf(cursor->message, sizeof cursor->message, "%s",
                 view->page == MT_PAGE_PROCESSES
                     ? "choose a process first: Enter"
                     : "the process has ended, or is not traced");
        return MT_ACTION_NONE;
    }
    switch (key) {
    case 'q':
    case 'Q':
        return MT_ACTION_QUIT;
    case '?':
    case 'h':
        return MT_ACTION_HELP;
    case '/':
        return MT_ACTION_FILTER;
    case 'L':
        return MT_ACTION_LEAKS;
    case 'w':
        return MT_ACTION_SAVE;
    default:
        return MT_ACTION_NONE;
    }
}

enum mt_top_action mt_top_key(struct mt_top_view *view,
                              struct mt_top_cursor *cursor, int key)
{
    static const char sorts[] = "lcnao", pages[] = "THNP";
    static const enum mt_top_page page_of[] = {
        MT_PAGE_THREADS, MT_PAGE_HEAPS, MT_PAGE_NOTES, MT_PAGE_PROCESSES};
    const char *at;

    cursor->message[0] = '\0';
    if (key >= MT_KEY_UP && key <= MT_KEY_END) {
        keys_move(view, cursor, key);
    } else if (key == MT_KEY_ENTER) {
        keys_enter(view, cursor);
    } else if (key == MT_KEY_BACK) {
        keys_back(view, cursor);
    } else if (key > 0 && key < 0x80 && (at = strchr(sorts, key))) {
        keys_sort(view, cursor, (enum mt_top_sort)(at - sorts));
    } else if (key > 0 && key < 0x80 && (at = strchr(pages, key))) {
        keys_to_page(view, cursor, page_of[at - pages]);
    } else if (key == 'b' || key == 'B') {
        keys_baseline(view, cursor, key == 'b');
    } else if (key == ' ') {
        view->frozen = !view->frozen;
    } else {
        return keys_act(view, cursor, key);
    }
    return MT_ACTION_NONE;
}
