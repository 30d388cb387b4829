/* SPDX-License-Identifier: BSD-2-Clause
 *
 * leaks.c - marks, then lets show sum up the blocks by what they are.
 */
#include "coreanalyze/analyses/leaks.h"
#include "coreanalyze/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* A directly lost block, and the blocks reachable only through it. */
struct indirect {
    uint64_t slot, bytes, count;
};

struct classifier {
    struct mt_leaks *leaks;
    struct mt_map *map;
    struct indirect *indirects; /* by slot */
    size_t n_indirects, capacity;
    bool out_of_memory;
};

static void take_leak_root(void *context, const struct mt_lost *lost)
{
    struct classifier *c = context;

    if (lost->indirect_count == 0)
        return;
    if (!mt_grow(&c->indirects, &c->capacity, c->n_indirects + 1,
                 sizeof *c->indirects))
        c->out_of_memory = true;
    else
        c->indirects[c->n_indirects++] = (struct indirect){
            lost->slot, lost->indirect_bytes, lost->indirect_count};
}

static int by_slot(const void *a, const void *b)
{
    const struct indirect *x = a, *y = b;

    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static enum mt_leak_kind kind_of(unsigned flags)
{
    return (flags & MT_BLOCK_DEFINITE)   ? MT_LEAK_REACHABLE
           : (flags & MT_BLOCK_REACHED)  ? MT_LEAK_POSSIBLE
           : (flags & MT_BLOCK_INDIRECT) ? MT_LEAK_INDIRECT
                                         : MT_LEAK_DEFINITE;
}

static bool leaks_classify(void *context, const struct mt_block *block,
                           struct mt_show_class *row_class)
{
    struct classifier *c = context;
    const struct indirect *indirect;
    enum mt_leak_kind kind = kind_of(c->map->flags[block->slot]);

    c->leaks->sums[kind].bytes += block->bytes;
    c->leaks->sums[kind].count++;
    if (!(c->leaks->options->kinds & 1u << kind))
        return false;
    row_class->kind = kind;
    if (kind == MT_LEAK_DEFINITE && c->n_indirects > 0) {
        struct indirect key = {.slot = block->slot};
        indirect =
            bsearch(&key, c->indirects, c->n_indirects, sizeof key, by_slot);
        if (indirect) {
            row_class->indirect_bytes = indirect->bytes;
            row_class->indirect_count = indirect->count;
        }
    }
    return true;
}

/* --- blocks that the program wants ignored: they hold themselves --- */

struct ignored {
    const struct mt_model *model;
    struct mt_roots *roots;
    size_t capacity;
    uint64_t n;
    bool out_of_memory;
};

static bool add_ignored(void *context, const struct mt_block *block)
{
    struct ignored *ignored = context;
    struct mt_roots *roots = ignored->roots;

    if (!ignored->model->stacks[block->stack].ignored)
        return true;
    if (!mt_grow(&roots->words, &ignored->capacity, roots->n_words + 1,
                 sizeof *roots->words)) {
        ignored->out_of_memory = true;
        return false;
    }
    ignored->n++;
    roots->words[roots->n_words++] = (struct mt_root_range){
        .start = block->address, .kind = MT_ROOT_IGNORED};
    return true;
}

static bool find_ignored(struct mt_model *model, struct mt_leaks *leaks,
                         struct mt_roots *roots, struct mt_error *error)
{
    struct ignored ignored = {
        .model = model, .roots = roots, .capacity = roots->n_words};
    bool any = false;

    for (size_t i = MT_ID_FIRST; i < model->n_stacks && !any; i++)
        any = model->stacks[i].ignored;
    if (any)
        mt_model_each_block(model, add_ignored, &ignored, NULL, error);
    leaks->ignored_blocks = ignored.n;
    return !ignored.out_of_memory || mt_no_memory(error, "the roots");
}

/* Words of vector registers that hold a block for all that is known: it is not
 * seen whether they are of use. */
static uint64_t count_in_vectors(const struct mt_source *source,
                                 const struct mt_map *map)
{
    struct mt_block_ref place;
    uint64_t n = 0;

    for (size_t i = 0; i < source->n_kernel_words; i++) {
        const struct mt_kernel_word *word = &source->kernel_words[i];
        n += word->kind == MT_KERNEL_VECTOR && !word->stored &&
             mt_map_find(map, word->value, &place) &&
             (map->flags[place.slot] & (MT_BLOCK_LIVE | MT_BLOCK_REACHED)) ==
                 MT_BLOCK_LIVE;
    }
    return n;
}

static bool leaks_mark(struct mt_model *model, struct classifier *c,
                       struct mt_error *error)
{
    struct mt_leaks *leaks = c->leaks;
    struct mt_mark mark = {.map = c->map,
                           .source = model->source,
                           .options = &leaks->options->mark};
    struct mt_roots roots;
    uint64_t start = mt_clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu = mt_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    bool ok = mt_roots_find(model, &leaks->options->roots, &roots, error) &&
              find_ignored(model, leaks, &roots, error) &&
              mt_roots_mark(&roots, &mark, error) &&
              mt_mark_lost(&mark, take_leak_root, c, error) &&
              (mark.missing_bytes == 0 || mark.stopped ||
               mt_roots_missing(&roots, &mark, error));

    leaks->in_vectors = ok ? count_in_vectors(model->source, c->map) : 0;
    leaks->roots = roots.coverage;
    mt_pointer_lists_free(mark.lists);
    leaks->roots.stacks_unknown -= mark.stacks_found;
    leaks->scanned_bytes = mark.scanned_bytes;
    leaks->missing_bytes = mark.missing_bytes;
    leaks->idle_blocks = mark.idle_blocks;
    leaks->stopped = mark.stopped;
    leaks->search_ns = mt_clock_ns(CLOCK_MONOTONIC) - start;
    leaks->search_cpu_ns = mt_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    mt_roots_free(&roots);
    if (ok && c->out_of_memory)
        return mt_no_memory(error, "the leak roots");
    if (ok && c->n_indirects > 0)
        qsort(c->indirects, c->n_indirects, sizeof *c->indirects, by_slot);
    return ok;
}

static bool leaks_has_loss(const struct mt_leaks *leaks)
{
    return leaks->sums[MT_LEAK_DEFINITE].count > 0 ||
           leaks->sums[MT_LEAK_POSSIBLE].count > 0;
}

/* What may hold it, and was not read. */
static bool leaks_what_is_missing(struct mt_model *model,
                                  struct mt_leaks *leaks,
                                  struct mt_error *error)
{
    struct mt_source *source = model->source;

    if (source->ops->unfilled && !source->ops->unfilled(source))
        return mt_no_memory(error, "the mappings");
    return mt_roots_kernel_calls(model, &leaks->roots) ||
           mt_no_memory(error, "the files of modules");
}

bool mt_leaks_run(struct mt_model *model,
                  const struct mt_leaks_options *options,
                  struct mt_leaks *leaks, struct mt_error *error)
{
    struct classifier c = {.leaks = leaks};
    bool ok;

    memset(leaks, 0, sizeof *leaks);
    leaks->options = options;
    leaks->show_options = options->show;
    leaks->show_options.classify = leaks_classify;
    leaks->show_options.classify_context = &c;
    c.map = mt_model_map(model, error);
    ok = c.map && leaks_mark(model, &c, error) &&
         mt_show_run(model, &leaks->show_options, &leaks->show, error);
    if (ok && leaks_has_loss(leaks))
        ok = leaks_what_is_missing(model, leaks, error);
    free(c.indirects);
    mt_map_free(c.map);
    return ok;
}

void mt_leaks_free(struct mt_leaks *leaks)
{
    mt_show_free(&leaks->show);
    memset(leaks, 0, sizeof *leaks);
}

static uint64_t leaks_less(uint64_t all, uint64_t a, uint64_t b)
{
    return all > a + b ? all - a - b : 0;
}

struct mt_show_sum mt_leaks_left(const struct mt_leaks *leaks,
                                 enum mt_leak_kind kind)
{
    const struct mt_show_sum *s = &leaks->suppressed[kind];
    const struct mt_show_sum *k = &leaks->known[kind];

    return (struct mt_show_sum){
        leaks_less(leaks->sums[kind].bytes, s->bytes, k->bytes),
        leaks_less(leaks->sums[kind].count, s->count, k->count)};
}

/* Memory that was not read can hold what looks lost: if nothing does, no more
 * is known by reading it. */
static bool leaks_all_read(const struct mt_source_coverage *s,
                           const struct mt_leaks *leaks)
{
    if (!leaks_has_loss(leaks))
        return true;
    return s->untouched_bytes == 0 && s->swapped_bytes == 0 &&
           s->unread_bytes == 0 && !s->by_debugger && s->queues_unseen == 0 &&
           s->notifications == 0 && leaks->roots.polling == 0 &&
           leaks->roots.async == 0 && leaks->roots.kernel_calls == 0 &&
           !s->kernel_unseen && leaks->in_vectors == 0;
}

bool mt_leaks_complete(const struct mt_model *model,
                       const struct mt_leaks *leaks)
{
    const struct mt_coverage *c = &model->coverage;
    const struct mt_source_coverage *s = &model->source->coverage;

    return !leaks->stopped && !c->interrupted && !c->not_ready &&
           leaks->roots.threads > 0 &&
           leaks->roots.threads_without_registers == 0 &&
           leaks->roots.missing_bytes == 0 && leaks->missing_bytes == 0 &&
           s->missing_bytes == 0 && !s->damaged && !s->tables_incomplete &&
           s->bad_notes == 0 && c->unreadable_bytes == 0 &&
           s->threads_running == 0 && s->sharers_running == 0 && !s->let_go &&
           leaks_all_read(s, leaks) && c->skipped_heaps == 0 &&
           c->skipped_regions == 0 && c->skipped_spans == 0 &&
           c->skipped_sections == 0;
}
