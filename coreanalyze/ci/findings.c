/* SPDX-License-Identifier: BSD-2-Clause */
#include "coreanalyze/ci/findings.h"
#include "coreanalyze/analyses/leaks.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/string_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const mt_check_result_names[] = {"clean", "leaks", "not checked"};

bool mt_outcome_init(struct mt_outcome *outcome, struct mt_error *error)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->strings = mt_strings_new();
    return outcome->strings || mt_fail(error, "out of memory");
}

void mt_outcome_free(struct mt_outcome *outcome)
{
    for (size_t i = 0; i < outcome->n_processes; i++) {
        struct mt_outcome_process *p = &outcome->processes[i];
        for (size_t j = 0; j < p->n_losses; j++)
            free(p->losses[j].frames);
        free(p->losses);
    }
    free(outcome->processes);
    mt_strings_free(outcome->strings);
    memset(outcome, 0, sizeof *outcome);
}

const char *mt_outcome_text(struct mt_outcome *outcome, const char *text)
{
    const char *copy = text ? mt_strings_keep(outcome->strings, text) : NULL;

    outcome->out_of_memory |= text && copy == NULL;
    return copy;
}

struct mt_outcome_process *mt_outcome_add(struct mt_outcome *outcome)
{
    if (!mt_grow(&outcome->processes, &outcome->capacity,
                 outcome->n_processes + 1, sizeof *outcome->processes)) {
        outcome->out_of_memory = true;
        return NULL;
    }
    return &outcome->processes[outcome->n_processes++];
}

uint64_t mt_loss_bytes(const struct mt_loss *loss)
{
    return loss->bytes + loss->indirect_bytes;
}

static int by_importance(const void *a, const void *b)
{
    const struct mt_failing *x = a, *y = b;
    uint64_t x_bytes = mt_loss_bytes(x->loss), y_bytes = mt_loss_bytes(y->loss);

    if (x->loss->kind != y->loss->kind)
        return x->loss->kind < y->loss->kind ? -1 : 1;
    if (x_bytes != y_bytes)
        return x_bytes > y_bytes ? -1 : 1;
    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    return x->loss < y->loss ? -1 : x->loss > y->loss;
}

struct mt_failing *mt_outcome_failing(struct mt_outcome *outcome, size_t *n)
{
    struct mt_failing *failing = NULL;
    size_t capacity = 0;

    *n = 0;
    for (size_t i = 0; i < outcome->n_processes; i++) {
        const struct mt_outcome_process *p = &outcome->processes[i];
        for (size_t j = 0; j < p->n_losses; j++) {
            if (!p->losses[j].fails)
                continue;
            if (!mt_grow(&failing, &capacity, *n + 1, sizeof *failing)) {
                outcome->out_of_memory = true;
                break;
            }
            failing[(*n)++] = (struct mt_failing){p, &p->losses[j]};
        }
    }
    if (*n > 0)
        qsort(failing, *n, sizeof *failing, by_importance);
    return failing;
}

static bool of_the_system(const char *path)
{
    return strncmp(path, "/usr/", 5) == 0 || strncmp(path, "/lib", 4) == 0 ||
           path[0] != '/';
}

const struct mt_loss_frame *mt_loss_site(const struct mt_loss *loss)
{
    const struct mt_loss_frame *any = NULL;

    for (size_t i = 0; i < loss->n_frames; i++) {
        const struct mt_loss_frame *f = &loss->frames[i];
        if (f->file == NULL || f->line == 0)
            continue;
        /* Debug packages name sources by paths that are nowhere. */
        if (!of_the_system(f->file) && !(f->module && of_the_system(f->module)))
            return f;
        if (any == NULL)
            any = f;
    }
    return any;
}

void mt_loss_title(const struct mt_loss *loss, char *text, size_t bytes)
{
    static const char *const words[MT_N_LEAK_KINDS] = {
        "definitely lost", "indirectly lost", "possibly lost",
        "still reachable"};

    if (loss->indirect_count > 0)
        snprintf(text, bytes,
                 "%" PRIu64 " (%" PRIu64 " direct, %" PRIu64
                 " indirect) bytes in %" PRIu64 " blocks are %s",
                 mt_loss_bytes(loss), loss->bytes, loss->indirect_bytes,
                 loss->count, words[loss->kind]);
    else
        snprintf(text, bytes, "%" PRIu64 " bytes in %" PRIu64 " blocks are %s",
                 loss->bytes, loss->count, words[loss->kind]);
}
