/* SPDX-License-Identifier: BSD-2-Clause
 *
 * folded_paths.c - collects the paths of a report's rows, sorts them, and
 * writes them.
 *
 * There may be millions of paths, with ten million names and more.  So the
 * numbers of names are bytes while they fit.  Paths are sorted by 64-bit keys,
 * which hold the places of as many names as fit.  A line begins as the line
 * before does, up to the first name that differs.
 */
#include "coreanalyze/reports/folded_paths.h"
#include "coreanalyze/base/hash.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/names/frame_text.h"

#include <stdlib.h>
#include <string.h>

#define FEW_PATHS 12u /* are sorted by insertion */
#define MEMO_SLOTS 4096u
#define AHEAD 8u      /* paths whose names are on their way */
#define NAME_PART 16u /* bytes: names are copied in such parts */
#define TEXT_BYTES (UINT32_C(1) << 18) /* are written at once */

struct folded_name {
    char *text;   /* ";", the name, and NAME_PART zeros or more */
    size_t bytes; /* with the ";" */
    uint32_t id;
};
/* Numbers of names, in the least size that holds all of them. */
struct folded_levels {
    void *items;
    unsigned width; /* of an item: 1, 2 or 4 bytes */
    size_t n, room;
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
    uint64_t at : 40, n : 24; /* in `levels` */
    uint64_t key; /* places of its names from the level that is sorted by on */
};
struct mt_folded {
    const struct mt_report *report;
    struct folded_name *names;
    struct folded_pc *pcs;
    uint32_t *ids;
    struct folded_levels levels; /* of all paths, root first */
    struct folded_path *paths;
    size_t n_names, names_room, n_pcs, pcs_room, n_ids, ids_room, n_paths,
        paths_room;
    unsigned bits, per_key; /* of a place in a key, and places */
    struct mt_table by_text, by_pc;
    uint32_t memo[MEMO_SLOTS]; /* index + 1 of the last pc of each hash */
};

struct mt_folded *mt_folded_new(const struct mt_report *report)
{
    struct mt_folded *folded = calloc(1, sizeof *folded);

    if (folded) {
        folded->report = report;
        folded->levels.width = 1;
    }
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
    free(folded->levels.items);
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
    return strcmp(((const struct folded_name *)items)[item].text + 1, key) == 0;
}

/* False when out of memory. */
static bool folded_keep_name(struct mt_folded *f, const char *text,
                             size_t bytes)
{
    char *copy = calloc(1, bytes + 1 + NAME_PART);

    if (!copy ||
        !mt_grow(&f->names, &f->names_room, f->n_names + 1, sizeof *f->names)) {
        free(copy);
        return false;
    }
    copy[0] = ';';
    memcpy(copy + 1, text, bytes);
    f->names[f->n_names] =
        (struct folded_name){copy, bytes + 1, (uint32_t)f->n_names};
    f->n_names++;
    return true;
}

/* The number of a name; takes over `text`, or NULL. */
static bool folded_take_name(struct mt_folded *f, char *text, uint32_t *id)
{
    size_t bytes = text ? strlen(text) : 0;
    uint64_t hash = mt_hash_bytes(MT_HASH_START, text, bytes);
    bool ok = true;
    size_t i;

    if (!text)
        return false;
    i = mt_table_find(&f->by_text, hash, folded_name_match, f->names, text);
    if (i == MT_TABLE_NONE) {
        i = f->n_names;
        ok = i < UINT32_MAX && folded_keep_name(f, text, bytes) &&
             mt_table_add(&f->by_text, hash, i);
    }
    free(text);
    *id = (uint32_t)i;
    return ok;
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
    const struct folded_pc *last = *memo ? &f->pcs[*memo - 1] : NULL;
    size_t i;

    if (last && last->pc == pc && last->modules == modules &&
        last->exact == exact)
        return last;
    i = mt_table_find(&f->by_pc, hash, folded_pc_match, f->pcs, &key);
    if (i == MT_TABLE_NONE) {
        i = f->n_pcs;
        if (i >= UINT32_MAX || !folded_add_pc(f, &key, hash))
            return NULL;
    }
    *memo = (uint32_t)i + 1;
    return &f->pcs[i];
}

/* --- levels --- */

static uint32_t folded_level(const struct folded_levels *levels, size_t i)
{
    if (levels->width == 1)
        return ((const uint8_t *)levels->items)[i];
    if (levels->width == 2)
        return ((const uint16_t *)levels->items)[i];
    return ((const uint32_t *)levels->items)[i];
}

static void folded_set_level(struct folded_levels *levels, size_t i,
                             uint32_t number)
{
    if (levels->width == 1)
        ((uint8_t *)levels->items)[i] = (uint8_t)number;
    else if (levels->width == 2)
        ((uint16_t *)levels->items)[i] = (uint16_t)number;
    else
        ((uint32_t *)levels->items)[i] = number;
}

