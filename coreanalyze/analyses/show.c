/* SPDX-License-Identifier: BSD-2-Clause
 *
 * show.c - sums over live blocks per heap and stack.
 */
#include "coreanalyze/analyses/show.h"
#include "coreanalyze/analyses/show_sums.h"
#include "coreanalyze/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const mt_show_sort_names[] = {"bytes",  "count",    "age",
                                          "allocs", "lifetime", NULL};

struct walk {
    struct mt_model *model;
    struct mt_show *show;
    uint32_t first_epoch, end_epoch;
    uint8_t *part;      /* of the time looked at, by epoch */
    uint32_t only_heap; /* or UINT32_MAX */
    struct mt_show_sums sums;
    size_t capacity; /* of the rows */
    bool out_of_memory;
};

/* A sampled block stands for as many as the chance that it was taken says:
 * a block of n bytes is taken with 1 - e^(-n / mean). */
static double show_weight(const struct mt_model *model, uint64_t bytes)
{
    if (model->sample_bytes == 0)
        return 1;
    return -1 /
           expm1(-(double)(bytes ? bytes : 1) / (double)model->sample_bytes);
}

static void add_to(struct mt_show_sum *sum, const struct mt_block *block)
{
    sum->bytes += block->bytes;
    sum->count++;
}

/* True if the block is in no row because it has no stack. */
static bool add_to_heap(struct mt_show *show, const struct mt_block *block)
{
    struct mt_show_sum *sums = block->stack == MT_ID_UNTRACED ? show->untraced
                               : block->stack == MT_ID_UNSAMPLED
                                   ? show->unsampled
                                   : show->traced;

    add_to(&sums[block->heap], block);
    return sums != show->traced && show->options->classify == NULL;
}

static bool visit_block(void *context, const struct mt_block *block)
{
    struct walk *walk = context;
    const struct mt_show_options *options = walk->show->options;
    struct mt_show_class row_class = {0};

    if (options->peak)
        return true;
    if (add_to_heap(walk->show, block) || block->epoch < walk->first_epoch ||
        block->epoch >= walk->end_epoch ||
        (walk->only_heap != UINT32_MAX && block->heap != walk->only_heap))
        return true;
    if (options->classify &&
        !options->classify(options->classify_context, block, &row_class))
        return true;
    const struct mt_show_added added = {
        block, &row_class, options->threads ? block->owner : 0,
        walk->part[block->epoch],
        walk->show->scaled ? show_weight(walk->model, block->bytes) : 1};
    walk->out_of_memory = !mt_show_sums_add(&walk->sums, walk->model, &added);
    return !walk->out_of_memory;
}

/* --- merging of stacks that agree in their first frames --- */

struct keyed_row {
    struct mt_show_row row;
    struct keyed_frame {
        uint64_t pc, module; /* equal addresses may be of different modules */
    } * frames;              /* depth of them */
};

static int by_frames(const void *a, const void *b)
{
    const struct keyed_row *x = a, *y = b;
    size_t n = x->row.depth < y->row.depth ? x->row.depth : y->row.depth;

    if (x->row.kind != y->row.kind)
        return x->row.kind < y->row.kind ? -1 : 1;
    if (x->row.heap != y->row.heap)
        return x->row.heap < y->row.heap ? -1 : 1;
    if (x->row.thread != y->row.thread)
        return x->row.thread < y->row.thread ? -1 : 1;
    for (size_t i = 0; i < n; i++) {
        const struct keyed_frame *f = &x->frames[i], *g = &y->frames[i];
        if (f->pc != g->pc)
            return f->pc < g->pc ? -1 : 1;
        if (f->module != g->module)
            return f->module < g->module ? -1 : 1;
    }
    if (x->row.depth != y->row.depth)
        return x->row.depth < y->row.depth ? -1 : 1;
    return x->row.stack < y->row.stack ? -1 : x->row.stack > y->row.stack;
}

static bool same_frames(const struct keyed_row *a, const struct keyed_row *b)
{
    return a->row.kind == b->row.kind && a->row.heap == b->row.heap &&
           a->row.thread == b->row.thread && a->row.depth == b->row.depth &&
           a->row.depth > 0 &&
           memcmp(a->frames, b->frames, a->row.depth * sizeof *a->frames) == 0;
}

