/* SPDX-License-Identifier: BSD-2-Clause
 *
 * print_json.c - the JSON of show and info, version 1.  Keys are only ever
 * added, in this order.  "heaps", "stacks" and "untraced" depend on the trace
 * alone: a process and its core give the same.
 */
#include "coreanalyze/base/json.h"
#include "coreanalyze/reports/frame_texts.h"
#include "coreanalyze/reports/print.h"

#include <string.h>

static void json_put_saved_at(struct mt_json *json,
                              const struct mt_saved_at *at)
{
    static const char *const kinds[MT_N_SAVED_KINDS] = {
        "", "memory cgroup", "address space", "heap", "resident", "growth"};

    if (at->kind == 0)
        return;
    mt_json_open(json, "saved_at", '{');
    mt_json_string(json, "of", kinds[at->kind]);
    mt_json_u64(json, "limit", at->limit);
    mt_json_u64(json, "usage", at->usage);
    mt_json_u64(json, "resident_bytes", at->resident_bytes);
    mt_json_u64(json, "realtime_ns", at->realtime_ns);
    mt_json_close(json, '}');
}

void mt_json_put_target(struct mt_json *json, struct mt_model *model)
{
    const struct mt_process *process = &model->source->process;

    mt_json_open(json, "target", '{');
    mt_json_string(json, "kind",
                   process->kind == MT_SOURCE_LIVE ? "live" : "core");
    mt_json_u64(json, "pid", process->pid ? process->pid : model->pid);
    mt_json_string(json, "name", process->name);
    mt_json_string(json, "exe", process->exe);
    mt_json_string(json, "command", process->command);
    mt_json_string(json, "path", process->path);
    mt_json_bool(json, "mini", process->mini);
    if (process->box)
        mt_json_bool(json, "box", true);
    if (process->box && process->box_use != MT_BOX_USE_UNKNOWN)
        mt_json_bool(json, "box_in_use", process->box_use == MT_BOX_IN_USE);
    mt_json_i64(json, "signal", process->signal);
    mt_json_u64(json, "started_ns", model->start_realtime_ns);
    mt_json_seconds(json, "running_s", (double)model->now_ns / 1e9);
    mt_json_u64(json, "depth", model->depth);
    mt_json_u64(json, "sample_bytes", model->sample_bytes);
    mt_json_string(json, "config", model->config);
    mt_json_other_heaps(json, model);
    json_put_saved_at(json, &process->saved_at);
    mt_json_close(json, '}');
}

void mt_json_put_sum(struct mt_json *json, const char *key,
                     const struct mt_show_sum *sum)
{
    mt_json_open(json, key, '{');
    mt_json_u64(json, "bytes", sum->bytes);
    mt_json_u64(json, "count", sum->count);
    mt_json_close(json, '}');
}

static void put_flags(struct mt_json *json, const struct mt_heap *heap)
{
    mt_json_open(json, "flags", '[');
    if (heap->main)
        mt_json_string(json, NULL, "main");
    if (heap->locked)
        mt_json_string(json, NULL, "locked");
    if (heap->unmap_on_destroy)
        mt_json_string(json, NULL, "unmap-on-destroy");
    if (heap->fixed)
        mt_json_string(json, NULL, "fixed");
    if (heap->given)
        mt_json_string(json, NULL, "given");
    mt_json_close(json, ']');
}

static void json_put_classes(struct mt_json *json,
                             const struct mt_class_usage *size_class)
{
    mt_json_open(json, "classes", '[');
    for (uint32_t i = 0; i <= MT_MAX_CLASSES; i++, size_class++) {
        if (size_class->spans == 0)
            continue;
        mt_json_open(json, NULL, '{');
        if (size_class->block_bytes)
            mt_json_u64(json, "block_bytes", size_class->block_bytes);
        else
            mt_json_null(json, "block_bytes");
        mt_json_u64(json, "blocks", size_class->live_blocks);
        mt_json_u64(json, "free_blocks", size_class->free_blocks);
        mt_json_u64(json, "spans", size_class->spans);
        mt_json_u64(json, "committed", size_class->committed_bytes);
        mt_json_u64(json, "used", size_class->used_bytes);
        mt_json_u64(json, "requested", size_class->requested_bytes);
        mt_json_close(json, '}');
    }
    mt_json_close(json, ']');
}