/* Makes room for `n` more numbers, none of which is greater than `most`. */
static bool folded_levels_room(struct folded_levels *levels, size_t n,
                               size_t most)
{
    unsigned width = most <= UINT8_MAX ? 1 : most <= UINT16_MAX ? 2 : 4;
    struct folded_levels wider = {.width = width, .n = levels->n};

    if (width <= levels->width)
        return mt_extend(&levels->items, &levels->room, levels->n + n,
                         levels->width);
    if (!mt_extend(&wider.items, &wider.room, levels->n + n, width))
        return false;
    for (size_t i = 0; i < levels->n; i++)
        folded_set_level(&wider, i, folded_level(levels, i));
    free(levels->items);
    *levels = wider;
    return true;
}

/* --- paths --- */

/* Adds a path of `n` names, whose numbers are then to be set. */
static bool folded_add_path(struct mt_folded *f, uint64_t bytes, size_t n)
{
    size_t at = f->levels.n;

    if ((uint64_t)at >> 40 || n >> 24 ||
        !folded_levels_room(&f->levels, n, f->n_names) ||
        !mt_extend(&f->paths, &f->paths_room, f->n_paths + 1, sizeof *f->paths))
        return false;
    f->paths[f->n_paths++] = (struct folded_path){
        .bytes = bytes, .at = at & 0xffffffffff, .n = n & 0xffffff};
    f->levels.n += n;
    return true;
}

bool mt_folded_add(struct mt_folded *f, const struct mt_show_row *row)
{
    struct mt_model *model = f->report->model;
    uint64_t pcs[MT_MAX_FRAMES];
    size_t found[MT_MAX_FRAMES];
    size_t n = mt_model_frames(model, row->stack, pcs), names = 0;
    size_t at = f->levels.n;
    uint32_t nowhere;
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
    if (names == 0) {
        if (!folded_take_name(f, strdup(mt_folded_nowhere(row->stack)),
                              &nowhere) ||
            !folded_add_path(f, row->bytes, 1))
            return false;
        folded_set_level(&f->levels, at, nowhere);
        return true;
    }
    if (!folded_add_path(f, row->bytes, names))
        return false;
    for (size_t i = n; i-- > 0;) {
        const struct folded_pc *pc = &f->pcs[found[i]];
        for (size_t j = pc->n; j-- > 0;)
            folded_set_level(&f->levels, at++, f->ids[pc->first + j]);
    }
    return true;
}

static int folded_by_text(const void *a, const void *b)
{
    return strcmp(((const struct folded_name *)a)->text,
                  ((const struct folded_name *)b)->text);
}

/* Sorts the names.  From here on `levels` has their places, from 1. */
static bool folded_place_names(struct mt_folded *f)
{
    uint32_t *places = calloc(f->n_names + 1, sizeof *places);

    if (!places)
        return false;
    mt_table_free(&f->by_text);
    if (f->n_names)
        qsort(f->names, f->n_names, sizeof *f->names, folded_by_text);
    for (size_t i = 0; i < f->n_names; i++)
        places[f->names[i].id] = (uint32_t)i + 1;
    for (size_t i = 0; i < f->levels.n; i++)
        folded_set_level(&f->levels, i, places[folded_level(&f->levels, i)]);
    free(places);
    for (f->bits = 1; f->n_names >> f->bits;)
        f->bits++;
    f->per_key = 64 / f->bits;
    return true;
}

/* Places from a level on; 0 at the end: a caller comes before what it called.
 */
static uint64_t folded_key(const struct mt_folded *f,
                           const struct folded_path *path, size_t level)
{
    uint64_t key = 0;
    size_t end = level + f->per_key < path->n ? level + f->per_key : path->n;
    size_t i = level;

    for (; i < end; i++)
        key = key << f->bits | folded_level(&f->levels, path->at + i);
    return i == level ? 0 : key << f->bits * (level + f->per_key - i);
}

/* Does a path end within such a key? */
static bool folded_ends(const struct mt_folded *f, uint64_t key)
{
    return (key & ((UINT64_C(1) << f->bits) - 1)) == 0;
}

