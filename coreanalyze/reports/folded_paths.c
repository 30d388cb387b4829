/* SPDX-License-Identifier: BSD-2-Clause
 *
 * folded_paths.c - collects the paths of a report's rows, sorts them level by
 * level, and writes them.
 */
#include "coreanalyze/reports/folded_paths.h"
#include "coreanalyze/base/hash.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/names/frame_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FEW_PATHS 12u /* are sorted by insertion */
#define MEMO_SLOTS 4096u

struct folded_name {
    char *text;
    size_t bytes;
    uint32_t place; /* among all names, from 1 */
};
/* A program counter as stacks have it, and its names. */
struct folded_pc {
    uint64_t pc;
    uint32_t modules;
    bool exact, signal_frame;
    uint32_t n;
    size_t first; /* in `ids`, innermost first */
};
struct folded_path {
    uint64_t bytes;
    size_t at; /* in `levels` */
    uint32_t n;
    uint32_t key; /* the place of its name at the level that is sorted by */
};
struct mt_folded {
    const struct mt_report *report;
    struct folded_name *names;
    struct folded_pc *pcs;
    uint32_t *ids;
    uint32_t *levels; /* of all paths, root first */
    struct folded_path *paths;
    size_t n_names, names_room, n_pcs, pcs_room, n_ids, ids_room, n_levels,
        levels_room, n_paths, paths_room;
    struct mt_table by_text, by_pc;
    uint32_t memo[MEMO_SLOTS]; /* index + 1 of the last pc of each hash */
};

struct mt_folded *mt_folded_new(const struct mt_report *report)
{
    struct mt_folded *folded = calloc(1, sizeof *folded);

    if (folded)
        folded->report = report;
    return folded;
}

void mt_folded_free(struct mt_folded *folded)
{
    if (!folded)
        return;
    for (size_t i = 0; i < folded->n_names; i++)
        free(folded->names[i].text);
    free(folded->names);
    free(folded->pcs);
    free(folded->ids);
    free(folded->levels);
    free(folded->paths);
    mt_table_free(&folded->by_text);
    mt_table_free(&folded->by_pc);
    free(folded);
}

/* --- names --- */

/* `;` and spaces at the ends mean something. */
char *mt_folded_name(const struct mt_frame *frame)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    if (frame->function)
        mt_put_text(out, frame->function);
    else
        mt_put_frame(out, frame);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    for (char *p = text; *p; p++)
        if (*p == ';')
            *p = ':';
    return text;
}

const char *mt_folded_nowhere(uint32_t stack)
{
    return stack == MT_ID_OVERFLOW    ? "[stack table full]"
           : stack == MT_ID_UNTRACED  ? "[untraced]"
           : stack == MT_ID_UNSAMPLED ? "[not sampled]"
                                      : "[unknown]";
}

static bool folded_name_match(const void *items, size_t item, const void *key)
{
    return strcmp(((const struct folded_name *)items)[item].text, key) == 0;
}

/* The number of a name; takes over `text`, or NULL. */
static bool folded_take_name(struct mt_folded *f, char *text, uint32_t *id)
{
    size_t bytes = text ? strlen(text) : 0;
    uint64_t hash = mt_hash_bytes(MT_HASH_START, text, bytes);
    size_t i;

    if (!text)
        return false;
    i = mt_table_find(&f->by_text, hash, folded_name_match, f->names, text);
    if (i != MT_TABLE_NONE) {
        free(text);
    } else {
        i = f->n_names;
        if (i >= UINT32_MAX ||
            !mt_grow(&f->names, &f->names_room, i + 1, sizeof *f->names) ||
            !mt_table_add(&f->by_text, hash, i)) {
            free(text);
            return false;
        }
        f->names[f->n_names++] = (struct folded_name){text, bytes, 0};
    }
    *id = (uint32_t)i;
    return true;
}

static bool folded_pc_match(const void *items, size_t item, const void *key)
{
    const struct folded_pc *one = (const struct folded_pc *)items + item;
    const struct folded_pc *other = key;

    return one->pc == other->pc && one->modules == other->modules &&
           one->exact == other->exact;
}