static void json_put_heap(struct mt_json *json, const struct mt_heap *heap,
                          const struct mt_show *show)
{
    const struct mt_heap_usage *usage = &show->usage[heap->id];

    mt_json_open(json, NULL, '{');
    mt_json_u64(json, "id", heap->id);
    mt_json_string(json, "name", heap->name);
    mt_json_address(json, "base", heap->base);
    mt_json_u64(json, "size", heap->size);
    mt_json_u64(json, "used", usage->used_bytes);
    mt_json_u64(json, "requested", usage->requested_bytes);
    mt_json_u64(json, "free",
                heap->size > usage->used_bytes ? heap->size - usage->used_bytes
                                               : 0);
    mt_json_u64(json, "trimmable", heap->trimmable);
    mt_json_u64(json, "committed", heap->committed);
    mt_json_u64(json, "peak", heap->span_bytes_peak);
    mt_json_u64(json, "limit", heap->limit);
    mt_json_u64(json, "blocks", usage->live_blocks);
    mt_json_u64(json, "free_blocks", usage->free_blocks);
    mt_json_u64(json, "free_chunks", usage->free_chunks);
    mt_json_u64(json, "spans", usage->spans);
    mt_json_u64(json, "regions", heap->n_regions);
    mt_json_u64(json, "failures", heap->failures);
    mt_json_u64(json, "page_bytes", heap->page_bytes);
    mt_json_i64(json, "numa_node", heap->numa_node);
    put_flags(json, heap);
    mt_json_bool(json, "tracing", heap->tracing);
    mt_json_put_sum(json, "traced", &show->traced[heap->id]);
    mt_json_put_sum(json, "untraced", &show->untraced[heap->id]);
    mt_json_put_sum(json, "unsampled", &show->unsampled[heap->id]);
    if (usage->classes)
        json_put_classes(json, usage->classes);
    mt_json_close(json, '}');
}

/* Writes the heap's pages.  The source knows them; the trace does not. */
static void json_put_pages(struct mt_json *json, const struct mt_report *report,
                           uint32_t heap)
{
    struct mt_page_stats stats;

    mt_report_pages(report, heap, &stats);
    mt_json_open(json, NULL, '{');
    mt_json_u64(json, "heap", heap);
    mt_json_u64(json, "page_bytes", stats.page_bytes);
    mt_json_u64(json, "total",
                report->model->heaps[heap].size / stats.page_bytes);
    if (stats.known)
        mt_json_u64(json, "populated", stats.populated);
    else
        mt_json_null(json, "populated");
    mt_json_u64(json, "swapped", stats.swapped);
    if (stats.numa_known) {
        mt_json_open(json, "nodes", '[');
        for (unsigned i = 0; i < stats.n_nodes; i++)
            mt_json_u64(json, NULL, stats.node[i]);
        mt_json_close(json, ']');
    } else {
        mt_json_null(json, "nodes");
    }
    mt_json_close(json, '}');
}

struct json_frames {
    struct mt_json *json;
    struct mt_frame_texts *texts;
};

static void json_put_resolved(void *context, const struct mt_resolved *found)
{
    const struct json_frames *to = context;

    mt_json_put_resolved(to->json, to->texts, found);
}

void mt_json_put_frames(struct mt_json *json, const struct mt_report *report,
                        const struct mt_show_row *row,
                        struct mt_frame_texts *texts)
{
    struct json_frames to = {json, texts};

    mt_json_open(json, "frames", '[');
    mt_report_resolved(report, row, json_put_resolved, &to);
    mt_json_close(json, ']');
}

/* Blocks of the past have none. */
static void json_put_age(struct mt_json *json, const char *key,
                         const struct mt_model *model,
                         const struct mt_show_row *row, uint32_t epoch)
{
    if (row->sample == MT_NO_SAMPLE)
        mt_json_null(json, key);
    else
        mt_json_seconds(json, key, (double)mt_model_age_ns(model, epoch) / 1e9);
}

static void json_put_row(struct mt_json *json, const struct mt_report *report,
                         const struct mt_show_row *row,
                         struct mt_frame_texts *texts)
{
    const struct mt_model *model = report->model;
    const struct mt_stack *stack = &model->stacks[row->stack];

