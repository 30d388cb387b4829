/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_process.c - one look at a process: tables of /proc, the trace, a show.
 *
 * Nothing is kept of the trace but its place: reading it again costs less than
 * finding out what of it is new.  Symbols are the dear part, and stay.
 */
#include "coreanalyze/top/top_process.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "coreanalyze/source/process_tree.h"

#include <stdlib.h>
#include <string.h>

#define LIMITS_EACH 5 /* refreshes: they seldom change */

struct mt_top_process *mt_top_process_new(pid_t pid, const char *heap)
{
    struct mt_top_process *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->pid = pid;
    p->wanted.heap = heap;
    p->wanted.freed = heap == NULL;
    p->wanted.unsorted = true;
    p->start_time = mt_process_start(pid);
    return p;
}

/* What was read is of another program than what follows. */
static void process_forget(struct mt_top_process *p)
{
    mt_top_history_free(&p->history);
    mt_resolver_free(p->resolver);
    mt_show_free(&p->show);
    mt_model_free(p->model);
    mt_source_free(p->source);
    p->resolver = NULL;
    p->model = NULL;
    p->source = NULL;
    p->show_by_thread = false;
}

void mt_top_process_free(struct mt_top_process *p)
{
    if (p == NULL)
        return;
    process_forget(p);
    free(p);
}

/* The target gives the ids of stacks that no block has to other stacks. */
static uint64_t stack_identity(const struct mt_model *model, uint32_t stack)
{
    const struct mt_stack *s = &model->stacks[stack];

    return (uint64_t)s->node << 32 ^ (uint64_t)s->first_epoch << 10 ^ s->depth;
}

/* A target that makes no sense may take back what it had. */
bool mt_top_process_has(const struct mt_top_process *p,
                        const struct mt_top_row *row)
{
    const struct mt_model *model = p->model;

    return !p->ended && model && row->row.stack < model->n_stacks &&
           row->row.heap < model->n_heaps &&
           stack_identity(model, row->row.stack) == row->identity;
}

static bool process_remember(struct mt_top_process *p, struct mt_error *error)
{
    struct mt_top_figures total = {p->show.shown.bytes, p->show.shown.count, 0};
    const struct mt_model *model = p->model;

    for (size_t i = MT_ID_FIRST; i < model->n_stacks; i++)
        total.allocs += model->stacks[i].allocs;
    mt_top_history_begin(&p->history, mt_clock_ns(CLOCK_MONOTONIC));
    for (size_t i = 0; i < p->show.n_rows; i++) {
        const struct mt_show_row *row = &p->show.rows[i];
        if (!mt_top_history_add(&p->history, row,
                                stack_identity(model, row->stack),
                                model->heaps[row->heap].main))
            return mt_no_memory(error, "the rows");
    }
    mt_top_history_end(&p->history, &total);
    p->n_stacks = p->show.n_all_rows - p->show.n_freed_rows;
    p->untraced = (struct mt_top_figures){0};
    for (uint32_t i = 0; i < model->n_heaps; i++)
        if (mt_show_wants(model, &p->show, i)) {
            p->untraced.bytes += p->show.untraced[i].bytes;
            p->untraced.blocks += p->show.untraced[i].count;
        }
    return true;
}

/* What was read replaces what was read before. */
static bool process_take(struct mt_top_process *p, struct mt_model *model,
                         struct mt_show *show,
                         const struct mt_resolver_options *names,
                         struct mt_error *error)
{
    mt_show_free(&p->show);
    if (p->resolver)
        mt_resolver_use(p->resolver, model);
    mt_model_free(p->model);
    p->model = model;
    p->show = *show;
    p->show_by_thread = p->wanted.threads;
    if (!p->resolver)
        p->resolver = mt_resolver_new(model, names);
    return (p->resolver || mt_no_memory(error, "the names")) &&
           process_remember(p, error);
}

/* A process that has called exec() is read anew; one that has ended stays as it
 * was. */
