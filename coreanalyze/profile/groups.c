/* SPDX-License-Identifier: BSD-2-Clause
 *
 * groups.c - sums of a profile by what its frames have in common.
 */
#include "coreanalyze/profile/groups.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/table.h"
#include "coreanalyze/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const mt_group_key_names[] = {"stack", "function", "module", "file",
                                          "line",  "thread",   "heap",   NULL};

struct groups_builder {
    struct mt_groups *groups;
    size_t room;
    struct mt_table by_name;
    uint64_t *stamps; /* by group: the last sample that was added, + 1 */
    size_t stamps_room;
    uint64_t sample; /* the current one, + 1 */
    bool old;        /* the sums are of the old profile */
};

static bool groups_match(const void *items, size_t item, const void *key)
{
    const struct mt_group *one = (const struct mt_group *)items + item;

    return one->name == key;
}

/* Index of the group of a text that is kept, or MT_TABLE_NONE. */
static size_t groups_find(struct groups_builder *b, const char *name)
{
    struct mt_groups *g = b->groups;
    uint64_t hash = (uintptr_t)name;
    size_t i = mt_table_find(&b->by_name, hash, groups_match, g->groups, name);

    if (i != MT_TABLE_NONE || !name)
        return i;
    i = g->n;
    if (!mt_grow(&g->groups, &b->room, i + 1, sizeof *g->groups) ||
        !mt_grow(&b->stamps, &b->stamps_room, i + 1, sizeof *b->stamps) ||
        !mt_table_add(&b->by_name, hash, i))
        return MT_TABLE_NONE;
    g->groups[i] = (struct mt_group){.name = name, .module = MT_PROFILE_NONE};
    b->stamps[i] = 0;
    g->n++;
    return i;
}

/* --- names --- */

static const char *groups_kept_line(struct mt_strings *names, const char *file,
                                    uint32_t line)
{
    char number[16];
    size_t n = strlen(file);
    char *text = malloc(n + sizeof number);
    const char *kept;

    if (!text)
        return NULL;
    snprintf(number, sizeof number, ":%" PRIu32, line);
    memcpy(text, file, n);
    strcpy(text + n, line ? number : "");
    kept = mt_strings_keep(names, text);
    free(text);
    return kept;
}

/* The group that a node's frame is in. */
static const char *groups_name_frame(const struct groups_builder *b,
                                     const struct mt_profile *p, uint32_t node)
{
    const struct mt_profile_function *f = mt_profile_function_of(p, node);
    const struct mt_profile_frame *frame = &p->frames[p->nodes[node].frame];
    struct mt_strings *names = b->groups->names;
    const char *module = mt_profile_module_path(p, f->module);

    switch (b->groups->key) {
    case MT_BY_FUNCTION:
        return mt_strings_keep(names, f->name);
    case MT_BY_MODULE:
        return mt_strings_keep(names, *module ? module : "(no module)");
    case MT_BY_FILE:
    case MT_BY_LINE:
        if (f->file)
            return groups_kept_line(
                names, f->file, b->groups->key == MT_BY_LINE ? frame->line : 0);
        return mt_strings_keep(names, *module ? module : f->name);
    default:
        return NULL;
    }
}

/* The group of a sample as a whole. */
static const char *groups_name_sample(const struct groups_builder *b,
                                      const struct mt_profile *p,
                                      const struct mt_profile_sample *sample)
{
    struct mt_strings *names = b->groups->names;
    const struct mt_model *model = p->model;
    const struct mt_traced_thread *thread;
    char text[64];

    if (!sample->row)
        return mt_strings_keep(names, "(nothing is live)");
    if (b->groups->key == MT_BY_HEAP)
        return mt_strings_keep(names, model->heaps[sample->row->heap].name);
    thread = mt_model_thread(model, sample->row->thread);
    if (thread) {
        snprintf(text, sizeof text, "%" PRIu32 " %.16s%s", thread->tid,
                 thread->name, thread->live ? "" : " (ended)");
        return mt_strings_keep(names, text);
    }
    return mt_strings_keep(names, "(large blocks, and others of no thread)");
}

/* --- sums --- */

static void groups_add(struct mt_measures *to, const struct mt_measures *is)
{
    for (unsigned m = 0; m < MT_N_MEASURES; m++)
        to->of[m] += is->of[m];
}

static bool groups_add_total(struct groups_builder *b, const char *name,
                             const struct mt_measures *is, size_t *group)
{
    size_t i = groups_find(b, name);
    struct mt_group *g;

    if (i == MT_TABLE_NONE)
        return false;
    g = &b->groups->groups[i];
    if (b->stamps[i] != b->sample) {
        b->stamps[i] = b->sample;
        groups_add(b->old ? &g->old_total : &g->total, is);
        g->stacks += !b->old;
    }
    *group = i;
    return true;
}