static void merge_into(struct mt_show_row *to, const struct mt_show_row *from)
{
    to->bytes += from->bytes;
    to->count += from->count;
    to->sampled += from->sampled;
    to->indirect_bytes += from->indirect_bytes;
    to->indirect_count += from->indirect_count;
    to->allocs += from->allocs;
    to->alloc_bytes += from->alloc_bytes;
    for (unsigned i = 0; i < MT_SHOW_AGES; i++)
        to->ages[i] += from->ages[i];
    if (from->sample < to->sample)
        to->sample = from->sample;
    if (from->oldest_epoch < to->oldest_epoch)
        to->oldest_epoch = from->oldest_epoch;
    if (from->newest_epoch > to->newest_epoch)
        to->newest_epoch = from->newest_epoch;
}

static void key_row(struct mt_model *model, struct keyed_row *keyed,
                    unsigned depth)
{
    const struct mt_stack *stack = &model->stacks[keyed->row.stack];
    uint64_t all[MT_MAX_FRAMES];
    size_t n = mt_model_frames(model, keyed->row.stack, all);

    keyed->row.depth = (uint32_t)(n < depth ? n : depth);
    for (size_t i = 0; i < keyed->row.depth; i++)
        keyed->frames[i] = (struct keyed_frame){
            all[i], mt_model_module_id(model, all[i] - 1, stack->modules)};
}

static bool merge_rows(struct mt_model *model, struct mt_show *show)
{
    unsigned depth = show->options->depth;
    struct keyed_row *keyed = calloc(show->n_rows + 1, sizeof *keyed);
    struct keyed_frame *frames =
        calloc(show->n_rows + 1, depth * sizeof *frames);
    size_t kept = 0;

    for (size_t i = 0; keyed && frames && i < show->n_rows; i++) {
        keyed[i].row = show->rows[i];
        keyed[i].frames = frames + i * depth;
        key_row(model, &keyed[i], depth);
    }
    if (keyed && frames) {
        qsort(keyed, show->n_rows, sizeof *keyed, by_frames);
        for (size_t i = 0; i < show->n_rows; i++) {
            if (i > 0 && same_frames(&keyed[i - 1], &keyed[i]))
                merge_into(&show->rows[kept - 1], &keyed[i].row);
            else
                show->rows[kept++] = keyed[i].row;
        }
        show->n_rows = kept;
    }
    free(frames);
    free(keyed);
    return kept > 0 || show->n_rows == 0;
}

/* --- sorting and filters --- */

static int show_compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_options(const void *a, const void *b, void *context)
{
    const struct mt_show_row *x = a, *y = b;
    const struct mt_show_options *options = context;
    int order = show_compare(x->kind, y->kind);

    if (order != 0)
        return order;
    if (options->sort == MT_SORT_COUNT)
        order = show_compare(y->count, x->count);
    else if (options->sort == MT_SORT_AGE)
        order = show_compare(x->oldest_epoch, y->oldest_epoch);
    else if (options->sort == MT_SORT_ALLOCS)
        order = show_compare(y->allocs, x->allocs);
    else if (options->sort == MT_SORT_LIFETIME)
        order = show_compare(y->alloc_bytes, x->alloc_bytes);
    if (order == 0)
        order = show_compare(y->bytes + y->indirect_bytes,
                             x->bytes + x->indirect_bytes);
    if (order == 0)
        order = show_compare(y->count, x->count);
    if (order == 0)
        order = show_compare(x->sample, y->sample);
    return order ? order : show_compare(x->stack, y->stack);
}

static bool is_steady(const struct mt_show_row *row)
{
    if (row->sampled < MT_SHOW_STEADY_BLOCKS)
        return false;
    for (unsigned i = 0; i < MT_SHOW_AGES; i++)
        if (row->ages[i] * MT_SHOW_AGES * 4 < row->sampled)
            return false;
    return true;
}

