/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_json2.c - JSON, version 2: tables of modules, functions, frames and
 * paths of calls, and the stacks as rows that point into them.  The schema
 * beside this file is installed.  A member that is false or 0 is left out where
 * the schema has a default.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/profile/profile.h"
#include "coreanalyze/reports/print.h"

#include <string.h>

struct json2_matches {
    struct mt_json *json;
    const char *path, *build_id;
    bool found;
};

/* How the module's file was matched. */
static void json2_put_match(void *context, const struct mt_module_match *match)
{
    struct json2_matches *m = context;

    if (m->found || strcmp(match->path, m->path) != 0 ||
        strcmp(match->build_id, m->build_id) != 0)
        return;
    m->found = true;
    mt_json_string(m->json, "match", match->match);
    if (match->debug_path)
        mt_json_string(m->json, "debug", match->debug_path);
}

static void json2_put_module(struct mt_json *json,
                             const struct mt_report *report,
                             const struct mt_module *module)
{
    char build_id[65] = "";
    struct json2_matches matches = {.json = json,
                                    .path = module->path ? module->path : "",
                                    .build_id = build_id};

    for (unsigned i = 0; i < module->build_id_bytes && i < 32; i++)
        snprintf(build_id + 2 * i, 3, "%02x", module->build_id[i]);
    mt_json_open(json, NULL, '{');
    mt_json_string(json, "path", module->path);
    mt_json_string(json, "build_id", build_id[0] ? build_id : NULL);
    mt_json_address(json, "start", module->start);
    mt_json_address(json, "end", module->end);
    mt_json_address(json, "load_bias", module->load_bias);
    mt_resolver_matches(report->resolver, json2_put_match, &matches);
    mt_json_close(json, '}');
}

static void json2_put_modules(struct mt_json *json,
                              const struct mt_report *report,
                              const struct mt_profile *p)
{
    mt_json_open(json, "modules", '[');
    for (size_t i = 0; i < p->n_modules; i++)
        json2_put_module(json, report, p->modules[i]);
    mt_json_close(json, ']');
}

static void json2_put_index(struct mt_json *json, const char *key,
                            uint32_t index)
{
    if (index != MT_PROFILE_NONE)
        mt_json_u64(json, key, index);
}

