/* SPDX-License-Identifier: BSD-2-Clause
 *
 * diff.c - joins the rows of two runs of show by what their stacks are known
 * by.
 */
#include "coreanalyze/analyses/diff.h"

#include <stdlib.h>
#include <string.h>

/* --- keys --- */

static uint64_t diff_mix(uint64_t hash, uint64_t word, uint64_t factor)
{
    hash = (hash ^ word) * factor;
    return hash ^ hash >> 29;
}

static void diff_add_word(struct mt_diff_key *key, uint64_t word)
{
    key->hash[0] = diff_mix(key->hash[0], word, UINT64_C(0x9e3779b97f4a7c15));
    key->hash[1] = diff_mix(key->hash[1], word, UINT64_C(0xc2b2ae3d27d4eb4f));
}

void mt_diff_add(struct mt_diff_key *key, const void *data, size_t bytes)
{
    const uint8_t *p = data;

    diff_add_word(key, bytes);
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, p + i, bytes - i < 8 ? bytes - i : 8);
        diff_add_word(key, word);
    }
}

static void add_frames(struct mt_model *model, const struct mt_show_row *row,
                       struct mt_diff_key *key)
{
    uint64_t pcs[MT_MAX_FRAMES];
    size_t n = mt_model_frames(model, row->stack, pcs);
    uint32_t modules = model->stacks[row->stack].modules;

    for (size_t i = 0; i < n && i < row->depth; i++) {
        const struct mt_module *m = mt_model_module(model, pcs[i] - 1, modules);
        uint64_t offset = m ? pcs[i] - m->load_bias : pcs[i];
        if (m && m->build_id_bytes)
            mt_diff_add(key, m->build_id, m->build_id_bytes);
        else if (m && m->path)
            mt_diff_add(key, m->path, strlen(m->path));
        mt_diff_add(key, &offset, sizeof offset);
    }
}

void mt_diff_stack(struct mt_diff_key *key, struct mt_model *model,
                   uint32_t stack)
{
    const struct mt_show_row row = {.stack = stack, .depth = UINT32_MAX};

    add_frames(model, &row, key);
}

static struct mt_diff_key diff_key_of(const struct mt_diff *diff,
                                      enum mt_diff_side side,
                                      const struct mt_show_row *row)
{
    const struct mt_diff_options *options = diff->options;
    const char *heap = diff->model[side]->heaps[row->heap].name;
    uint32_t fixed = row->stack < MT_ID_FIRST ? row->stack : MT_ID_FIRST;
    struct mt_diff_key key = {{1, 2}};

    mt_diff_add(&key, heap, strlen(heap));
    mt_diff_add(&key, &fixed, sizeof fixed);
    if (options->identify)
        options->identify(options->identify_context, side, row, &key);
    else
        add_frames(diff->model[side], row, &key);
    return key;
}

static int by_key(const void *a, const void *b)
{
    const struct mt_diff_row *x = a, *y = b;

    return memcmp(&x->key, &y->key, sizeof x->key);
}

/* --- rows --- */

static void diff_merge(struct mt_diff_row *to, const struct mt_diff_row *from)
{
    for (unsigned side = 0; side < 2; side++) {
        if (to->row[side] == NULL)
            to->row[side] = from->row[side];
        to->sum[side].bytes += from->sum[side].bytes;
        to->sum[side].count += from->sum[side].count;
    }
}

static void diff_join(struct mt_diff *diff)
{
    size_t kept = 0;

    qsort(diff->rows, diff->n_rows, sizeof *diff->rows, by_key);
    for (size_t i = 0; i < diff->n_rows; i++) {
        if (kept > 0 && by_key(&diff->rows[kept - 1], &diff->rows[i]) == 0)
            diff_merge(&diff->rows[kept - 1], &diff->rows[i]);
        else
            diff->rows[kept++] = diff->rows[i];
    }
    diff->n_rows = kept;
}