static uint32_t main_heap(const struct mt_model *model)
{
    uint32_t heap = 0;

    for (uint32_t i = 0; i < model->n_heaps; i++)
        if (model->heaps[i].main)
            heap = i;
    return heap;
}

/* Rows of stacks whose blocks are all freed, in the main heap: no counter says
 * in which heap they were. */
static bool add_freed_rows(struct walk *walk)
{
    struct mt_show *show = walk->show;
    const struct mt_model *model = walk->model;
    bool *live = calloc(model->n_stacks + 1, sizeof *live);
    uint32_t heap = main_heap(model);

    if (!live)
        return false;
    for (size_t i = 0; i < show->n_rows; i++)
        live[show->rows[i].stack] = true;
    for (uint32_t i = MT_ID_FIRST; i < model->n_stacks; i++) {
        const struct mt_stack *stack = &model->stacks[i];
        if (live[i] || !stack->valid || stack->allocs == 0)
            continue;
        if (!mt_grow(&show->rows, &walk->capacity, show->n_rows + 1,
                     sizeof *show->rows)) {
            free(live);
            return false;
        }
        show->rows[show->n_rows++] =
            (struct mt_show_row){.heap = heap,
                                 .stack = i,
                                 .sample = MT_NO_SAMPLE,
                                 .oldest_epoch = UINT32_MAX,
                                 .allocs = stack->allocs,
                                 .alloc_bytes = stack->bytes,
                                 .depth = stack->depth};
    }
    free(live);
    return true;
}

/* Moves `row` from a place of the heap down to where it belongs: no row comes
 * after the one above it. */
static void sink_row(const struct mt_show_options *options,
                     struct mt_show_row *rows, size_t n, size_t at,
                     const struct mt_show_row *row)
{
    void *context = (void *)(uintptr_t)options;

    for (size_t below; (below = 2 * at + 1) < n; at = below) {
        if (below + 1 < n &&
            by_options(&rows[below + 1], &rows[below], context) > 0)
            below++;
        if (by_options(&rows[below], row, context) <= 0)
            break;
        rows[at] = rows[below];
    }
    rows[at] = *row;
}

/* Keeps a row.  From the --top-th on the kept ones are a heap with the last one
 * on top, which a row that comes before it replaces: of a million rows most are
 * looked at once, and not sorted. */
static void offer_row(const struct mt_show_options *options,
                      struct mt_show_row *rows, size_t *n,
                      const struct mt_show_row *row)
{
    if (options->top == 0 || *n < options->top) {
        rows[(*n)++] = *row;
        for (size_t i = *n / 2; *n == options->top && i-- > 0;) {
            struct mt_show_row moved = rows[i];
            sink_row(options, rows, *n, i, &moved);
        }
    } else if (by_options(row, &rows[0], (void *)(uintptr_t)options) < 0) {
        sink_row(options, rows, *n, 0, row);
    }
}

/* Rows of what was live at the peak.  It is known by stack, not by heap. */
static bool add_peak_rows(struct walk *walk)
{
    struct mt_show *show = walk->show;
    const struct mt_model *model = walk->model;
    uint32_t heap = main_heap(model);
    const struct mt_stack *s = model->stacks;

    show->rows = calloc(model->n_stacks + 1, sizeof *show->rows);
    if (!show->rows)
        return false;
    for (uint32_t i = 0; i < model->n_stacks; i++, s++) {
        struct mt_show_sum sum = {s->peak_bytes, s->peak_blocks};
        double w = s->peak_blocks
                       ? show_weight(model, s->peak_bytes / s->peak_blocks)
                       : 1;
        if (i == MT_ID_UNTRACED)
            show->untraced[heap] = sum;
        if (i == MT_ID_UNSAMPLED)
            show->unsampled[heap] = sum;
        if (i == MT_ID_UNTRACED || i == MT_ID_UNSAMPLED || sum.count == 0)
            continue;
        show->traced[heap].bytes += sum.bytes;
        show->traced[heap].count += sum.count;
        show->rows[show->n_rows++] = (struct mt_show_row){
            .heap = heap,
            .stack = i,
            .bytes = (uint64_t)llround((double)sum.bytes * w),
            .count = (uint64_t)llround((double)sum.count * w),
            .sampled = sum.count,
            .sample = MT_NO_SAMPLE,
            .oldest_epoch = (uint32_t)model->n_epochs - 1,
            .newest_epoch = (uint32_t)model->n_epochs - 1,
            .allocs = s->allocs,
            .alloc_bytes = s->bytes,
            .depth = s->depth};
    }
    return true;
}