static void groups_add_self(struct groups_builder *b, size_t group,
                            const struct mt_measures *is)
{
    struct mt_group *g = &b->groups->groups[group];

    g->own = true;
    groups_add(b->old ? &g->old_self : &g->self, is);
}

static bool groups_add_sample(struct groups_builder *b,
                              const struct mt_profile *p,
                              const struct mt_profile_sample *sample)
{
    size_t group;

    b->sample++;
    if (b->groups->key == MT_BY_THREAD || b->groups->key == MT_BY_HEAP) {
        if (!groups_add_total(b, groups_name_sample(b, p, sample), &sample->is,
                              &group))
            return false;
        groups_add_self(b, group, &sample->is);
        return true;
    }
    for (uint32_t node = sample->node; node; node = p->nodes[node].parent) {
        const struct mt_profile_function *f = mt_profile_function_of(p, node);
        if (!groups_add_total(b, groups_name_frame(b, p, node), &sample->is,
                              &group))
            return false;
        b->groups->groups[group].own |=
            f->kind == MT_FRAME_PROGRAM || b->groups->key == MT_BY_MODULE;
        if (b->groups->key == MT_BY_FUNCTION && !b->old)
            b->groups->groups[group].module = f->module;
        if (node == sample->title)
            groups_add_self(b, group, &sample->is);
    }
    return true;
}

static bool groups_add_profile(struct groups_builder *b,
                               const struct mt_profile *p)
{
    for (size_t i = 0; i < p->n_samples; i++)
        if (!groups_add_sample(b, p, &p->samples[i]))
            return false;
    return true;
}

/* --- order --- */

static int64_t groups_figure(const struct mt_measures *is,
                             const struct mt_measures *old,
                             const struct mt_group_order *order)
{
    return (int64_t)(is->of[order->measure] -
                     (order->growth ? old->of[order->measure] : 0));
}

static int groups_by_order(const void *a, const void *b, void *context)
{
    const struct mt_group *x = a, *y = b;
    const struct mt_group_order *order = context;
    int64_t f = groups_figure(&x->total, &x->old_total, order);
    int64_t g = groups_figure(&y->total, &y->old_total, order);

    if (f == g) {
        f = groups_figure(&x->self, &x->old_self, order);
        g = groups_figure(&y->self, &y->old_self, order);
    }
    return f != g ? (f < g) - (f > g) : strcmp(x->name, y->name);
}

bool mt_groups_make(const struct mt_profile *profile,
                    const struct mt_profile *old, enum mt_group_key key,
                    const struct mt_group_order *order,
                    struct mt_groups *groups, struct mt_error *error)
{
    struct groups_builder b = {.groups = groups};
    struct mt_group_order by = *order;
    bool ok;

    *groups = (struct mt_groups){.key = key, .names = mt_strings_new()};
    ok = groups->names && groups_add_profile(&b, profile);
    b.old = true;
    ok = ok && (!old || groups_add_profile(&b, old));
    if (ok && groups->n)
        qsort_r(groups->groups, groups->n, sizeof *groups->groups,
                groups_by_order, &by);
    groups->n_all = groups->n;
    mt_table_free(&b.by_name);
    free(b.stamps);
    return ok || mt_no_memory(error, "the report");
}

void mt_groups_own(struct mt_groups *groups)
{
    size_t kept = 0;

    for (size_t i = 0; i < groups->n; i++)
        if (groups->groups[i].own)
            groups->groups[kept++] = groups->groups[i];
    groups->n_library = groups->n - kept;
    groups->n = groups->n_all = kept;
}

void mt_groups_cut(struct mt_groups *groups, bool growth, uint64_t min_bytes,
                   uint64_t top)
{
    size_t kept = 0;

    for (size_t i = 0; i < groups->n; i++) {
        const struct mt_group *g = &groups->groups[i];
        uint64_t is = g->total.of[MT_LIVE_BYTES];
        uint64_t was = growth ? g->old_total.of[MT_LIVE_BYTES] : 0;
        if ((is > was ? is - was : was - is) >= min_bytes &&
            (top == 0 || kept < top))
            groups->groups[kept++] = *g;
    }
    groups->n = kept;
}

void mt_groups_free(struct mt_groups *groups)
{
    free(groups->groups);
    mt_strings_free(groups->names);
    *groups = (struct mt_groups){0};
}
