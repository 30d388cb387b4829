/* SPDX-License-Identifier: BSD-2-Clause
 *
 * thread_order.h - threads by their number, for those who look for many.
 */
#ifndef MT_THREAD_ORDER_H
#define MT_THREAD_ORDER_H

#include "coreanalyze/source/source.h"

struct mt_thread_order {
    struct mt_thread **items;
    size_t n;
};

/* False when out of memory. */
bool mt_thread_order_make(struct mt_thread_order *order,
                          struct mt_thread *threads, size_t n);
void mt_thread_order_free(struct mt_thread_order *order);
/* NULL if there is none. */
struct mt_thread *mt_thread_order_find(const struct mt_thread_order *order,
                                       uint32_t tid);

#endif
