/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot.c - from a root to a model: the schema, the root's fields, the
 * sections; then the tables one by one.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"
#include "coreanalyze/base/string_set.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SCHEMA_BYTES (1u << 20)
#define OWN_DATA_MOST (UINT64_C(1) << 24) /* bytes: libraries have far less */
#define MAX_REGION_BYTES (UINT64_C(1) << 47)

/* Reads the text schema with our own idea of where the root and its first
 * section are, which never changes within a major version. */
static bool read_schema(struct mt_snapshot *snapshot, uint64_t address,
                        struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    struct mt_section_record record;
    bool remapped = false, ok = false;
    char *text;

    mt_schema_own(snapshot->records);
    if (mt_source_read(model->source,
                       address + offsetof(struct mt_root, sections), &record,
                       sizeof record) &&
        record.used > 0 && record.used <= MAX_SCHEMA_BYTES) {
        text = malloc(record.used);
        if (text == NULL)
            return mt_fail(error, "out of memory for the schema");
        ok = mt_source_read(model->source, record.base, text, record.used) &&
             mt_schema_parse(text, record.used, snapshot->records, &remapped);
        free(text);
    }
    if (!ok)
        mt_schema_own(snapshot->records);
    model->coverage.schema_missing = !ok;
    model->coverage.schema_remapped = ok && remapped;
    return true;
}

static bool read_root(struct mt_snapshot *snapshot, uint64_t address,
                      struct mt_error *error)
{
    const struct mt_record_map *map = &snapshot->records[MT_RECORD_root];
    struct mt_model *model = snapshot->model;
    struct mt_root *root = &snapshot->root;
    uint8_t *raw = malloc(map->bytes);
    size_t got = 0;

    if (raw)
        got = mt_source_read_part(model->source, address, raw, map->bytes);
    if (got < offsetof(struct mt_root, sections)) {
        free(raw);
        return mt_fail(error, "the root of the trace cannot be read");
    }
    mt_schema_decode(map, raw, got, root, sizeof *root);
    free(raw);
    root->error_text[sizeof root->error_text - 1] = '\0';
    root->config[sizeof root->config - 1] = '\0';
    if (root->slice_bytes < 4096 || root->slice_bytes > (1u << 30) ||
        (root->slice_bytes & (root->slice_bytes - 1)) != 0)
        return mt_fail(error,
                       "the root of the trace is damaged: slices of %u "
                       "bytes",
                       root->slice_bytes);
    if (root->region_bytes > MAX_REGION_BYTES ||
        address + root->region_bytes < address)
        return mt_fail(error,
                       "the root of the trace is damaged: a region of "
                       "%" PRIu64 " bytes",
                       root->region_bytes);
    snapshot->slice_bytes = root->slice_bytes;
    return true;
}

static void copy_root(struct mt_snapshot *snapshot)
{
    const struct mt_root *root = &snapshot->root;
    struct mt_model *model = snapshot->model;
    struct mt_coverage *coverage = &model->coverage;
    uint32_t pid = model->source->process.namespace_pid;

    model->trace_bytes = root->region_bytes;
    model->layout_major = root->layout_major;
    model->layout_minor = root->layout_minor;
    model->pid = root->pid;
    model->parent_pid = root->parent_pid;
    model->start_realtime_ns = root->start_realtime_ns;
    model->depth = root->depth;
    model->sample_bytes = root->sample_bytes;
    model->spare_bytes = root->spare_bytes;
    if (root->own_data_bytes <= OWN_DATA_MOST &&
        root->own_data <= UINT64_MAX - OWN_DATA_MOST) {
        model->own_data = root->own_data;
        model->own_data_bytes = root->own_data_bytes;
    }
    memcpy(model->config, root->config, sizeof model->config);
    coverage->not_ready = !(root->flags & MT_ROOT_READY);
    coverage->pid_mismatch = pid != 0 && pid != root->pid;
    coverage->overflow_allocs = root->overflow_allocs;
    coverage->dropped_stacks = root->dropped_stacks;
    coverage->dropped_allocs = root->dropped_allocs;
    coverage->overflow_bytes = root->overflow_bytes;
    coverage->untagged_spans = root->untagged_spans;
    coverage->epoch_overflow = root->epoch_overflow;
    coverage->module_overflow = root->module_overflow;
    model->last_error.count = root->error_count;
    model->last_error.address = root->error_address;
    model->last_error.kind = root->error_kind;
    model->last_error.stack = root->error_stack;
    model->last_error.tid = root->error_tid;
    memcpy(model->last_error.text, root->error_text,
           sizeof model->last_error.text);
}