static void json2_put_functions(struct mt_json *json,
                                const struct mt_profile *p)
{
    static const char *const roles[] = {
        [MT_FRAME_PROGRAM] = "program",
        [MT_FRAME_WRAPPER] = "wrapper",
        [MT_FRAME_LIBRARY] = "library",
        [MT_FRAME_START] = "start",
    };

    mt_json_open(json, "functions", '[');
    for (size_t i = 0; i < p->n_functions; i++) {
        const struct mt_profile_function *f = &p->functions[i];
        mt_json_open(json, NULL, '{');
        mt_json_string(json, "name", f->name);
        if (f->linkage && strcmp(f->linkage, f->name) != 0)
            mt_json_string(json, "linkage", f->linkage);
        if (f->file)
            mt_json_string(json, "file", f->file);
        json2_put_index(json, "module", f->module);
        if (f->kind != MT_FRAME_PROGRAM)
            mt_json_string(json, "role", roles[f->kind]);
        if (!f->known)
            mt_json_bool(json, "unnamed", true);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

static void json2_put_frames(struct mt_json *json, const struct mt_profile *p)
{
    mt_json_open(json, "frames", '[');
    for (size_t i = 0; i < p->n_frames; i++) {
        const struct mt_profile_frame *f = &p->frames[i];
        mt_json_open(json, NULL, '{');
        mt_json_address(json, "pc", f->pc);
        mt_json_u64(json, "function", f->function);
        if (f->offset)
            mt_json_u64(json, "offset", f->offset);
        if (f->line)
            mt_json_u64(json, "line", f->line);
        if (f->inlined)
            mt_json_bool(json, "inlined", true);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

/* In two columns: the parent of each node, and its frame. */
static void json2_put_nodes(struct mt_json *json, const struct mt_profile *p)
{
    mt_json_open(json, "nodes", '{');
    mt_json_open(json, "parent", '[');
    mt_json_null(json, NULL);
    for (size_t i = 1; i < p->n_nodes; i++)
        mt_json_u64(json, NULL, p->nodes[i].parent);
    mt_json_close(json, ']');
    mt_json_open(json, "frame", '[');
    mt_json_null(json, NULL);
    for (size_t i = 1; i < p->n_nodes; i++)
        mt_json_u64(json, NULL, p->nodes[i].frame);
    mt_json_close(json, ']');
    mt_json_close(json, '}');
}

static void json2_put_threads(struct mt_json *json,
                              const struct mt_model *model)
{
    mt_json_open(json, "threads", '[');
    for (size_t i = 0; i < model->n_threads; i++) {
        const struct mt_traced_thread *t = &model->threads[i];
        mt_json_open(json, NULL, '{');
        mt_json_u64(json, "id", t->id);
        mt_json_u64(json, "tid", t->tid);
        mt_json_string(json, "name", t->name);
        if (t->live)
            mt_json_bool(json, "live", true);
        mt_json_seconds(json, "started_s", (double)t->started_ns / 1e9);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

static void json2_put_live(struct mt_json *json, const struct mt_report *report,
                           const struct mt_show_row *row)
{
    const struct mt_model *model = report->model;
    unsigned n = MT_SHOW_AGES;

    mt_json_u64(json, "heap", row->heap);
    if (mt_model_thread(model, row->thread))
        mt_json_u64(json, "thread", row->thread);
    mt_json_u64(json, "bytes", row->bytes);
    mt_json_u64(json, "count", row->count);
    if (row->sampled != row->count)
        mt_json_u64(json, "sampled", row->sampled);
    mt_json_address(json, "sample", row->sample);
    mt_json_seconds(json, "oldest_s",
                    (double)mt_model_age_ns(model, row->oldest_epoch) / 1e9);
    mt_json_seconds(json, "newest_s",
                    (double)mt_model_age_ns(model, row->newest_epoch) / 1e9);
    if (report->kinds)
        mt_json_string(json, "kind", report->kinds[row->kind]);
    if (row->indirect_count) {
        mt_json_u64(json, "indirect_bytes", row->indirect_bytes);
        mt_json_u64(json, "indirect_count", row->indirect_count);
    }
    mt_json_open(json, "ages", '[');
    while (n > 0 && row->ages[n - 1] == 0)
        n--;
    for (unsigned i = 0; i < n; i++)
        mt_json_u64(json, NULL, row->ages[i]);
    mt_json_close(json, ']');
    if (row->steady)
        mt_json_bool(json, "steady", true);
}

static void json2_put_stack(struct mt_json *json,
                            const struct mt_report *report,
                            const struct mt_profile_sample *sample)
{
    const struct mt_stack *stack = &report->model->stacks[sample->stack];

    mt_json_open(json, NULL, '{');
    mt_json_u64(json, "node", sample->node);
    if (sample->title != sample->node)
        mt_json_u64(json, "title", sample->title);
    if (sample->row)
        json2_put_live(json, report, sample->row);
    if (sample->is.of[MT_ALLOCS])
        mt_json_u64(json, "allocs", sample->is.of[MT_ALLOCS]);
    if (sample->is.of[MT_ALLOC_BYTES])
        mt_json_u64(json, "alloc_bytes", sample->is.of[MT_ALLOC_BYTES]);
    if (sample->is.of[MT_PEAK_BLOCKS]) {
        mt_json_u64(json, "peak_bytes", sample->is.of[MT_PEAK_BYTES]);
        mt_json_u64(json, "peak_count", sample->is.of[MT_PEAK_BLOCKS]);
    }
    if (sample->stack == MT_ID_OVERFLOW)
        mt_json_bool(json, "overflow", true);
    if (stack->truncated)
        mt_json_bool(json, "truncated", true);
    if (stack->incomplete)
        mt_json_bool(json, "incomplete", true);
    if (stack->frame_pointer)
        mt_json_bool(json, "frame_pointer", true);
    mt_json_close(json, '}');
}

static void json2_put_total(struct mt_json *json, const struct mt_profile *p)
{
    mt_json_open(json, "total", '{');
    mt_json_u64(json, "bytes", p->total.of[MT_LIVE_BYTES]);
    mt_json_u64(json, "count", p->total.of[MT_LIVE_BLOCKS]);
    mt_json_u64(json, "alloc_bytes", p->total.of[MT_ALLOC_BYTES]);
    mt_json_u64(json, "allocs", p->total.of[MT_ALLOCS]);
    if (p->total.of[MT_PEAK_BLOCKS]) {
        mt_json_u64(json, "peak_bytes", p->total.of[MT_PEAK_BYTES]);
        mt_json_u64(json, "peak_count", p->total.of[MT_PEAK_BLOCKS]);
    }
    mt_json_close(json, '}');
}

void mt_json_put_profile(struct mt_json *json, const struct mt_report *report,
                         const struct mt_profile *profile)
{
    mt_json_put_target(json, report->model);
    mt_json_put_heaps(json, report);
    json2_put_threads(json, report->model);
    json2_put_total(json, profile);
    mt_json_put_time(json, report);
    mt_json_put_untraced(json, report);
    mt_json_put_sum(json, "filtered", &report->show->filtered);
    json2_put_modules(json, report, profile);
    json2_put_functions(json, profile);
    json2_put_frames(json, profile);
    json2_put_nodes(json, profile);
    mt_json_open(json, "stacks", '[');
    for (size_t i = 0; i < profile->n_samples; i++)
        json2_put_stack(json, report, &profile->samples[i]);
    mt_json_close(json, ']');
    mt_json_put_pages(json, report);
    mt_json_put_coverage(json, report);
}

void mt_print_json2(const struct mt_report *report,
                    const struct mt_profile *profile, const char *kind,
                    void (*more)(void *context, struct mt_json *json),
                    void *context)
{
    struct mt_json json = {.out = report->out, .exact = true};

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 2);
    mt_json_string(&json, "report", kind);
    mt_json_put_profile(&json, report, profile);
    if (more)
        more(context, &json);
    mt_json_close(&json, '}');
}