    mt_json_open(json, NULL, '{');
    mt_json_string(json, "heap", model->heaps[row->heap].name);
    mt_json_u64(json, "heap_id", row->heap);
    mt_json_u64(json, "bytes", row->bytes);
    mt_json_u64(json, "count", row->count);
    mt_json_u64(json, "sampled", row->sampled);
    if (row->sample == MT_NO_SAMPLE)
        mt_json_null(json, "sample");
    else
        mt_json_address(json, "sample", row->sample);
    json_put_age(json, "oldest_s", model, row, row->oldest_epoch);
    json_put_age(json, "newest_s", model, row, row->newest_epoch);
    mt_json_u64(json, "allocs", row->allocs);
    mt_json_bool(json, "overflow", row->stack == MT_ID_OVERFLOW);
    mt_json_bool(json, "truncated", stack->truncated);
    mt_json_bool(json, "incomplete", stack->incomplete);
    mt_json_bool(json, "coarse", stack->coarse);
    mt_json_bool(json, "frame_pointer", stack->frame_pointer);
    mt_json_put_frames(json, report, row, texts);
    if (report->kinds) {
        mt_json_string(json, "kind", report->kinds[row->kind]);
        mt_json_u64(json, "indirect_bytes", row->indirect_bytes);
        mt_json_u64(json, "indirect_count", row->indirect_count);
        mt_json_bool(json, "traced", row->stack >= MT_ID_FIRST);
    }
    mt_json_open(json, "ages", '[');
    for (unsigned i = 0; i < MT_SHOW_AGES; i++)
        mt_json_u64(json, NULL, row->ages[i]);
    mt_json_close(json, ']');
    mt_json_bool(json, "steady", row->steady);
    mt_json_close(json, '}');
}

void mt_json_put_coverage(struct mt_json *json, const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    const struct mt_coverage *c = &model->coverage;
    const struct mt_source_coverage *s = &model->source->coverage;
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        {"missing_bytes", s->missing_bytes + s->box_bytes},
        {"bad_notes", s->bad_notes},
        {"threads_running", s->threads_running},
        {"sharers_running", s->sharers_running},
        {"untouched_bytes", s->untouched_bytes},
        {"swapped_bytes", s->swapped_bytes},
        {"unread_bytes", s->unread_bytes},
        {"unreadable_bytes", c->unreadable_bytes},
        {"root_candidates", c->root_candidates},
        {"skipped_sections", c->skipped_sections},
        {"skipped_heaps", c->skipped_heaps},
        {"skipped_regions", c->skipped_regions},
        {"skipped_spans", c->skipped_spans},
        {"skipped_stacks", c->skipped_stacks},
        {"skipped_modules", c->skipped_modules},
        {"skipped_threads", c->skipped_threads},
        {"skipped_counters", c->skipped_counters},
        {"skipped_epochs", c->skipped_epochs},
        {"bad_tags", c->bad_tags},
        {"truncated_stacks", c->truncated_stacks},
        {"incomplete_stacks", c->incomplete_stacks},
        {"frame_pointer_stacks", c->frame_pointer_stacks},
        {"coarse_stacks", c->coarse_stacks},
        {"dropped_stacks", c->dropped_stacks},
        {"dropped_allocs", c->dropped_allocs},
        {"overflow_allocs", c->overflow_allocs},
        {"overflow_bytes", c->overflow_bytes},
        {"untagged_spans", c->untagged_spans},
        {"epoch_overflow", c->epoch_overflow},
        {"module_overflow", c->module_overflow},
        {"section_overflow", c->section_overflow},
        {"maps_missed", c->maps_missed},
    };

    if (report->resolver && mt_model_lacks_memory(report->model))
        mt_resolver_lacks(report->resolver);
    mt_json_open(json, "coverage", '{');
    mt_json_string(json, "root", mt_root_method_name(c->root_method));
    mt_json_bool(json, "interrupted", c->interrupted);
    mt_json_bool(json, "pid_mismatch", c->pid_mismatch);
    mt_json_bool(json, "not_ready", c->not_ready);
    mt_json_bool(json, "schema_missing", c->schema_missing);
    mt_json_bool(json, "schema_remapped", c->schema_remapped);
    mt_json_bool(json, "by_debugger", s->by_debugger);
    mt_json_bool(json, "let_go", s->let_go);
    mt_json_bool(json, "tables_incomplete", s->tables_incomplete);
    mt_json_bool(json, "suppressions_lost", c->suppressions_lost);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        mt_json_u64(json, counts[i].key, counts[i].value);
    mt_json_close(json, '}');
}