static int diff_compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_growth(const void *a, const void *b, void *context)
{
    const struct mt_diff_row *x = a, *y = b;
    const struct mt_diff_options *options = context;
    int bytes = diff_compare(mt_diff_bytes(y), mt_diff_bytes(x));
    int count = diff_compare(mt_diff_count(y), mt_diff_count(x));

    if (options->by_count ? count : bytes)
        return options->by_count ? count : bytes;
    if (bytes || count)
        return bytes ? bytes : count;
    return by_key(x, y);
}

static uint64_t diff_change(const struct mt_diff_row *row)
{
    int64_t bytes = mt_diff_bytes(row);

    return bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
}

/* Leaves what changed, sorted, as far as it is wanted. */
static void diff_choose(struct mt_diff *diff)
{
    const struct mt_diff_options *options = diff->options;
    size_t kept = 0;

    for (size_t i = 0; i < diff->n_rows; i++)
        if (options->unchanged || mt_diff_bytes(&diff->rows[i]) != 0 ||
            mt_diff_count(&diff->rows[i]) != 0)
            diff->rows[kept++] = diff->rows[i];
    diff->n_rows = diff->n_all_rows = kept;
    qsort_r(diff->rows, kept, sizeof *diff->rows, by_growth,
            (void *)(uintptr_t)options);
    kept = 0;
    for (size_t i = 0; i < diff->n_rows; i++)
        if (diff_change(&diff->rows[i]) >= options->min_bytes &&
            (options->top == 0 || kept < options->top))
            diff->rows[kept++] = diff->rows[i];
    diff->n_rows = kept;
}

bool mt_diff_run(struct mt_model *const model[2],
                 const struct mt_show *const show[2],
                 const struct mt_diff_options *options, struct mt_diff *diff,
                 struct mt_error *error)
{
    *diff = (struct mt_diff){.options = options,
                             .model = {model[0], model[1]},
                             .show = {show[0], show[1]}};
    diff->rows =
        calloc(show[0]->n_rows + show[1]->n_rows + 1, sizeof *diff->rows);
    if (diff->rows == NULL)
        return mt_no_memory(error, "the stacks");
    for (unsigned side = 0; side < 2; side++) {
        for (size_t i = 0; i < show[side]->n_rows; i++) {
            const struct mt_show_row *row = &show[side]->rows[i];
            struct mt_diff_row *to = &diff->rows[diff->n_rows++];
            to->key = diff_key_of(diff, side, row);
            to->row[side] = row;
            to->sum[side] = (struct mt_show_sum){row->bytes, row->count};
            diff->sum[side].bytes += row->bytes;
            diff->sum[side].count += row->count;
        }
    }
    diff_join(diff);
    diff_choose(diff);
    return true;
}

void mt_diff_free(struct mt_diff *diff)
{
    free(diff->rows);
    memset(diff, 0, sizeof *diff);
}

/* --- modules --- */

static bool diff_differs(const struct mt_module *a, const struct mt_module *b)
{
    return a->path && b->path && strcmp(a->path, b->path) == 0 &&
           a->build_id_bytes && b->build_id_bytes &&
           (a->build_id_bytes != b->build_id_bytes ||
            memcmp(a->build_id, b->build_id, a->build_id_bytes) != 0);
}

void mt_diff_rebuilt(struct mt_model *const model[2],
                     void (*visit)(void *context, const char *path),
                     void *context)
{
    const struct mt_model *old = model[MT_DIFF_OLD],
                          *fresh = model[MT_DIFF_NEW];

    for (size_t i = 0; i < fresh->n_modules; i++) {
        const struct mt_module *module = &fresh->modules[i].module;
        bool rebuilt = false;
        /* A module may have been loaded more than once. */
        for (size_t j = 0; j < old->n_modules; j++) {
            const struct mt_module *other = &old->modules[j].module;
            rebuilt |= diff_differs(other, module);
        }
        for (size_t j = 0; j < i; j++)
            rebuilt &= !fresh->modules[j].module.path || !module->path ||
                       strcmp(fresh->modules[j].module.path, module->path) != 0;
        if (rebuilt)
            visit(context, module->path);
    }
}
