/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SHOW_SUMS_H
#define MT_SHOW_SUMS_H

/*
 * show_sums.h: blocks summed up by stack, in a third of the memory that rows
 * take: of a million stacks a report prints ten.
 */
#include "coreanalyze/analyses/show.h"
#include "coreanalyze/base/table.h"

struct mt_show_line;
struct mt_show_estimate;

/* All zeros at first, but for the last two. */
struct mt_show_sums {
    struct mt_show_line *lines;
    size_t n, room;
    uint32_t *by_stack; /* line + 1, of one heap and thread, without a kind */
    size_t n_stacks;
    uint32_t heap, thread;              /* those */
    struct mt_table by_key;             /* other lines */
    struct mt_show_estimate *estimates; /* by line, of a sample */
    size_t estimates_room;
    struct mt_show_sum *indirect; /* by line, if blocks have classes */
    size_t indirect_room;
    uint64_t (*ages)[MT_SHOW_AGES]; /* of lines with blocks of several parts */
    size_t n_ages, ages_room;
    bool scaled, classified;
};

struct mt_show_added {
    const struct mt_block *block;
    const struct mt_show_class *row_class;
    uint32_t thread;
    unsigned part; /* of the time, < MT_SHOW_AGES */
    double weight; /* of a sample */
};
/* False when out of memory. */
bool mt_show_sums_add(struct mt_show_sums *, const struct mt_model *model,
                      const struct mt_show_added *added);
/* Raises the lifetime counters of each stack to what is live of it. */
void mt_show_sums_raise(const struct mt_show_sums *, struct mt_model *model);
void mt_show_sums_row(const struct mt_show_sums *, const struct mt_model *model,
                      size_t line, struct mt_show_row *row);
/* Sorts the lines by stack, as far as an array finds them: what is read of the
 * stacks then lies together.  No block can be added from here on. */
void mt_show_sums_sort(struct mt_show_sums *);
/* The row of the last line, which goes. */
void mt_show_sums_take(struct mt_show_sums *, const struct mt_model *model,
                       struct mt_show_row *row);
/* All rows, in the place of the sums, which are none then. */
bool mt_show_sums_rows(struct mt_show_sums *, const struct mt_model *model,
                       struct mt_show_row **rows, size_t *capacity);
void mt_show_sums_free(struct mt_show_sums *);

#endif