void mt_json_put_stacks(struct mt_json *json, const struct mt_report *report)
{
    const struct mt_show *show = report->show;
    struct mt_frame_texts *texts = mt_frame_texts_new();

    mt_json_open(json, "stacks", '[');
    for (size_t i = 0; i < show->n_rows; i++)
        json_put_row(json, report, &show->rows[i], texts);
    mt_json_close(json, ']');
    mt_frame_texts_free(texts);
}

void mt_json_put_time(struct mt_json *json, const struct mt_report *report)
{
    const struct mt_model *model = report->model;
    const struct mt_show *show = report->show;

    mt_json_open(json, "time", '{');
    mt_json_seconds(json, "from_s",
                    (double)(model->now_ns - show->from_ns) / 1e9);
    mt_json_seconds(json, "to_s", (double)(model->now_ns - show->to_ns) / 1e9);
    mt_json_close(json, '}');
}

static void json_put_match(void *context, const struct mt_module_match *match)
{
    struct mt_json *json = context;

    mt_json_open(json, NULL, '{');
    mt_json_string(json, "path", match->path);
    mt_json_string(json, "build_id",
                   match->build_id[0] ? match->build_id : NULL);
    mt_json_string(json, "match", match->match);
    mt_json_string(json, "debug", match->debug_path);
    mt_json_close(json, '}');
}

void mt_json_put_heaps(struct mt_json *json, const struct mt_report *report)
{
    mt_json_open(json, "heaps", '[');
    for (uint32_t i = 0; i < report->model->n_heaps; i++)
        if (mt_show_wants(report->model, report->show, i))
            json_put_heap(json, &report->model->heaps[i], report->show);
    mt_json_close(json, ']');
}

void mt_json_put_untraced(struct mt_json *json, const struct mt_report *report)
{
    const struct mt_show *show = report->show;
    struct mt_show_sum untraced = {0, 0};

    for (uint32_t i = 0; i < report->model->n_heaps; i++)
        if (mt_show_wants(report->model, show, i)) {
            untraced.bytes += show->untraced[i].bytes;
            untraced.count += show->untraced[i].count;
        }
    mt_json_put_sum(json, "untraced", &untraced);
}

void mt_json_put_pages(struct mt_json *json, const struct mt_report *report)
{
    mt_json_open(json, "pages", '[');
    for (uint32_t i = 0; i < report->model->n_heaps; i++)
        if (mt_show_wants(report->model, report->show, i))
            json_put_pages(json, report, i);
    mt_json_close(json, ']');
}

static void json_put_peak(struct mt_json *json, const struct mt_peak *peak)
{
    mt_json_open(json, "peak", '{');
    mt_json_seconds(json, "s", (double)peak->ns / 1e9);
    mt_json_u64(json, "live_bytes", peak->live_bytes);
    mt_json_u64(json, "heap_bytes", peak->span_bytes);
    mt_json_u64(json, "bytes", peak->bytes);
    mt_json_u64(json, "count", peak->blocks);
    mt_json_u64(json, "share", peak->share);
    mt_json_close(json, '}');
}

void mt_print_json(const struct mt_report *report)
{
    struct mt_json json = {.out = report->out};

    mt_json_open(&json, NULL, '{');
    mt_json_u64(&json, "version", 1);
    mt_json_put_target(&json, report->model);
    mt_json_put_heaps(&json, report);
    if (report->resolver)
        mt_json_put_stacks(&json, report);
    mt_json_put_time(&json, report);
    if (report->show->options->peak)
        json_put_peak(&json, &report->model->peak);
    mt_json_put_untraced(&json, report);
    mt_json_put_pages(&json, report);
    if (report->resolver) {
        mt_json_open(&json, "modules", '[');
        mt_resolver_matches(report->resolver, json_put_match, &json);
        mt_json_close(&json, ']');
    }
    mt_json_put_coverage(&json, report);
    mt_json_close(&json, '}');
}