static bool add_live_rows(struct walk *walk)
{
    struct mt_show *show = walk->show;
    bool freed = show->options->freed && walk->only_heap == UINT32_MAX;

    show->n_rows = walk->sums.n;
    return mt_show_sums_rows(&walk->sums, walk->model, &show->rows,
                             &walk->capacity) &&
           (!freed || add_freed_rows(walk)) &&
           mt_grow(&show->rows, &walk->capacity, 1, sizeof *show->rows);
}

/* Makes all rows; or, of which --top alone are kept, room for these: their sums
 * become rows one by one. */
static bool make_room(struct walk *walk, bool *one_by_one)
{
    struct mt_show *show = walk->show;
    const struct mt_show_options *options = show->options;
    size_t n = walk->sums.n;

    *one_by_one = options->depth == 0 && !options->freed && !options->peak &&
                  (options->top != 0 || options->late);
    if (*one_by_one) {
        show->n_rows = n;
        if (options->late) {
            mt_show_sums_sort(&walk->sums);
            return (show->late = malloc(sizeof *show->late)) != NULL;
        }
        return mt_grow(&show->rows, &walk->capacity,
                       (n < options->top ? n : (size_t)options->top) + 1,
                       sizeof *show->rows);
    }
    return (options->peak ? add_peak_rows(walk) : add_live_rows(walk)) &&
           (options->depth == 0 || merge_rows(walk->model, show));
}

static bool make_rows(struct walk *walk)
{
    struct mt_show *show = walk->show;
    const struct mt_show_options *options = show->options;
    struct mt_show_row row;
    size_t kept = 0;
    bool one_by_one;

    if (!make_room(walk, &one_by_one))
        return false;
    show->n_all_rows = show->n_rows;
    for (size_t i = 0; i < show->n_rows; i++) {
        if (one_by_one)
            mt_show_sums_row(&walk->sums, walk->model, i, &row);
        else
            row = show->rows[i];
        show->shown.bytes += row.bytes;
        show->shown.count += row.count;
        show->n_freed_rows += row.count == 0;
        row.steady = is_steady(&row);
        if (!show->late && row.bytes + row.indirect_bytes >= options->min_bytes)
            offer_row(options, show->rows, &kept, &row);
    }
    if (show->late) {
        *show->late = walk->sums;
        walk->sums = (struct mt_show_sums){0};
        return true;
    }
    show->n_rows = kept;
    if (!options->unsorted)
        qsort_r(show->rows, show->n_rows, sizeof *show->rows, by_options,
                (void *)(uintptr_t)options);
    return true;
}

/* --- what is looked at --- */

/* Which epochs --since and --older let through, and the parts of that time. */
static bool find_epochs(struct walk *walk, struct mt_error *error)
{
    const struct mt_model *model = walk->model;
    struct mt_show *show = walk->show;
    const struct mt_show_options *options = show->options;
    uint64_t length;

    walk->end_epoch = UINT32_MAX;
    if (!mt_when_epoch(model, &options->since, UINT64_MAX, &walk->first_epoch,
                       error) ||
        (options->older.kind != MT_WHEN_NOT &&
         !mt_when_epoch(model, &options->older, UINT64_MAX, &walk->end_epoch,
                        error)))
        return false;
    show->from_ns = model->epochs[walk->first_epoch].ns;
    if (options->since.kind == MT_WHEN_NOT)
        show->from_ns = 0;
    show->to_ns = walk->end_epoch < model->n_epochs
                      ? model->epochs[walk->end_epoch].ns
                      : model->now_ns;
    walk->part = calloc(model->n_epochs, 1);
    if (walk->part == NULL)
        return mt_no_memory(error, "the epochs");
    length = show->to_ns - show->from_ns;
    for (size_t i = 0; i < model->n_epochs; i++) {
        uint64_t ns = model->epochs[i].ns;
        if (ns < show->from_ns || ns > show->to_ns)
            continue;
        /* The last moment belongs to the last part. */
        walk->part[i] =
            ns < show->to_ns
                ? (uint8_t)((unsigned __int128)(ns - show->from_ns) *
                            MT_SHOW_AGES / length)
                : MT_SHOW_AGES - 1;
    }
    return true;
}