static bool take_heaps(struct mt_snapshot *snapshot,
                       const struct mt_snapshot_options *options,
                       struct mt_error *error)
{
    struct mt_model *model = snapshot->model;

    model->root =
        mt_snapshot_find_root(model->source, options, &model->coverage, error);
    if (model->root == 0)
        return false;
    if (!read_schema(snapshot, model->root, error) ||
        !read_root(snapshot, model->root, error))
        return false;
    copy_root(snapshot);
    mt_snapshot_sections(snapshot);
    return mt_snapshot_heaps(snapshot, error) &&
           mt_snapshot_regions(snapshot, error);
}

static bool take_rest(struct mt_snapshot *snapshot, struct mt_error *error)
{
    snapshot->model->suppressions =
        mt_snapshot_text(snapshot, snapshot->root.suppressions,
                         &snapshot->model->coverage.suppressions_lost);
    return mt_snapshot_epochs(snapshot, error) &&
           mt_snapshot_modules(snapshot, error) &&
           mt_snapshot_threads(snapshot, error) &&
           mt_snapshot_stacks(snapshot, error) &&
           mt_snapshot_mapped(snapshot, error) &&
           mt_snapshot_samples(snapshot, error) &&
           mt_snapshot_peak(snapshot, error) &&
           mt_strings_are_whole(snapshot->strings, error);
}

static struct mt_model *snapshot_take(struct mt_source *source,
                                      const struct mt_snapshot_options *options,
                                      bool outline, struct mt_error *error)
{
    struct mt_model *model = calloc(1, sizeof *model);
    struct mt_snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (model == NULL || snapshot == NULL) {
        free(model);
        free(snapshot);
        return mt_no_memory(error, "the model"), NULL;
    }
    model->source = source;
    model->progress = options->progress;
    model->snapshot = snapshot;
    snapshot->model = model;
    snapshot->outline = outline;
    snapshot->strings = mt_strings_new();
    if (snapshot->strings == NULL)
        mt_no_memory(error, "the model");
    else if (take_heaps(snapshot, options, error) &&
             (outline || take_rest(snapshot, error)) &&
             (!snapshot->no_memory || mt_no_memory(error, "the trace")))
        return model;
    mt_model_free(model);
    return NULL;
}

struct mt_model *mt_snapshot_take(struct mt_source *source,
                                  const struct mt_snapshot_options *options,
                                  struct mt_error *error)
{
    return snapshot_take(source, options, false, error);
}

struct mt_model *mt_snapshot_outline(struct mt_source *source,
                                     const struct mt_snapshot_options *options,
                                     struct mt_error *error)
{
    return snapshot_take(source, options, true, error);
}

void mt_model_free(struct mt_model *model)
{
    struct mt_snapshot *snapshot;

    if (model == NULL)
        return;
    snapshot = model->snapshot;
    mt_strings_free(snapshot->strings);
    free(snapshot->region_ids);
    mt_window_drop(&snapshot->spans);
    mt_window_drop(&snapshot->local);
    mt_window_drop(&snapshot->remote);
    mt_window_drop(&snapshot->tags);
    mt_window_drop(&snapshot->slices);
    for (unsigned i = 0; i < MT_NODE_WINDOWS; i++)
        mt_window_drop(&snapshot->nodes[i]);
    mt_index_free(snapshot->index);
    free(snapshot->allocators);
    free(snapshot);
    free(model->heaps);
    free(model->regions);
    free(model->stacks);
    free(model->epochs);
    free(model->modules);
    free(model->threads);
    free(model->live);
    free(model->mapped);
    free(model->samples);
    free(model);
}

bool mt_snapshot_set_trace(struct mt_model *model, uint32_t id, bool on,
                           bool *was, struct mt_error *error)
{
    struct mt_source *source = model->source;
    struct mt_heap *heap = &model->heaps[id];
    uint32_t word, wanted = on ? MT_TRACE_ON : MT_TRACE_ERASE;

    if (source->ops->write == NULL)
        return mt_fail(error, "this target cannot be written to: tracing can "
                              "be switched in a live process only");
    if (!mt_source_read(source, heap->trace_word, &word, sizeof word))
        return mt_fail(error, "the control word of the heap cannot be read");
    if (was)
        *was = word == MT_TRACE_ON;
    /* A heap that never traced has no tags to erase. */
    if (!on && word != MT_TRACE_ON)
        return true;
    if (!source->ops->write(source, heap->trace_word, &wanted, sizeof wanted))
        return mt_fail(error, "the control word of the heap cannot be written");
    if (!mt_source_read(source, heap->trace_word, &word, sizeof word) ||
        word != wanted)
        return mt_fail(error, "the control word of the heap did not change");
    heap->tracing = on;
    heap->traced_ever = true;
    return true;
}
