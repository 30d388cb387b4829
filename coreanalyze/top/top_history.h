/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_history.h - the stacks of a process from refresh to refresh: how fast
 * each grows and allocates, and how it differs from a baseline.
 */
#ifndef MT_TOP_HISTORY_H
#define MT_TOP_HISTORY_H

#include "coreanalyze/analyses/show.h"
#include "coreanalyze/base/table.h"

enum mt_top_sort {
    MT_TOP_LIVE,   /* live bytes */
    MT_TOP_CHANGE, /* of them in a second, whatever its sign */
    MT_TOP_BLOCKS, /* live blocks */
    MT_TOP_ALLOCS, /* allocations in a second */
    MT_TOP_AGE,    /* the oldest block first */
    MT_TOP_N_SORTS,
};
/* The keys' names, in that order, ended by NULL. */
extern const char *const mt_top_sort_names[];

struct mt_top_figures {
    uint64_t bytes, blocks; /* live */
    uint64_t allocs;        /* since the start; of the stack in all heaps */
};

/* Blocks of one stack in one heap. */
struct mt_top_row {
    struct mt_show_row row; /* as of the last refresh that saw blocks of it */
    uint64_t identity;      /* of the stack: the target uses its ids again */
    struct mt_top_figures now, before, base;
    bool known;              /* `before` is of the last refresh */
    uint64_t seen;           /* number of the last refresh that saw it */
    char *title;             /* as text, or NULL: by whoever shows it */
    unsigned title_columns;  /* that it was made for */
    unsigned filter_version; /* that `passes` is of; 0: none */
    bool passes;
};

struct mt_top_history {
    struct mt_top_row *rows;
    size_t n, capacity;
    struct mt_table by_key;
    uint64_t refreshes;
    uint64_t now_ns, before_ns; /* of a clock; before: 0 at first */
    uint64_t base_ns;           /* 0: there is no baseline */
    struct mt_top_figures total, total_before, total_base;
};

/* A refresh is begin, add for each row of a show, end.  Rows of one stack and
 * several threads are added up.  A row that is not added
 * has no live blocks any more. */
void mt_top_history_begin(struct mt_top_history *history, uint64_t now_ns);
/* `identity` tells the stack from an earlier one of its id.  False when out of
 * memory. */
bool mt_top_history_add(struct mt_top_history *history,
                        const struct mt_show_row *row, uint64_t identity,
                        bool main_heap);
void mt_top_history_end(struct mt_top_history *history,
                        const struct mt_top_figures *total);
void mt_top_history_free(struct mt_top_history *history);

/* Makes the present the baseline; or forgets it. */
void mt_top_history_mark(struct mt_top_history *history);
void mt_top_history_unmark(struct mt_top_history *history);

/* Change in a second between the last two refreshes; 0 if there was but one. */
double mt_top_rate(const struct mt_top_history *history, uint64_t now,
                   uint64_t before);
/* What of a row or a sum is shown: live, or the difference from a baseline. */
int64_t mt_top_difference(uint64_t now, uint64_t base);

struct mt_top_order {
    enum mt_top_sort sort;
    bool ascending;
    bool baseline; /* live bytes and blocks are differences */
    /* NULL: all rows. */
    bool (*passes)(void *context, struct mt_top_row *row);
    void *context;
};
/* The first rows in an order, at most `most`: their indices.  Rows without
 * blocks, allocations and differences are left out.  `all` is set to the number
 * of those that are not. */
size_t mt_top_history_pick(const struct mt_top_history *history,
                           const struct mt_top_order *order, size_t *indices,
                           size_t most, size_t *all);

#endif