/* Of paths that agree up to `level`, and have their keys of it. */
static int folded_compare(const struct mt_folded *f,
                          const struct folded_path *a,
                          const struct folded_path *b, size_t level)
{
    uint64_t x = a->key, y = b->key;

    while (x == y && !folded_ends(f, x)) {
        level += f->per_key;
        x = folded_key(f, a, level);
        y = folded_key(f, b, level);
    }
    return x < y ? -1 : x > y;
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

static uint64_t folded_median(uint64_t a, uint64_t b, uint64_t c)
{
    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

static void folded_keys(const struct mt_folded *f, struct folded_path *paths,
                        size_t n, size_t level)
{
    for (size_t i = 0; i < n; i++)
        paths[i].key = folded_key(f, &paths[i], level);
}

/* Sorts paths that agree up to `level`: into those whose key there is before,
 * that of, and after a middle one. The largest part is done here, others by
 * calls, which nest as deep as halves do. Keys are made once a level: `known`
 * says whether they are. */
static void folded_sort(const struct mt_folded *f, struct folded_path *paths,
                        size_t n, size_t level, bool known)
{
    while (n > FEW_PATHS) {
        if (!known)
            folded_keys(f, paths, n, level);
        /* Not places that a hostile target could aim at easily. */
        uint64_t any = (n + level) * UINT64_C(0x9e3779b97f4a7c15);
        uint64_t middle =
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
        size_t equal = folded_ends(f, middle) ? 0 : high - low;
        size_t after = n - high;
        bool most_equal = equal >= low && equal >= after;
        bool most_low = !most_equal && low >= after;
        if (!most_low)
            folded_sort(f, paths, low, level, true);
        if (!most_equal)
            folded_sort(f, paths + low, equal, level + f->per_key, false);
        if (most_equal || most_low)
            folded_sort(f, paths + high, after, level, true);
        known = !most_equal;
        level += most_equal ? f->per_key : 0;
        paths += most_equal ? low : most_low ? 0 : high;
        n = most_equal ? equal : most_low ? low : after;
    }
    if (!known)
        folded_keys(f, paths, n, level);
    folded_insert(f, paths, n, level);
}

/* --- text --- */

struct folded_text {
    char *items;
    size_t n, room;
    size_t line;  /* where the last line begins */
    size_t *ends; /* of its levels, from there on */
    size_t ends_room;
};

/* Adds a name or less, whose bytes are followed by NAME_PART others. */
static bool folded_text_add(struct folded_text *text, const char *bytes,
                            size_t n)
{
    size_t wanted = text->n + n + NAME_PART;

    if (wanted > text->room && !mt_grow(&text->items, &text->room, wanted, 1))
        return false;
    for (size_t i = 0; i < n; i += NAME_PART)
        memcpy(text->items + text->n + i, bytes + i, NAME_PART);
    text->n += n;
    return true;
}

/* Begins a line with the first bytes of the last one. */
static bool folded_text_begin(struct folded_text *text, size_t bytes, FILE *out)
{
    size_t wanted = text->n + bytes + 1;

    if (text->n >= TEXT_BYTES) {
        fwrite(text->items, 1, text->n, out);
        memmove(text->items, text->items + text->line, bytes);
        text->line = 0;
        text->n = bytes;
        return true;
    }
    if (wanted > text->room && !mt_grow(&text->items, &text->room, wanted, 1))
        return false;
    memcpy(text->items + text->n, text->items + text->line, bytes);
    text->line = text->n;
    text->n += bytes;
    return true;
}

static bool folded_text_end(struct folded_text *text, uint64_t bytes)
{
    char number[24 + NAME_PART] = {0};
    size_t at = 24;

    number[--at] = '\n';
    do
        number[--at] = (char)('0' + bytes % 10);
    while ((bytes /= 10) > 0);
    number[--at] = ' ';
    return folded_text_add(text, number + at, 24 - at);
}

/* A line, which agrees with the last one in its first `same` names. */
static bool folded_put_path(const struct mt_folded *f,
                            const struct folded_path *path, uint64_t bytes,
                            size_t same, struct folded_text *text, FILE *out)
{
    if (!mt_grow(&text->ends, &text->ends_room, path->n, sizeof *text->ends) ||
        !folded_text_begin(text, same ? text->ends[same - 1] : 0, out))
        return false;
    for (size_t i = same; i < path->n; i++) {
        const struct folded_name *name =
            &f->names[folded_level(&f->levels, path->at + i) - 1];
        size_t skip = i == 0; /* the ";" */
        if (!folded_text_add(text, name->text + skip, name->bytes - skip))
            return false;
        text->ends[i] = text->n - text->line;
    }
    return folded_text_end(text, bytes);
}

/* In how many names do they agree? */
static size_t folded_same(const struct mt_folded *f,
                          const struct folded_path *a,
                          const struct folded_path *b)
{
    size_t n = a->n < b->n ? a->n : b->n, i = 0;

    while (i < n && folded_level(&f->levels, a->at + i) ==
                        folded_level(&f->levels, b->at + i))
        i++;
    return i;
}

bool mt_folded_put(struct mt_folded *f, FILE *out)
{
    struct folded_text text = {0};
    uint64_t bytes = 0;
    bool ok = folded_place_names(f);

    if (ok && f->n_paths > 0)
        folded_sort(f, f->paths, f->n_paths, 0, false);
    for (size_t i = 0, same = 0; ok && i < f->n_paths; i++) {
        const struct folded_path *path = &f->paths[i];
        size_t next = i + 1 < f->n_paths ? folded_same(f, path, path + 1) : 0;

        if (i + AHEAD < f->n_paths)
            __builtin_prefetch((const char *)f->levels.items +
                               path[AHEAD].at * f->levels.width);
        bytes += path->bytes;
        if (i + 1 < f->n_paths && next == path->n && next == path[1].n)
            continue;
        ok = folded_put_path(f, path, bytes, same, &text, out);
        bytes = 0;
        same = next;
    }
    if (ok && text.n)
        fwrite(text.items, 1, text.n, out);
    free(text.items);
    free(text.ends);
    return ok;
}
