/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate.c - decides which leaks count.
 */
#include "coreanalyze/check/gate.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/symbols/symbolize_demangle.h"

#include <stdlib.h>
#include <string.h>

/* --- frames --- */

struct frames {
    struct mt_gate *gate;
    struct mt_loss *loss;
    size_t capacity, at; /* at: the next one to get its linkage name */
};

static void take_frame(void *context, const struct mt_frame *frame)
{
    struct frames *f = context;
    struct mt_outcome *outcome = &f->gate->outcome;
    struct mt_loss *loss = f->loss;

    if (!mt_grow(&loss->frames, &f->capacity, loss->n_frames + 1,
                 sizeof *loss->frames)) {
        outcome->out_of_memory = true;
        return;
    }
    loss->frames[loss->n_frames++] = (struct mt_loss_frame){
        .pc = frame->pc,
        .module_offset = frame->module_offset,
        .module = mt_outcome_text(outcome, frame->module),
        .function = mt_outcome_text(outcome, frame->function),
        .file = mt_outcome_text(outcome, frame->file),
        .line = frame->line,
        .inlined = frame->inlined,
    };
}

/* The name of the symbol table: of the function that has the frame, not of
 * those that are inlined there. */
static void take_linkage(void *context, const struct mt_frame *frame)
{
    struct frames *f = context;
    struct mt_outcome *outcome = &f->gate->outcome;
    struct mt_loss_frame *to = NULL;
    char *full;

    for (; f->at < f->loss->n_frames && to == NULL; f->at++)
        if (!f->loss->frames[f->at].inlined)
            to = &f->loss->frames[f->at];
    if (to == NULL || to->pc != frame->pc || frame->function == NULL)
        return;
    to->linkage = mt_outcome_text(outcome, frame->function);
    full = mt_demangle(frame->function, true);
    to->full = mt_outcome_text(outcome, full);
    free(full);
}

/* --- losses --- */

static void fill_loss(struct mt_gate *gate, const struct mt_report *report,
                      const struct mt_report *mangled,
                      const struct mt_show_row *row, struct mt_loss *loss)
{
    struct frames f = {.gate = gate, .loss = loss};

    *loss = (struct mt_loss){
        .kind = row->kind,
        .bytes = row->bytes,
        .count = row->count,
        .indirect_bytes = row->indirect_bytes,
        .indirect_count = row->indirect_count,
        .sample = row->sample,
    };
    if (gate->wanted && row->stack >= MT_ID_FIRST) {
        mt_report_frames(report, row, take_frame, &f);
        if (mangled->resolver)
            mt_report_frames(mangled, row, take_linkage, &f);
    }
    loss->fingerprint = mt_fingerprint(loss->frames, loss->n_frames);
}

static bool fill_losses(struct mt_gate *gate, struct mt_outcome_process *p,
                        const struct mt_report *report, struct mt_error *error)
{
    struct mt_resolver_options names =
        gate->names ? *gate->names : (struct mt_resolver_options){0};
    struct mt_report mangled = *report;

    p->losses = calloc(report->show->n_rows + 1, sizeof *p->losses);
    if (p->losses == NULL)
        return mt_fail(error, "out of memory for the leaks");
    names.mangled = true;
    mangled.resolver = NULL;
    if (gate->suppressions.n > 0 || gate->generate)
        mangled.resolver = mt_resolver_new(report->model, &names);
    for (size_t i = 0; i < report->show->n_rows; i++)
        fill_loss(gate, report, &mangled, &report->show->rows[i],
                  &p->losses[p->n_losses++]);
    mt_resolver_free(mangled.resolver);
    return !gate->outcome.out_of_memory ||
           mt_fail(error, "out of memory for the leaks");
}

/* --- decisions --- */

static int by_identity(const void *a, const void *b)
{
    const struct mt_loss *x = *(struct mt_loss *const *)a;
    const struct mt_loss *y = *(struct mt_loss *const *)b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->fingerprint < y->fingerprint ? -1
                                           : x->fingerprint > y->fingerprint;
}

static bool counts(const struct mt_gate *gate, const struct mt_loss *loss)
{
    return (gate->fail_on & 1u << loss->kind) &&
           !(gate->max_per_stack && mt_loss_bytes(loss) <= gate->max_per_stack);
}

