/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy.c - decides which leaks count.
 */
#include "coreanalyze/check/policy.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/names/short_name.h"
#include "coreanalyze/symbols/symbolize_demangle.h"

#include <stdlib.h>
#include <string.h>

/* --- frames --- */

struct leak_frames {
    struct mt_findings *findings;
    struct mt_leak *leak;
    size_t capacity;
    struct mt_frame *resolved; /* the same, then as a person sees them */
    size_t n, resolved_capacity;
};

void mt_policy_frame(struct mt_findings *findings, const struct mt_frame *frame,
                     struct mt_leak_frame **frames, size_t *n, size_t *capacity)
{
    char *full = NULL;
    bool no_memory = false;

    if (!mt_grow(frames, capacity, *n + 1, sizeof **frames)) {
        findings->out_of_memory = true;
        return;
    }
    if (frame->linkage)
        full = mt_demangle(frame->linkage, true, &no_memory);
    findings->out_of_memory |= no_memory;
    (*frames)[(*n)++] = (struct mt_leak_frame){
        .pc = frame->pc,
        .module_offset = frame->module_offset,
        .module = mt_findings_text(findings, frame->module),
        .function = mt_findings_text(findings, frame->function),
        .linkage = mt_findings_text(findings, frame->linkage),
        .full = mt_findings_text(findings, full),
        .file = mt_findings_text(findings, frame->file),
        .line = frame->line,
        .inlined = frame->inlined,
    };
    free(full);
}

static void policy_keep_frame(void *context, const struct mt_frame *frame)
{
    struct leak_frames *f = context;

    if (mt_grow(&f->resolved, &f->resolved_capacity, f->n + 1,
                sizeof *f->resolved))
        f->resolved[f->n++] = *frame;
    else
        f->findings->out_of_memory = true;
}

static void policy_take_frame(void *context, const struct mt_frame *frame)
{
    struct leak_frames *f = context;

    policy_keep_frame(context, frame);
    mt_policy_frame(f->findings, frame, &f->leak->frames, &f->leak->n_frames,
                    &f->capacity);
}

/* Which frames are for a person, and what the first one called. */
static void policy_set_title(const struct mt_report *report,
                             const struct mt_show_row *row,
                             struct leak_frames *f)
{
    struct mt_leak *leak = f->leak;
    size_t title;

    if (f->n == 0)
        return;
    leak->title = mt_frame_title(f->resolved, f->n);
    for (leak->end = leak->title + 1; leak->end < f->n; leak->end++)
        if (mt_frame_kind(&f->resolved[leak->end]) == MT_FRAME_START)
            break;
    f->n = 0;
    mt_report_brief_frames(report, row, policy_keep_frame, f);
    if (f->n == 0)
        return;
    title = mt_frame_title(f->resolved, f->n);
    if (title > 0)
        leak->called =
            mt_findings_text(f->findings, f->resolved[title - 1].function);
}

/* --- leaks --- */

static void fill_loss(struct mt_policy *policy, const struct mt_report *report,
                      const struct mt_show_row *row, struct mt_leak *leak)
{
    struct leak_frames f = {.findings = &policy->findings, .leak = leak};

    *leak = (struct mt_leak){
        .kind = row->kind,
        .bytes = row->bytes,
        .count = row->count,
        .indirect_bytes = row->indirect_bytes,
        .indirect_count = row->indirect_count,
        .sample = row->sample,
    };
    if (policy->wanted && row->stack >= MT_ID_FIRST)
        mt_report_frames(report, row, policy_take_frame, &f);
    policy_set_title(report, row, &f);
    free(f.resolved);
    leak->fingerprint = mt_fingerprint(leak->frames, leak->n_frames);
}

static bool fill_losses(struct mt_policy *policy, struct mt_findings_process *p,
                        const struct mt_report *report, struct mt_error *error)
{
    p->leaks = calloc(report->show->n_rows + 1, sizeof *p->leaks);
    if (p->leaks == NULL)
        return mt_no_memory(error, "the leaks");
    for (size_t i = 0; i < report->show->n_rows; i++)
        fill_loss(policy, report, &report->show->rows[i],
                  &p->leaks[p->n_leaks++]);
    return !policy->findings.out_of_memory || mt_no_memory(error, "the leaks");
}

/* --- decisions --- */

static int policy_by_identity(const void *a, const void *b)
{
    const struct mt_leak *x = *(struct mt_leak *const *)a;
    const struct mt_leak *y = *(struct mt_leak *const *)b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->fingerprint < y->fingerprint ? -1
                                           : x->fingerprint > y->fingerprint;
}