static bool find_heap(struct walk *walk, struct mt_error *error)
{
    const char *name = walk->show->options->heap;
    const struct mt_heap *heap;

    walk->only_heap = UINT32_MAX;
    if (name == NULL)
        return true;
    heap = mt_model_heap(walk->model, name);
    if (heap == NULL)
        return mt_fail(error,
                       "the trace has no heap '%s': `memtrace heaps` lists "
                       "those that it has",
                       name);
    walk->only_heap = heap->id;
    return true;
}

bool mt_show_wants(const struct mt_model *model, const struct mt_show *show,
                   uint32_t heap)
{
    const char *name = show->options->heap;

    return model->heaps[heap].in_use &&
           (name == NULL || mt_model_heap(model, name) == &model->heaps[heap]);
}

/* Room for the classes of each heap that is shown. */
static bool want_classes(const struct mt_model *model, struct mt_show *show)
{
    size_t n = MT_MAX_CLASSES + 1, wanted = 0;

    if (!show->options->classes)
        return true;
    for (uint32_t i = 0; i < model->n_heaps; i++)
        wanted += mt_show_wants(model, show, i);
    show->classes = calloc(wanted + 1, n * sizeof *show->classes);
    if (show->classes == NULL)
        return false;
    for (uint32_t i = 0, at = 0; i < model->n_heaps; i++)
        if (mt_show_wants(model, show, i))
            show->usage[i].classes = show->classes + n * at++;
    return true;
}

bool mt_show_run(struct mt_model *model, const struct mt_show_options *options,
                 struct mt_show *show, struct mt_error *error)
{
    struct walk walk = {.model = model, .show = show};
    bool ok;

    memset(show, 0, sizeof *show);
    show->options = options;
    show->scaled = model->sample_bytes > 0 && options->classify == NULL;
    walk.sums.scaled = show->scaled;
    walk.sums.classified = options->classify != NULL;
    show->usage = calloc(model->n_heaps + 1, sizeof *show->usage);
    show->traced = calloc(model->n_heaps + 1, sizeof *show->traced);
    show->untraced = calloc(model->n_heaps + 1, sizeof *show->untraced);
    show->unsampled = calloc(model->n_heaps + 1, sizeof *show->unsampled);
    if (!show->usage || !show->traced || !show->untraced || !show->unsampled ||
        !want_classes(model, show))
        return mt_no_memory(error, "the rows");
    ok = find_heap(&walk, error) && find_epochs(&walk, error) &&
         mt_model_each_block(model, visit_block, &walk, show->usage, error);
    /* A process that runs allocates after its counters were read. */
    if (ok && model->source->process.kind == MT_SOURCE_LIVE && !show->scaled)
        mt_show_sums_raise(&walk.sums, model);
    ok = ok && (make_rows(&walk) || mt_no_memory(error, "the rows"));
    if (walk.out_of_memory)
        mt_no_memory(error, "the stacks");
    mt_show_sums_free(&walk.sums);
    free(walk.part);
    return ok;
}

bool mt_show_take_row(struct mt_show *show, const struct mt_model *model,
                      struct mt_show_row *row)
{
    if (show->n_rows == 0)
        return false;
    show->n_rows--;
    if (show->late)
        mt_show_sums_take(show->late, model, row);
    else
        *row = show->rows[show->n_rows];
    return true;
}

void mt_show_free(struct mt_show *show)
{
    if (show->late)
        mt_show_sums_free(show->late);
    free(show->late);
    free(show->rows);
    free(show->usage);
    free(show->classes);
    free(show->traced);
    free(show->untraced);
    free(show->unsampled);
    memset(show, 0, sizeof *show);
}