/* Rows that share kind and fingerprint (two calls in one function) are one
 * leak to the baseline. */
static void compare(struct mt_gate *gate, struct mt_loss **same, size_t n)
{
    enum mt_loss_state state;
    struct mt_loss all = {.kind = same[0]->kind,
                          .fingerprint = same[0]->fingerprint};
    uint64_t known = 0;

    for (size_t i = 0; i < n; i++)
        all.count += same[i]->count;
    state = gate->baseline_path
                ? mt_baseline_find(&gate->baseline, &all, &known)
                : MT_LOSS_NEW;
    gate->known += state == MT_LOSS_KNOWN;
    gate->grown += state == MT_LOSS_GROWN;
    gate->new += state == MT_LOSS_NEW;
    if (gate->update)
        state = MT_LOSS_KNOWN;
    for (size_t i = 0; i < n; i++) {
        same[i]->state = state;
        same[i]->known_count = known;
        same[i]->same_count = all.count;
    }
}

static bool decide(struct mt_gate *gate, struct mt_outcome_process *p,
                   struct mt_error *error)
{
    struct mt_loss **left = calloc(p->n_losses + 1, sizeof(struct mt_loss *));
    size_t n = 0;

    if (left == NULL)
        return mt_fail(error, "out of memory for the leaks");
    for (size_t i = 0; i < p->n_losses; i++) {
        struct mt_loss *loss = &p->losses[i];
        const struct mt_suppression *s = mt_suppress(&gate->suppressions, loss);
        if (s) {
            loss->state = MT_LOSS_SUPPRESSED;
            loss->suppression = mt_outcome_text(&gate->outcome, s->name);
        } else if (gate->baseline_path && counts(gate, loss)) {
            left[n++] = loss;
        }
    }
    if (n > 0)
        qsort(left, n, sizeof *left, by_identity);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && by_identity(&left[i], &left[end]) == 0;)
            end++;
        compare(gate, &left[i], end - i);
    }
    free(left);
    return true;
}

static void sum_up(struct mt_gate *gate, struct mt_outcome_process *p)
{
    p->failing_bytes = p->failing_count = 0;
    for (size_t i = 0; i < p->n_losses; i++) {
        struct mt_loss *loss = &p->losses[i];
        loss->fails = counts(gate, loss) && loss->state <= MT_LOSS_GROWN;
        if (!loss->fails)
            continue;
        p->failing_bytes += mt_loss_bytes(loss);
        p->failing_count += loss->count + loss->indirect_count;
    }
    if (p->failing_bytes > gate->max_bytes)
        return;
    for (size_t i = 0; gate->max_bytes && i < p->n_losses; i++)
        p->losses[i].fails = false;
}

/* The rows of the report become those that count or are not judged. */
static void leave_out(const struct mt_outcome_process *p,
                      struct mt_leaks *leaks)
{
    struct mt_show *show = &leaks->show;
    size_t kept = 0;

    for (size_t i = 0; i < p->n_losses; i++) {
        const struct mt_loss *loss = &p->losses[i];
        struct mt_show_sum *sums = loss->state == MT_LOSS_SUPPRESSED
                                       ? leaks->suppressed
                                   : loss->state == MT_LOSS_KNOWN ? leaks->known
                                                                  : NULL;
        if (sums == NULL) {
            show->rows[kept++] = show->rows[i];
            continue;
        }
        show->n_all_rows--;
        /* Indirect blocks go with their heads. */
        if (loss->kind == MT_LEAK_INDIRECT)
            continue;
        sums[loss->kind].bytes += loss->bytes;
        sums[loss->kind].count += loss->count;
        sums[MT_LEAK_INDIRECT].bytes += loss->indirect_bytes;
        sums[MT_LEAK_INDIRECT].count += loss->indirect_count;
    }
    show->n_rows = kept;
}

bool mt_gate_judge(struct mt_gate *gate, struct mt_outcome_process *process,
                   const struct mt_report *report, struct mt_leaks *leaks,
                   struct mt_error *error)
{
    if (!fill_losses(gate, process, report, error) ||
        !decide(gate, process, error))
        return false;
    sum_up(gate, process);
    leave_out(process, leaks);
    return true;
}