static bool policy_counts(const struct mt_policy *policy,
                          const struct mt_leak *leak)
{
    return (policy->fail_on & 1u << leak->kind) &&
           !(policy->max_per_stack &&
             mt_leak_bytes(leak) <= policy->max_per_stack);
}

/* Rows that share kind and fingerprint (two calls in one function) are one
 * leak to the baseline. */
static void policy_compare(struct mt_policy *policy, struct mt_leak **same,
                           size_t n)
{
    enum mt_leak_state state;
    struct mt_leak all = {.kind = same[0]->kind,
                          .fingerprint = same[0]->fingerprint};
    uint64_t known = 0;

    for (size_t i = 0; i < n; i++)
        all.count += same[i]->count;
    state = policy->baseline_path
                ? mt_baseline_find(&policy->baseline, &all, &known)
                : MT_LEAK_NEW;
    policy->known += state == MT_LEAK_KNOWN;
    policy->grown += state == MT_LEAK_GROWN;
    policy->fresh += state == MT_LEAK_NEW;
    if (policy->update)
        state = MT_LEAK_KNOWN;
    for (size_t i = 0; i < n; i++) {
        same[i]->state = state;
        same[i]->known_count = known;
        same[i]->same_count = all.count;
    }
}

static bool policy_decide(struct mt_policy *policy,
                          struct mt_findings_process *p, struct mt_error *error)
{
    struct mt_leak **left = calloc(p->n_leaks + 1, sizeof(struct mt_leak *));
    size_t n = 0;

    if (left == NULL)
        return mt_no_memory(error, "the leaks");
    for (size_t i = 0; i < p->n_leaks; i++) {
        struct mt_leak *leak = &p->leaks[i];
        const struct mt_suppression *s =
            mt_suppress(&policy->suppressions, leak);
        if (s) {
            leak->state = MT_LEAK_SUPPRESSED;
            leak->suppression = mt_findings_text(&policy->findings, s->name);
        } else if (policy->baseline_path && policy_counts(policy, leak)) {
            left[n++] = leak;
        }
    }
    if (n > 0)
        qsort(left, n, sizeof *left, policy_by_identity);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1;
             end < n && policy_by_identity(&left[i], &left[end]) == 0;)
            end++;
        policy_compare(policy, &left[i], end - i);
    }
    free(left);
    return true;
}

static void policy_sum_up(struct mt_policy *policy,
                          struct mt_findings_process *p)
{
    p->failing_bytes = p->failing_count = 0;
    for (size_t i = 0; i < p->n_leaks; i++) {
        struct mt_leak *leak = &p->leaks[i];
        leak->fails =
            policy_counts(policy, leak) && leak->state <= MT_LEAK_GROWN;
        if (!leak->fails)
            continue;
        p->failing_bytes += mt_leak_bytes(leak);
        p->failing_count += leak->count + leak->indirect_count;
    }
    if (p->failing_bytes > policy->max_bytes)
        return;
    for (size_t i = 0; policy->max_bytes && i < p->n_leaks; i++)
        p->leaks[i].fails = false;
}

/* The rows of the report become those that count or are not judged. */
static void leave_out(const struct mt_findings_process *p,
                      struct mt_leaks *leaks)
{
    struct mt_show *show = &leaks->show;
    size_t kept = 0;

    for (size_t i = 0; i < p->n_leaks; i++) {
        const struct mt_leak *leak = &p->leaks[i];
        struct mt_show_sum *sums = leak->state == MT_LEAK_SUPPRESSED
                                       ? leaks->suppressed
                                   : leak->state == MT_LEAK_KNOWN ? leaks->known
                                                                  : NULL;
        if (sums == NULL) {
            show->rows[kept++] = show->rows[i];
            continue;
        }
        show->n_all_rows--;
        /* Indirect blocks go with their heads. */
        if (leak->kind == MT_LEAK_INDIRECT)
            continue;
        sums[leak->kind].bytes += leak->bytes;
        sums[leak->kind].count += leak->count;
        sums[MT_LEAK_INDIRECT].bytes += leak->indirect_bytes;
        sums[MT_LEAK_INDIRECT].count += leak->indirect_count;
    }
    show->n_rows = kept;
}

bool mt_policy_judge(struct mt_policy *policy,
                     struct mt_findings_process *process,
                     const struct mt_report *report, struct mt_leaks *leaks,
                     struct mt_error *error)
{
    if (!fill_losses(policy, process, report, error) ||
        !policy_decide(policy, process, error))
        return false;
    policy_sum_up(policy, process);
    leave_out(process, leaks);
    return true;
}
