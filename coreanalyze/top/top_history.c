/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_history.c - rates, a baseline, and the first rows of an order.  It knows
 * neither processes nor text.
 */
#include "coreanalyze/top/top_history.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

const char *const mt_top_sort_names[] = {"live",   "change", "blocks",
                                         "allocs", "age",    NULL};

static uint64_t history_key(const struct mt_show_row *row)
{
    return (uint64_t)row->heap << 32 | row->stack;
}

static bool history_match(const void *items, size_t item, const void *key)
{
    return history_key(&((const struct mt_top_row *)items)[item].row) ==
           *(const uint64_t *)key;
}

void mt_top_history_begin(struct mt_top_history *history, uint64_t now_ns)
{
    history->refreshes++;
    history->before_ns = history->now_ns;
    history->now_ns = now_ns;
    for (size_t i = 0; i < history->n; i++) {
        struct mt_top_row *r = &history->rows[i];
        r->before = r->now;
        r->known = true;
    }
}

/* The row of a key; a new one has not been seen.  NULL when out of memory. */
static struct mt_top_row *history_find(struct mt_top_history *history,
                                       const struct mt_show_row *row)
{
    uint64_t key = history_key(row);
    size_t i = mt_table_find(&history->by_key, key, history_match,
                             history->rows, &key);

    if (i != MT_TABLE_NONE)
        return &history->rows[i];
    i = history->n;
    if (!mt_grow(&history->rows, &history->capacity, i + 1,
                 sizeof *history->rows))
        return NULL;
    history->rows[i] = (struct mt_top_row){.row = *row};
    if (!mt_table_add(&history->by_key, key, i))
        return NULL;
    history->n++;
    return &history->rows[i];
}

/* The same stack of another thread. */
static void history_join(struct mt_top_row *r, const struct mt_show_row *row)
{
    r->now.bytes = r->row.bytes += row->bytes;
    r->now.blocks = r->row.count += row->count;
    r->row.sampled += row->sampled;
    for (unsigned i = 0; i < MT_SHOW_AGES; i++)
        r->row.ages[i] += row->ages[i];
    if (row->oldest_epoch < r->row.oldest_epoch)
        r->row.oldest_epoch = row->oldest_epoch;
    r->row.steady |= row->steady;
}

bool mt_top_history_add(struct mt_top_history *history,
                        const struct mt_show_row *row, uint64_t identity,
                        bool main_heap)
{
    struct mt_top_row *r = history_find(history, row);

    if (r == NULL)
        return false;
    if (r->seen && r->identity != identity) {
        /* Another stack has the id now. */
        free(r->title);
        *r = (struct mt_top_row){.row = *row};
    }
    r->identity = identity;
    if (r->seen == history->refreshes) {
        history_join(r, row);
        return true;
    }
    r->row = *row;
    r->now = (struct mt_top_figures){row->bytes, row->count, row->allocs};
    /* All that a new stack allocated is new, after the first refresh.  Only the
     * main heap has rows of stacks without blocks: in others, the blocks are
     * new, and the stack may not be. */
    if (!r->seen && history->refreshes > 1) {
        r->known = true;
        if (!main_heap && row->allocs > row->count)
            r->before.allocs = row->allocs - row->count;
    }
    r->seen = history->refreshes;
    return true;
}

void mt_top_history_end(struct mt_top_history *history,
                        const struct mt_top_figures *total)
{
    for (size_t i = 0; i < history->n; i++) {
        struct mt_top_row *r = &history->rows[i];
        if (r->seen == history->refreshes)
            continue;
        r->now.bytes = r->now.blocks = 0;
        r->row.bytes = r->row.count = 0;
        memset(r->row.ages, 0, sizeof r->row.ages);
    }
    history->total_before = history->total;
    history->total = *total;
}

void mt_top_history_free(struct mt_top_history *history)
{
    for (size_t i = 0; i < history->n; i++)
        free(history->rows[i].title);
    free(history->rows);
    mt_table_free(&history->by_key);
    *history = (struct mt_top_history){0};
}

void mt_top_history_mark(struct mt_top_history *history)
{
    for (size_t i = 0; i < history->n; i++)
        history->rows[i].base = history->rows[i].now;
    history->total_base = history->total;
    history->base_ns = history->now_ns;
}

void mt_top_history_unmark(struct mt_top_history *history)
{
    history->base_ns = 0;
}