static bool folded_add_pc(struct mt_folded *f, const struct folded_pc *key,
                          uint64_t hash)
{
    struct mt_pc at = {key->pc, key->modules, key->exact};
    struct mt_resolved found = mt_resolve(f->report->resolver, &at);
    struct folded_pc fresh = *key;

    fresh.signal_frame = found.signal_frame;
    fresh.first = f->n_ids;
    fresh.n = (uint32_t)found.n;
    if (!mt_grow(&f->ids, &f->ids_room, f->n_ids + found.n, sizeof *f->ids) ||
        !mt_grow(&f->pcs, &f->pcs_room, f->n_pcs + 1, sizeof *f->pcs))
        return false;
    for (size_t i = 0; i < found.n; i++)
        if (!folded_take_name(f, mt_folded_name(&found.frames[i]),
                              &f->ids[f->n_ids++]))
            return false;
    if (!mt_table_add(&f->by_pc, hash, f->n_pcs))
        return false;
    f->pcs[f->n_pcs++] = fresh;
    return true;
}

/* NULL when out of memory. */
static const struct folded_pc *folded_find_pc(struct mt_folded *f, uint64_t pc,
                                              uint32_t modules, bool exact)
{
    struct folded_pc key = {.pc = pc, .modules = modules, .exact = exact};
    uint64_t hash = pc ^ (uint64_t)modules << 48 ^ (uint64_t)exact << 47;
    uint32_t *memo = &f->memo[(hash ^ hash >> 12) % MEMO_SLOTS];
    size_t i;

    if (*memo && folded_pc_match(f->pcs, *memo - 1, &key))
        return &f->pcs[*memo - 1];
    i = mt_table_find(&f->by_pc, hash, folded_pc_match, f->pcs, &key);
    if (i == MT_TABLE_NONE) {
        i = f->n_pcs;
        if (i >= UINT32_MAX || !folded_add_pc(f, &key, hash))
            return NULL;
    }
    *memo = (uint32_t)i + 1;
    return &f->pcs[i];
}

/* --- paths --- */

bool mt_folded_add(struct mt_folded *f, const struct mt_show_row *row)
{
    struct mt_model *model = f->report->model;
    uint64_t pcs[MT_MAX_FRAMES];
    size_t found[MT_MAX_FRAMES];
    size_t n = mt_model_frames(model, row->stack, pcs), names = 0;
    struct folded_path path = {.bytes = row->bytes, .at = f->n_levels};
    bool exact = false;

    n = n < row->depth ? n : row->depth;
    for (size_t i = 0; i < n; i++) {
        const struct folded_pc *pc =
            folded_find_pc(f, pcs[i], model->stacks[row->stack].modules, exact);
        if (!pc)
            return false;
        found[i] = (size_t)(pc - f->pcs);
        names += pc->n;
        exact = pc->signal_frame;
    }
    path.n = names ? (uint32_t)names : 1;
    if (!mt_grow(&f->levels, &f->levels_room, f->n_levels + path.n,
                 sizeof *f->levels) ||
        !mt_grow(&f->paths, &f->paths_room, f->n_paths + 1, sizeof *f->paths))
        return false;
    for (size_t i = n; i-- > 0;) {
        const struct folded_pc *pc = &f->pcs[found[i]];
        for (size_t j = pc->n; j-- > 0;)
            f->levels[f->n_levels++] = f->ids[pc->first + j];
    }
    if (names == 0 &&
        !folded_take_name(f, strdup(mt_folded_nowhere(row->stack)),
                          &f->levels[f->n_levels++]))
        return false;
    f->paths[f->n_paths++] = path;
    return true;
}

static int folded_by_text(const void *a, const void *b, void *context)
{
    const struct mt_folded *f = context;

    return strcmp(f->names[*(const uint32_t *)a].text,
                  f->names[*(const uint32_t *)b].text);
}

/* From here on `levels` has the places of names, and `order` the names. */
static bool folded_place_names(struct mt_folded *f, uint32_t **order)
{
    *order = calloc(f->n_names + 1, sizeof **order);
    if (!*order)
        return false;
    for (size_t i = 0; i < f->n_names; i++)
        (*order)[i] = (uint32_t)i;
    if (f->n_names)
        qsort_r(*order, f->n_names, sizeof **order, folded_by_text, f);
    for (size_t i = 0; i < f->n_names; i++)
        f->names[(*order)[i]].place = (uint32_t)i + 1;
    for (size_t i = 0; i < f->n_levels; i++)
        f->levels[i] = f->names[f->levels[i]].place;
    return true;
}

/* 0 at the end: a caller comes before what it called. */
static uint32_t folded_place(const struct mt_folded *f,
                             const struct folded_path *path, size_t level)
{
    return level < path->n ? f->levels[path->at + level] : 0;
}

