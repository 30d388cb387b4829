/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_order.c - finds threads by their number.
 */
#include "coreanalyze/source/thread_order.h"

#include <stdlib.h>

static int order_by_tid(const void *a, const void *b)
{
    const struct mt_thread *const *x = a, *const *y = b;

    return (*x)->tid < (*y)->tid ? -1 : (*x)->tid > (*y)->tid;
}

bool mt_thread_order_make(struct mt_thread_order *order,
                          struct mt_thread *threads, size_t n)
{
    order->items = calloc(n + 1, sizeof(struct mt_thread *));
    order->n = order->items ? n : 0;
    for (size_t i = 0; i < order->n; i++)
        order->items[i] = &threads[i];
    if (order->n > 0)
        qsort(order->items, order->n, sizeof *order->items, order_by_tid);
    return order->items != NULL;
}

void mt_thread_order_free(struct mt_thread_order *order)
{
    free(order->items);
}

struct mt_thread *mt_thread_order_find(const struct mt_thread_order *order,
                                       uint32_t tid)
{
    struct mt_thread key = {.tid = tid}, *wanted = &key, **found;

    if (order->n == 0)
        return NULL;
    found = bsearch(&wanted, order->items, order->n, sizeof *order->items,
                    order_by_tid);
    return found ? *found : NULL;
}