static bool process_open(struct mt_top_process *p)
{
    if (p->source) {
        if (p->source->ops->refresh(p->source, &p->error))
            return true;
        if (p->error.no_memory || !p->source->coverage.ended ||
            mt_process_start(p->pid) != p->start_time)
            return false;
        process_forget(p);
        p->error = (struct mt_error){0};
    }
    p->source = mt_source_open_pid(p->pid, &p->error);
    return p->source != NULL;
}

static void process_look_at_limits(struct mt_top_process *p)
{
    if (p->refreshes % LIMITS_EACH != 1)
        return;
    if (p->use.folder[0] == '\0' ||
        !mt_memory_use_of_folder(p->use.folder, &p->use))
        if (!mt_memory_use_of_process(p->pid, &p->use))
            p->use = (struct mt_memory_use){0};
    mt_process_limit(p->pid, &p->limit);
}

static bool process_look(struct mt_top_process *p,
                         const struct mt_resolver_options *names,
                         struct mt_error *error)
{
    struct mt_snapshot_options options = {.known_root =
                                              p->model ? p->model->root : 0};
    struct mt_model *model;
    struct mt_show show = {0};

    if (!process_open(p))
        return !p->error.no_memory;
    memcpy(p->name, p->source->process.name, sizeof p->name);
    process_look_at_limits(p);
    model = mt_snapshot_take(p->source, &options, &p->error);
    if (model == NULL)
        return !p->error.no_memory;
    if (!mt_show_run(model, &p->wanted, &show, &p->error) ||
        p->source->coverage.ended) {
        mt_show_free(&show);
        mt_model_free(model);
        return !p->error.no_memory;
    }
    return process_take(p, model, &show, names, error);
}

bool mt_top_process_refresh(struct mt_top_process *p,
                            const struct mt_resolver_options *names,
                            struct mt_error *error)
{
    uint64_t start = mt_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    bool ok;

    p->cpu_ns = 0;
    if (p->ended)
        return true;
    p->refreshes++;
    p->error = (struct mt_error){0};
    ok = process_look(p, names, error);
    if (p->error.no_memory)
        *error = p->error;
    p->ended = mt_process_start(p->pid) != p->start_time;
    p->cpu_ns = mt_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    return ok;
}

/* --- what a stop would cost --- */

#define COST_PIECE (UINT64_C(1) << 20)
#define COST_MOST (UINT64_C(16) << 20) /* that is read for the measurement */

struct stop_cost {
    struct mt_source *source;
    void *buffer;
    uint64_t bytes, read, ns;
};

static bool cost_visit(void *context, const struct mt_page_run *run)
{
    struct stop_cost *cost = context;
    uint64_t at = run->start, start = mt_clock_ns(CLOCK_MONOTONIC);

    if (run->swapped)
        return true;
    cost->bytes += run->end - run->start;
    while (at < run->end && cost->read < COST_MOST) {
        uint64_t n = run->end - at < COST_PIECE ? run->end - at : COST_PIECE;
        if (mt_source_read_part(cost->source, at, cost->buffer, (size_t)n) == 0)
            break;
        cost->read += n;
        at += n;
    }
    cost->ns += mt_clock_ns(CLOCK_MONOTONIC) - start;
    return true;
}

void mt_top_process_stop_cost(struct mt_top_process *p, uint64_t *bytes,
                              uint64_t *ns)
{
    struct stop_cost cost = {p->source, malloc(COST_PIECE), 0, 0, 0};
    const struct mt_source *source = p->source;

    for (size_t i = 0; cost.buffer && i < source->n_mappings; i++)
        if (source->mappings[i].flags & MT_MAP_WRITE)
            source->ops->resident(p->source, source->mappings[i].start,
                                  source->mappings[i].end, cost_visit, &cost);
    free(cost.buffer);
    *bytes = cost.bytes;
    *ns = cost.read ? (uint64_t)((double)cost.ns * (double)cost.bytes /
                                 (double)cost.read)
                    : 0;
}