static int folded_compare(const struct mt_folded *f,
                          const struct folded_path *a,
                          const struct folded_path *b, size_t level)
{
    for (;; level++) {
        uint32_t x = folded_place(f, a, level), y = folded_place(f, b, level);

        if (x != y)
            return x < y ? -1 : 1;
        if (x == 0)
            return 0;
    }
}

static void folded_insert(const struct mt_folded *f, struct folded_path *paths,
                          size_t n, size_t level)
{
    for (size_t i = 1; i < n; i++) {
        struct folded_path path = paths[i];
        size_t at = i;

        for (; at > 0 && folded_compare(f, &path, &paths[at - 1], level) < 0;
             at--)
            paths[at] = paths[at - 1];
        paths[at] = path;
    }
}

static void folded_swap(struct folded_path *a, struct folded_path *b)
{
    struct folded_path other = *a;

    *a = *b;
    *b = other;
}

static uint32_t folded_median(uint32_t a, uint32_t b, uint32_t c)
{
    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

/* Sorts paths that agree up to `level`: into those whose name there is before,
 * that of, and after a middle one. The largest part is done here, others by
 * calls, which nest as deep as halves do. Names are looked up once a level:
 * `known` says whether they are. */
static void folded_sort(const struct mt_folded *f, struct folded_path *paths,
                        size_t n, size_t level, bool known)
{
    while (n > FEW_PATHS) {
        for (size_t i = 0; !known && i < n; i++)
            paths[i].key = folded_place(f, &paths[i], level);
        /* Not places that a hostile target could aim at easily. */
        uint64_t any = (n + level) * UINT64_C(0x9e3779b97f4a7c15);
        uint32_t middle =
            folded_median(paths[any % n].key, paths[(any >> 16) % n].key,
                          paths[(any >> 32) % n].key);
        size_t low = 0, high = n;

        for (size_t i = 0; i < high;) {
            if (paths[i].key < middle)
                folded_swap(&paths[low++], &paths[i++]);
            else if (paths[i].key > middle)
                folded_swap(&paths[i], &paths[--high]);
            else
                i++;
        }
        size_t equal = middle == 0 ? 0 : high - low, after = n - high;
        bool most_equal = equal >= low && equal >= after;
        bool most_low = !most_equal && low >= after;
        if (!most_low)
            folded_sort(f, paths, low, level, true);
        if (!most_equal)
            folded_sort(f, paths + low, equal, level + 1, false);
        if (most_equal || most_low)
            folded_sort(f, paths + high, after, level, true);
        known = !most_equal;
        level += most_equal;
        paths += most_equal ? low : most_low ? 0 : high;
        n = most_equal ? equal : most_low ? low : after;
    }
    folded_insert(f, paths, n, level);
}

/* --- text --- */

struct folded_line {
    char *text;
    size_t bytes, room;
};

static bool folded_line_put(struct folded_line *line, const char *text,
                            size_t bytes)
{
    if (!mt_grow(&line->text, &line->room, line->bytes + bytes + 1, 1))
        return false;
    memcpy(line->text + line->bytes, text, bytes);
    line->bytes += bytes;
    return true;
}

static bool folded_put_path(const struct mt_folded *f, const uint32_t *order,
                            const struct folded_path *path, uint64_t bytes,
                            struct folded_line *line, FILE *out)
{
    char number[32];
    int length = snprintf(number, sizeof number, " %" PRIu64 "\n", bytes);

    line->bytes = 0;
    for (size_t i = 0; i < path->n; i++) {
        const struct folded_name *name =
            &f->names[order[f->levels[path->at + i] - 1]];
        if ((i > 0 && !folded_line_put(line, ";", 1)) ||
            !folded_line_put(line, name->text, name->bytes))
            return false;
    }
    if (!folded_line_put(line, number, (size_t)length))
        return false;
    fwrite(line->text, 1, line->bytes, out);
    return true;
}

bool mt_folded_put(struct mt_folded *f, FILE *out)
{
    struct folded_line line = {0};
    uint32_t *order = NULL;
    uint64_t bytes = 0;
    bool ok = folded_place_names(f, &order);

    if (ok && f->n_paths > 0)
        folded_sort(f, f->paths, f->n_paths, 0, false);
    for (size_t i = 0; ok && i < f->n_paths; i++) {
        bytes += f->paths[i].bytes;
        if (i + 1 < f->n_paths &&
            folded_compare(f, &f->paths[i], &f->paths[i + 1], 0) == 0)
            continue;
        ok = folded_put_path(f, order, &f->paths[i], bytes, &line, out);
        bytes = 0;
    }
    free(line.text);
    free(order);
    return ok;
}
