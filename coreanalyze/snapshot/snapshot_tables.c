/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_tables.c - heaps, regions, epochs, modules and threads.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_HEAPS 65536u /* mt_span_record.heap has 16 bits */
#define MAX_REGIONS (1u << 20)
#define MAX_MODULES (1u << 20)
#define MAX_THREADS (1u << 20)
#define MAX_ADDRESS (UINT64_C(1) << 56)

/* Makes a table for as many records as a section has, at most `most`. */
static bool make_table(struct mt_snapshot *snapshot, unsigned section,
                       uint64_t most, void *table, size_t item_bytes, size_t *n,
                       struct mt_error *error)
{
    uint64_t entries = snapshot->sections[section].entries;
    void *memory;

    if (entries > most)
        entries = most;
    memory = calloc(entries + 1, item_bytes);
    if (memory == NULL)
        return mt_no_memory(error, "the tables of the trace");
    memcpy(table, &memory, sizeof memory);
    *n = entries;
    return true;
}

static uint64_t since_start(const struct mt_snapshot *snapshot, uint64_t ns)
{
    uint64_t start = snapshot->root.start_monotonic_ns;

    return ns > start ? ns - start : 0;
}

/* --- heaps --- */

static bool visit_heap(void *context, uint64_t index, uint64_t address,
                       const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_heap_record *r = record;
    struct mt_heap *heap = &snapshot->model->heaps[index];
    uint32_t trace = mt_schema_offset(&snapshot->records[MT_RECORD_heap_record],
                                      offsetof(struct mt_heap_record, trace));

    heap->id = (uint32_t)index;
    if (!(r->flags & MT_HEAP_IN_USE))
        return true;
    heap->in_use = true;
    memcpy(heap->name, r->name, sizeof heap->name);
    heap->name[sizeof heap->name - 1] = '\0';
    heap->base = r->base;
    heap->size = r->size;
    heap->limit = r->limit;
    heap->span_bytes = r->span_bytes;
    heap->span_bytes_peak = r->span_bytes_peak;
    heap->committed = r->committed;
    heap->trimmable = r->dirty_bytes;
    heap->failures = r->failures;
    heap->page_bytes = r->page_bytes;
    heap->numa_node = r->numa_node;
    heap->n_regions = r->n_regions;
    heap->locked = r->flags & MT_HEAP_LOCKED;
    heap->unmap_on_destroy = r->flags & MT_HEAP_UNMAP_ON_DESTROY;
    heap->fixed = r->flags & MT_HEAP_FIXED;
    heap->given = r->flags & MT_HEAP_GIVEN;
    heap->main = r->flags & MT_HEAP_MAIN;
    heap->tracing = r->trace == MT_TRACE_ON;
    heap->traced_ever = r->trace != MT_TRACE_NEVER;
    heap->created_s = (double)since_start(snapshot, r->created_ns) / 1e9;
    heap->trace_word = trace == UINT32_MAX ? 0 : address + trace;
    return true;
}

bool mt_snapshot_heaps(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;

    return make_table(snapshot, MT_SECTION_HEAPS, MAX_HEAPS, &model->heaps,
                      sizeof *model->heaps, &model->n_heaps, error) &&
           (mt_snapshot_each(snapshot, MT_SECTION_HEAPS, MT_RECORD_heap_record,
                             0, model->n_heaps, visit_heap, snapshot) ||
            mt_no_memory(error, "the heaps"));
}

/* --- regions --- */

static bool region_ok(const struct mt_snapshot *snapshot,
                      const struct mt_region_record *r, uint64_t slice)
{
    const struct mt_model *model = snapshot->model;
    uint64_t slices = r->size / slice;

    return r->size != 0 && r->size % slice == 0 && r->base % slice == 0 &&
           r->base < MAX_ADDRESS && r->size < MAX_ADDRESS && r->top <= slices &&
           r->slice_map % 4 == 0 && r->heap < model->n_heaps &&
           model->heaps[r->heap].in_use &&
           mt_section_holds(snapshot, MT_SECTION_SLICE_MAPS, r->slice_map,
                            slices * sizeof(uint32_t));
}

