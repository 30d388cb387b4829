/* SPDX-License-Identifier: BSD-2-Clause
 *
 * show_sums.c - sums of blocks by stack.
 *
 * There may be millions of stacks, most of them with one block.  So a line is
 * 48 bytes, stacks of one heap are found by an array, and ages are kept apart
 * where blocks are of more than one part of the time.
 */
#include "coreanalyze/analyses/show_sums.h"
#include "coreanalyze/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TAKEN_LINES 65536u /* whose memory is worth a call */
#define AHEAD 16u          /* stacks whose lines are on their way */

struct mt_show_line {
    uint64_t bytes, count, sample;
    uint32_t stack, oldest, newest, thread;
    uint32_t ages; /* its record + 1; 0: all blocks are of `part` */
    uint32_t heap : 24, kind : 4, part : 4;
};
_Static_assert(sizeof(struct mt_show_line) == 48, "of a line");

/* Estimates of a line of a sample. */
struct mt_show_estimate {
    double bytes, count;
};

static bool show_sums_match(const void *items, size_t item, const void *key)
{
    const struct mt_show_line *one = (const struct mt_show_line *)items + item;
    const struct mt_show_line *other = key;

    return one->stack == other->stack && one->heap == other->heap &&
           one->kind == other->kind && one->thread == other->thread;
}

static uint64_t show_sums_hash(const struct mt_show_line *key)
{
    return ((uint64_t)(key->kind + 1) << 60 | (uint64_t)key->heap << 32 |
            key->stack) ^
           (uint64_t)key->thread << 40;
}

/* Makes the array, of the heap and thread that come first. */
static bool show_sums_begin(struct mt_show_sums *sums,
                            const struct mt_model *model,
                            const struct mt_show_line *key)
{
    if (sums->by_stack)
        return true;
    sums->by_stack = calloc(model->n_stacks, sizeof *sums->by_stack);
    sums->n_stacks = sums->by_stack ? model->n_stacks : 0;
    sums->heap = key->heap;
    sums->thread = key->thread;
    return sums->by_stack != NULL;
}

/* Is the line one of those that the array finds? */
static bool show_sums_plain(const struct mt_show_sums *sums,
                            const struct mt_show_line *key)
{
    return key->stack < sums->n_stacks && key->heap == sums->heap &&
           key->kind == 0 && key->thread == sums->thread;
}

static bool show_sums_room(struct mt_show_sums *sums)
{
    size_t n = sums->n + 1;

    return n < UINT32_MAX &&
           mt_extend(&sums->lines, &sums->room, n, sizeof *sums->lines) &&
           (!sums->scaled || mt_grow(&sums->estimates, &sums->estimates_room, n,
                                     sizeof *sums->estimates)) &&
           (!sums->classified || mt_grow(&sums->indirect, &sums->indirect_room,
                                         n, sizeof *sums->indirect));
}

/* The line of a key, new if need be; false when out of memory. */
static bool show_sums_find(struct mt_show_sums *sums,
                           const struct mt_model *model,
                           const struct mt_show_line *key, size_t *line)
{
    uint64_t hash = show_sums_hash(key);
    bool plain;

    if (!show_sums_begin(sums, model, key))
        return false;
    plain = show_sums_plain(sums, key);
    if (plain && sums->by_stack[key->stack]) {
        *line = sums->by_stack[key->stack] - 1;
        return true;
    }
    *line = plain ? MT_TABLE_NONE
                  : mt_table_find(&sums->by_key, hash, show_sums_match,
                                  sums->lines, key);
    if (*line != MT_TABLE_NONE)
        return true;
    *line = sums->n;
    if (!show_sums_room(sums) ||
        (!plain && !mt_table_add(&sums->by_key, hash, *line)))
        return false;
    if (plain)
        sums->by_stack[key->stack] = (uint32_t)*line + 1;
    sums->lines[sums->n++] = *key;
    return true;
}

static bool show_sums_age(struct mt_show_sums *sums, struct mt_show_line *line,
                          unsigned part)
{
    if (line->count == 0)
        line->part = part & (MT_SHOW_AGES - 1);
    if (line->ages == 0 && part != line->part) {
        if (!mt_grow(&sums->ages, &sums->ages_room, sums->n_ages + 1,
                     sizeof *sums->ages))
            return false;
        sums->ages[sums->n_ages][line->part] = line->count;
        line->ages = (uint32_t)++sums->n_ages;
    }
    if (line->ages)
        sums->ages[line->ages - 1][part]++;
    return true;
}

bool mt_show_sums_add(struct mt_show_sums *sums, const struct mt_model *model,
                      const struct mt_show_added *added)
{
    const struct mt_block *block = added->block;
    const struct mt_show_line key = {.stack = block->stack,
                                     .heap = block->heap & 0xffffff,
                                     .kind = added->row_class->kind & 15,
                                     .thread = added->thread,
                                     .sample = UINT64_MAX,
                                     .oldest = UINT32_MAX};
    struct mt_show_line *line;
    size_t i;

    if (!show_sums_find(sums, model, &key, &i))
        return false;
    line = &sums->lines[i];
    if (!show_sums_age(sums, line, added->part))
        return false;
    line->bytes += block->bytes;
    line->count++;
    if (block->address < line->sample)
        line->sample = block->address;
    if (block->epoch < line->oldest)
        line->oldest = block->epoch;
    if (block->epoch > line->newest)
        line->newest = block->epoch;
    if (sums->scaled) {
        sums->estimates[i].bytes += added->weight * (double)block->bytes;
        sums->estimates[i].count += added->weight;
    }
    if (sums->classified) {
        sums->indirect[i].bytes += added->row_class->indirect_bytes;
        sums->indirect[i].count += added->row_class->indirect_count;
    }
    return true;
}