double mt_top_rate(const struct mt_top_history *history, uint64_t now,
                   uint64_t before)
{
    uint64_t ns = history->now_ns - history->before_ns;

    if (history->refreshes < 2 || ns == 0)
        return 0;
    return (double)mt_top_difference(now, before) * 1e9 / (double)ns;
}

int64_t mt_top_difference(uint64_t now, uint64_t base)
{
    return (int64_t)(now - base);
}

/* --- order --- */

struct history_sorter {
    const struct mt_top_history *history;
    const struct mt_top_order *order;
};

static double history_value(const struct history_sorter *sorter,
                            const struct mt_top_row *r)
{
    const struct mt_top_order *order = sorter->order;
    double change;

    switch (order->sort) {
    case MT_TOP_CHANGE:
        change = r->known
                     ? (double)mt_top_difference(r->now.bytes, r->before.bytes)
                     : 0;
        return change < 0 ? -change : change;
    case MT_TOP_ALLOCS:
        return r->known
                   ? (double)mt_top_difference(r->now.allocs, r->before.allocs)
                   : 0;
    case MT_TOP_BLOCKS:
        return order->baseline
                   ? (double)mt_top_difference(r->now.blocks, r->base.blocks)
                   : (double)r->now.blocks;
    case MT_TOP_AGE:
        return r->now.blocks ? -(double)r->row.oldest_epoch
                             : -(double)UINT32_MAX;
    default:
        return order->baseline
                   ? (double)mt_top_difference(r->now.bytes, r->base.bytes)
                   : (double)r->now.bytes;
    }
}

/* Negative if x comes first. */
static int history_compare(const struct history_sorter *sorter, size_t x,
                           size_t y)
{
    const struct mt_top_row *a = &sorter->history->rows[x];
    const struct mt_top_row *b = &sorter->history->rows[y];
    double p = history_value(sorter, a), q = history_value(sorter, b);

    if (p != q)
        return (p > q) != sorter->order->ascending ? -1 : 1;
    if (a->now.bytes != b->now.bytes)
        return a->now.bytes > b->now.bytes ? -1 : 1;
    if (a->row.stack != b->row.stack)
        return a->row.stack < b->row.stack ? -1 : 1;
    return a->row.heap < b->row.heap ? -1 : a->row.heap > b->row.heap;
}

static int history_by_order(const void *a, const void *b, void *context)
{
    return history_compare(context, *(const size_t *)a, *(const size_t *)b);
}

/* Moves the row at a place of the heap, whose top comes last in the order, down
 * to where it belongs. */
static void history_sink(const struct history_sorter *sorter, size_t *indices,
                         size_t n, size_t at)
{
    size_t moved = indices[at];

    for (size_t below; (below = 2 * at + 1) < n; at = below) {
        if (below + 1 < n &&
            history_compare(sorter, indices[below + 1], indices[below]) > 0)
            below++;
        if (history_compare(sorter, indices[below], moved) <= 0)
            break;
        indices[at] = indices[below];
    }
    indices[at] = moved;
}

static bool history_is_empty(const struct mt_top_order *order,
                             const struct mt_top_row *r)
{
    if (order->baseline &&
        (r->now.bytes != r->base.bytes || r->now.blocks != r->base.blocks))
        return false;
    return r->now.blocks == 0 && r->before.blocks == 0 &&
           (!r->known || r->now.allocs == r->before.allocs);
}

size_t mt_top_history_pick(const struct mt_top_history *history,
                           const struct mt_top_order *order, size_t *indices,
                           size_t most, size_t *all)
{
    struct history_sorter sorter = {history, order};
    size_t n = 0;

    *all = 0;
    for (size_t i = 0; i < history->n; i++) {
        if (history_is_empty(order, &history->rows[i]) ||
            (order->passes &&
             !order->passes(order->context, &history->rows[i])))
            continue;
        ++*all;
        if (n < most) {
            indices[n++] = i;
            for (size_t at = n / 2; n == most && at-- > 0;)
                history_sink(&sorter, indices, n, at);
        } else if (most > 0 && history_compare(&sorter, i, indices[0]) < 0) {
            indices[0] = i;
            history_sink(&sorter, indices, n, 0);
        }
    }
    if (n > 0)
        qsort_r(indices, n, sizeof *indices, history_by_order, &sorter);
    return n;
}