static bool visit_region(void *context, uint64_t index, uint64_t address,
                         const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_region_record *r = record;
    struct mt_model *model = snapshot->model;
    uint64_t slice = snapshot->slice_bytes;

    (void)address;
    /* Where the program mapped something before the heap did, no slice is. */
    if (r->state == 0 || (r->size == 0 && r->top == 0))
        return true;
    if (!region_ok(snapshot, r, slice)) {
        /* The region's heap came after the heaps were read, or is gone. */
        bool newer = mt_snapshot_runs(snapshot) && mt_snapshot_regrow(snapshot);
        if (newer && r->heap < snapshot->sections[MT_SECTION_HEAPS].entries &&
            (r->heap >= model->n_heaps || !model->heaps[r->heap].in_use))
            return true;
        if (!newer || !region_ok(snapshot, r, slice)) {
            model->coverage.skipped_regions++;
            return true;
        }
    }
    model->regions[model->n_regions++] = (struct mt_region){
        .base = r->base,
        .size = r->size,
        .committed = r->committed < r->size ? r->committed : r->size,
        .heap = r->heap,
        .slice_map = r->slice_map,
        .id = (uint32_t)index,
        .top = r->top,
    };
    return true;
}

static int by_base(const void *a, const void *b)
{
    const struct mt_region *x = a, *y = b;

    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

bool mt_snapshot_regions(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    size_t entries = 0, kept = 0;
    uint64_t end = 0;

    if (!make_table(snapshot, MT_SECTION_REGIONS, MAX_REGIONS, &model->regions,
                    sizeof *model->regions, &entries, error))
        return false;
    snapshot->region_ids = calloc(entries + 1, sizeof *snapshot->region_ids);
    if (snapshot->region_ids == NULL ||
        !mt_snapshot_each(snapshot, MT_SECTION_REGIONS, MT_RECORD_region_record,
                          0, entries, visit_region, snapshot))
        return mt_no_memory(error, "the regions");
    snapshot->n_region_ids = entries;
    qsort(model->regions, model->n_regions, sizeof *model->regions, by_base);
    for (size_t i = 0; i < model->n_regions; i++) {
        struct mt_region region = model->regions[i];
        if (region.base < end) {
            model->coverage.skipped_regions++;
            continue;
        }
        end = region.base + region.size;
        model->regions[kept++] = region;
        snapshot->region_ids[region.id] = kept;
    }
    model->n_regions = kept;
    return true;
}

/* --- epochs --- */

static bool visit_epoch(void *context, uint64_t index, uint64_t address,
                        const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_epoch_record *r = record;
    struct mt_model *model = snapshot->model;
    struct mt_epoch *epoch = &model->epochs[index];

    (void)address;
    epoch->ns = since_start(snapshot, r->monotonic_ns);
    epoch->mark = r->kind == MT_EPOCH_MARK;
    epoch->label = epoch->mark ? mt_snapshot_string(snapshot, r->label) : NULL;
    if (index > 0 && epoch->ns < epoch[-1].ns) {
        epoch->ns = epoch[-1].ns;
        model->coverage.skipped_epochs++;
    }
    model->n_epochs = index + 1;
    return true;
}

/* The time since the newest epoch, of a live process; no core says when it was
 * written. */
static uint64_t epochs_idle(const struct mt_snapshot *snapshot)
{
    const struct mt_model *model = snapshot->model;
    uint64_t newest = snapshot->root.start_monotonic_ns + model->now_ns, now;
    struct timespec clock;

    if (!model->source->process.same_clock ||
        clock_gettime(CLOCK_MONOTONIC, &clock) != 0)
        return 0;
    now = (uint64_t)clock.tv_sec * 1000000000 + (uint64_t)clock.tv_nsec;
    return now > newest ? now - newest : 0;
}

bool mt_snapshot_epochs(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    size_t entries = 0;

    if (!make_table(snapshot, MT_SECTION_EPOCHS,
                    UINT64_C(1) << MT_TAG_EPOCH_BITS, &model->epochs,
                    sizeof *model->epochs, &entries, error))
        return false;
    if (entries > (size_t)snapshot->root.epoch + 1)
        entries = (size_t)snapshot->root.epoch + 1;
    if (!mt_snapshot_each(snapshot, MT_SECTION_EPOCHS, MT_RECORD_epoch_record,
                          0, entries, visit_epoch, snapshot))
        return mt_no_memory(error, "the epochs");
    /* Epoch 0, the start, exists even without the table. */
    if (model->n_epochs == 0)
        model->n_epochs = 1;
    model->now_ns = model->epochs[model->n_epochs - 1].ns;
    model->idle_ns = epochs_idle(snapshot);
    return true;
}

/* --- modules --- */

/* A process without /proc does not know where its program lies; who reads it
 * may. */
static const char *module_path_now(const struct mt_snapshot *snapshot,
                                   const struct mt_module *module)
{
    const struct mt_module *now =
        mt_source_module(snapshot->model->source, module->start);

    return now && now->path && module->build_id_bytes > 0 &&
                   now->build_id_bytes == module->build_id_bytes &&
                   memcmp(now->build_id, module->build_id,
                          module->build_id_bytes) == 0
               ? now->path
               : module->path;
}

static bool visit_module(void *context, uint64_t index, uint64_t address,
                         const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_module_record *r = record;
    struct mt_model *model = snapshot->model;
    struct mt_traced_module *m = &model->modules[model->n_modules];

    (void)address;
    model->n_module_records = index + 1;
    if (r->end == 0) /* not finished */
        return true;
    if (r->end <= r->start || r->build_id_bytes > sizeof r->build_id) {
        model->coverage.skipped_modules++;
        return true;
    }
    m->record = (uint32_t)index;
    m->module.start = r->start;
    m->module.end = r->end;
    m->module.load_bias = r->load_bias;
    m->module.path = mt_snapshot_string(snapshot, r->path);
    m->module.build_id_bytes = r->build_id_bytes;
    m->module.fingerprint = r->fingerprint;
    memcpy(m->module.build_id, r->build_id, r->build_id_bytes);
    if (!m->module.path || !m->module.path[0])
        m->module.path = module_path_now(snapshot, &m->module);
    m->loaded_ns = since_start(snapshot, r->loaded_ns);
    m->unloaded_ns = r->unloaded_ns ? since_start(snapshot, r->unloaded_ns) : 0;
    model->n_modules++;
    return true;
}

bool mt_snapshot_modules(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    size_t entries = 0;

    return make_table(snapshot, MT_SECTION_MODULES, MAX_MODULES,
                      &model->modules, sizeof *model->modules, &entries,
                      error) &&
           (mt_snapshot_each(snapshot, MT_SECTION_MODULES,
                             MT_RECORD_module_record, 0, entries, visit_module,
                             snapshot) ||
            mt_no_memory(error, "the modules"));
}

/* --- threads --- */

static bool visit_thread(void *context, uint64_t index, uint64_t address,
                         const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_thread_record *r = record;
    struct mt_model *model = snapshot->model;
    struct mt_traced_thread *t = &model->threads[model->n_threads];

    (void)address;
    /* An owner of spans is not a thread. */
    if (r->state == MT_THREAD_NEVER || r->state == MT_THREAD_HEAP)
        return true;
    if (r->state != MT_THREAD_LIVE && r->state != MT_THREAD_EXITED) {
        model->coverage.skipped_threads++;
        return true;
    }
    t->id = index;
    t->tid = r->tid;
    t->live = r->state == MT_THREAD_LIVE;
    memcpy(t->name, r->name, sizeof t->name);
    t->name[sizeof t->name - 1] = '\0';
    t->started_ns = since_start(snapshot, r->started_ns);
    model->n_threads++;
    return true;
}

static int by_tid(const void *a, const void *b)
{
    const struct mt_traced_thread *x = a, *y = b;

    return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/* A core does not name its threads, but the trace does. */
static bool list_live_threads(struct mt_model *model)
{
    model->live = calloc(model->n_threads + 1, sizeof *model->live);
    for (size_t i = 0; model->live && i < model->n_threads; i++)
        if (model->threads[i].live)
            model->live[model->n_live++] = model->threads[i];
    if (model->n_live > 0)
        qsort(model->live, model->n_live, sizeof *model->live, by_tid);
    return model->live != NULL;
}

const char *mt_model_name_of(const struct mt_model *model,
                             const struct mt_thread *thread)
{
    struct mt_traced_thread key = {.tid = thread->tid}, *found = NULL;

    if (thread->name[0] || !model)
        return thread->name;
    if (model->n_live > 0)
        found = bsearch(&key, model->live, model->n_live, sizeof key, by_tid);
    return found ? found->name : "";
}

bool mt_snapshot_threads(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    size_t entries = 0;
    bool ok;

    ok =
        make_table(snapshot, MT_SECTION_THREADS, MAX_THREADS, &model->threads,
                   sizeof *model->threads, &entries, error) &&
        (mt_snapshot_each(snapshot, MT_SECTION_THREADS, MT_RECORD_thread_record,
                          0, entries, visit_thread, snapshot) ||
         mt_no_memory(error, "the threads"));
    return ok &&
           (list_live_threads(model) || mt_no_memory(error, "the threads"));
}