/* A stack may have several lines: first all are taken away from what its
 * counters have, which leaves less than nothing where these were too low. */
void mt_show_sums_raise(const struct mt_show_sums *sums, struct mt_model *model)
{
    for (size_t i = 0; i < sums->n; i++) {
        struct mt_stack *stack = &model->stacks[sums->lines[i].stack];
        stack->allocs -= sums->lines[i].count;
        stack->bytes -= sums->lines[i].bytes;
    }
    for (size_t i = 0; i < sums->n; i++) {
        struct mt_stack *stack = &model->stacks[sums->lines[i].stack];
        if ((int64_t)stack->allocs < 0)
            stack->allocs = 0;
        if ((int64_t)stack->bytes < 0)
            stack->bytes = 0;
    }
    for (size_t i = 0; i < sums->n; i++) {
        struct mt_stack *stack = &model->stacks[sums->lines[i].stack];
        stack->allocs += sums->lines[i].count;
        stack->bytes += sums->lines[i].bytes;
    }
}

void mt_show_sums_row(const struct mt_show_sums *sums,
                      const struct mt_model *model, size_t i,
                      struct mt_show_row *row)
{
    /* Not by a pointer: the row may take the line's place. */
    const struct mt_show_line line = sums->lines[i];
    const struct mt_stack *stack = &model->stacks[line.stack];

    *row = (struct mt_show_row){.heap = line.heap,
                                .thread = line.thread,
                                .stack = line.stack,
                                .bytes = line.bytes,
                                .count = line.count,
                                .sampled = line.count,
                                .sample = line.sample,
                                .oldest_epoch = line.oldest,
                                .newest_epoch = line.newest,
                                .allocs = stack->allocs,
                                .alloc_bytes = stack->bytes,
                                .depth = stack->depth,
                                .kind = line.kind};
    if (line.ages)
        memcpy(row->ages, sums->ages[line.ages - 1], sizeof row->ages);
    else
        row->ages[line.part] = line.count;
    if (sums->scaled) {
        row->bytes = (uint64_t)llround(sums->estimates[i].bytes);
        row->count = (uint64_t)llround(sums->estimates[i].count);
    }
    if (sums->classified) {
        row->indirect_bytes = sums->indirect[i].bytes;
        row->indirect_count = sums->indirect[i].count;
    }
}

static void show_sums_swap(void *array, size_t item_bytes, size_t a, size_t b)
{
    char other[sizeof(struct mt_show_line)];
    char *items = array;

    if (!items || a == b)
        return;
    memcpy(other, items + a * item_bytes, item_bytes);
    memcpy(items + a * item_bytes, items + b * item_bytes, item_bytes);
    memcpy(items + b * item_bytes, other, item_bytes);
}

/* Each line of the array changes places with the one where it belongs. */
void mt_show_sums_sort(struct mt_show_sums *sums)
{
    size_t n = 0;

    for (size_t stack = 0; stack < sums->n_stacks; stack++) {
        size_t at = sums->by_stack[stack], ahead = stack + AHEAD;
        const struct mt_show_line *other = &sums->lines[n];
        if (ahead < sums->n_stacks && sums->by_stack[ahead])
            __builtin_prefetch(&sums->lines[sums->by_stack[ahead] - 1], 1);
        if (at-- == 0)
            continue;
        if (other->heap == sums->heap && other->kind == 0 &&
            other->thread == sums->thread && other->stack < sums->n_stacks)
            sums->by_stack[other->stack] = (uint32_t)at + 1;
        show_sums_swap(sums->lines, sizeof *sums->lines, n, at);
        show_sums_swap(sums->estimates, sizeof *sums->estimates, n, at);
        show_sums_swap(sums->indirect, sizeof *sums->indirect, n, at);
        n++;
    }
    free(sums->by_stack);
    sums->by_stack = NULL;
    sums->n_stacks = 0;
    mt_table_free(&sums->by_key);
}

void mt_show_sums_take(struct mt_show_sums *sums, const struct mt_model *model,
                       struct mt_show_row *row)
{
    mt_show_sums_row(sums, model, --sums->n, row);
    if (sums->n % TAKEN_LINES == 0 &&
        mt_resize(&sums->lines, sums->n + 1, sizeof *sums->lines))
        sums->room = sums->n + 1;
}

bool mt_show_sums_rows(struct mt_show_sums *sums, const struct mt_model *model,
                       struct mt_show_row **rows, size_t *capacity)
{
    size_t n = sums->n, bytes = sizeof **rows;
    struct mt_show_row row;

    free(sums->by_stack);
    sums->by_stack = NULL;
    mt_table_free(&sums->by_key);
    if (!mt_resize(&sums->lines, (n + 1) * bytes, 1))
        return false;
    /* A row is larger than a line: from the last one on each comes to lie after
     * all lines that are still to be read. */
    for (size_t i = n; i-- > 0;) {
        mt_show_sums_row(sums, model, i, &row);
        memcpy((char *)sums->lines + i * bytes, &row, bytes);
    }
    *rows = (struct mt_show_row *)(void *)sums->lines;
    *capacity = n + 1;
    sums->lines = NULL;
    mt_show_sums_free(sums);
    return true;
}

void mt_show_sums_free(struct mt_show_sums *sums)
{
    free(sums->lines);
    free(sums->by_stack);
    free(sums->estimates);
    free(sums->indirect);
    free(sums->ages);
    mt_table_free(&sums->by_key);
    *sums = (struct mt_show_sums){.scaled = sums->scaled,
                                  .classified = sums->classified};
}
