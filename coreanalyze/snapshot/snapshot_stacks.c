/* SPDX-License-Identifier: BSD-2-Clause
 *
 * snapshot_stacks.c - the stack table, and the counters of threads that are
 * to be added to it.
 */
#include "coreanalyze/snapshot/snapshot_internal.h"

#include <stdlib.h>
#include <string.h>

/* The model's numbers are those of the layout, which its users do not see. */
_Static_assert(MT_ID_UNTRACED == MT_STACK_UNTRACED, "stack ids");
_Static_assert(MT_ID_OVERFLOW == MT_STACK_OVERFLOW, "stack ids");
_Static_assert(MT_ID_UNSAMPLED == MT_STACK_UNSAMPLED, "stack ids");
_Static_assert(MT_ID_FIRST == MT_STACK_FIRST, "stack ids");
_Static_assert(MT_MAX_FRAMES == MT_DEPTH_MAX, "frames of a stack");

#define MAX_AGAIN 4096u
#define FORGET_WALKS (1u << 17)
#define PC_MASK ((UINT64_C(1) << 48) - 1)

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

static bool stack_ok(const struct mt_snapshot *snapshot,
                     const struct mt_stack_record *r)
{
    return r->depth <= MT_MAX_FRAMES && r->node != 0 &&
           r->node < snapshot->sections[MT_SECTION_NODES].entries;
}

/* An untouched record stays untouched here: tables may be huge and sparse. */
static bool visit_stack(void *context, uint64_t index, uint64_t address,
                        const void *record)
{
    struct mt_snapshot *snapshot = context;
    const struct mt_stack_record *r = record;
    struct mt_model *model = snapshot->model;
    struct mt_coverage *coverage = &model->coverage;
    struct mt_stack *stack;

    (void)address;
    if (index < MT_STACK_FIRST) {
        if (r->allocs || r->bytes) {
            model->stacks[index].allocs = r->allocs;
            model->stacks[index].bytes = r->bytes;
        }
        return true;
    }
    if (r->depth == 0) /* not finished, or given up by its thread */
        return true;
    if (!stack_ok(snapshot, r) &&
        !(mt_snapshot_regrow(snapshot) && stack_ok(snapshot, r))) {
        coverage->skipped_stacks++;
        return true;
    }
    stack = &model->stacks[index];
    stack->valid = true;
    stack->node = r->node;
    stack->depth = r->depth;
    stack->truncated = r->flags & MT_STACK_TRUNCATED;
    stack->frame_pointer = r->flags & MT_STACK_FRAME_POINTER;
    stack->incomplete = r->flags & MT_STACK_INCOMPLETE;
    stack->ignored = r->flags & MT_STACK_IGNORED;
    stack->coarse = r->flags & MT_STACK_COARSE;
    stack->first_epoch = r->first_epoch;
    stack->modules = r->modules;
    stack->allocs = add_capped(stack->allocs, r->allocs);
    stack->bytes = add_capped(stack->bytes, r->bytes);
    coverage->truncated_stacks += stack->truncated;
    coverage->frame_pointer_stacks += stack->frame_pointer;
    coverage->incomplete_stacks += stack->incomplete;
    coverage->coarse_stacks += stack->coarse;
    return true;
}

/* --- counters: arrays in their section, one per thread --- */

static bool counters_ok(const struct mt_snapshot *snapshot,
                        const struct mt_thread_record *thread, uint64_t bytes)
{
    return mt_section_holds(snapshot, MT_SECTION_COUNTERS, thread->counters,
                            bytes) &&
           thread->n_counters <= snapshot->counter_budget;
}

/* Is it a stack that was recorded after the number of stacks was read? */
static bool is_newer_stack(struct mt_snapshot *snapshot, uint32_t stack)
{
    const struct mt_section *stacks = &snapshot->sections[MT_SECTION_STACKS];

    return stack < stacks->entries ||
           (mt_snapshot_regrow(snapshot) && stack < stacks->entries);
}

static void add_counters(struct mt_snapshot *snapshot,
                         const struct mt_thread_record *thread)
{
    const struct mt_section *section = &snapshot->sections[MT_SECTION_COUNTERS];
    const struct mt_record_map *map =
        &snapshot->records[MT_RECORD_counter_record];
    struct mt_model *model = snapshot->model;
    uint64_t step = section->entry_bytes, bytes = thread->n_counters * step;

    if (thread->counters == 0 || bytes == 0)
        return;
    if (!counters_ok(snapshot, thread, bytes)) {
        uint64_t before = section->entries;
        if (mt_snapshot_regrow(snapshot) && section->entries > before)
            snapshot->counter_budget += section->entries - before;
    }
    if (!counters_ok(snapshot, thread, bytes)) {
        model->coverage.skipped_counters += thread->n_counters;
        return;
    }
    snapshot->counter_budget -= thread->n_counters;
    for (uint32_t i = 0; i < thread->n_counters; i++) {
        struct mt_counter_record counter;
        const void *raw =
            mt_window_get(snapshot, &snapshot->tags,
                          thread->counters + (uint64_t)i * step, step);
        if (raw == NULL) {
            model->coverage.unreadable_bytes += bytes - i * step;
            return;
        }
        mt_schema_decode(map, raw, step, &counter, sizeof counter);
        if (counter.stack == 0)
            continue;
        if (counter.stack >= model->n_stacks) {
            model->coverage.skipped_counters +=
                !is_newer_stack(snapshot, counter.stack);
            continue;
        }
        struct mt_stack *stack = &model->stacks[counter.stack];
        stack->allocs = add_capped(stack->allocs, counter.allocs);
        stack->bytes = add_capped(stack->bytes, counter.bytes);
    }
    mt_snapshot_forget(snapshot, thread->counters, bytes);
}

static bool visit_thread_counters(void *context, uint64_t index,
                                  uint64_t address, const void *record)
{
    struct mt_snapshot *snapshot = context;
    (void)index;
    (void)address;
    add_counters(snapshot, record);
    return true;
}

bool mt_snapshot_stacks(struct mt_snapshot *snapshot, struct mt_error *error)
{
    struct mt_model *model = snapshot->model;
    uint64_t n = snapshot->sections[MT_SECTION_STACKS].entries;

    if (n > UINT64_C(1) << MT_TAG_STACK_BITS)
        n = UINT64_C(1) << MT_TAG_STACK_BITS;
    model->n_stacks = n > MT_STACK_FIRST ? n : MT_STACK_FIRST;
    model->stacks = calloc(model->n_stacks, sizeof *model->stacks);
    if (model->stacks == NULL ||
        !mt_snapshot_each(snapshot, MT_SECTION_STACKS, MT_RECORD_stack_record,
                          0, n, visit_stack, snapshot))
        return mt_no_memory(error, "the table of stacks");
    snapshot->counter_budget = snapshot->sections[MT_SECTION_COUNTERS].entries;
    /* Threads that run may hand an array on to each other. */
    if (mt_snapshot_runs(snapshot))
        snapshot->counter_budget *= 2;
    if (!mt_snapshot_each(snapshot, MT_SECTION_THREADS, MT_RECORD_thread_record,
                          0, UINT64_MAX, visit_thread_counters, snapshot))
        return mt_no_memory(error, "the counters");
    return true;
}

void mt_snapshot_refresh(struct mt_snapshot *snapshot)
{
    struct mt_model *model = snapshot->model;
    size_t old = model->n_stacks, capacity = old;
    uint64_t entries;

    mt_snapshot_sections(snapshot);
    entries = snapshot->sections[MT_SECTION_STACKS].entries;
    if (entries <= old || entries > UINT64_C(1) << MT_TAG_STACK_BITS ||
        !mt_grow(&model->stacks, &capacity, entries, sizeof *model->stacks))
        return;
    model->n_stacks = entries;
    mt_snapshot_each(snapshot, MT_SECTION_STACKS, MT_RECORD_stack_record, old,
                     entries, visit_stack, snapshot);
}

void mt_snapshot_stack_again(struct mt_snapshot *snapshot, uint32_t stack)
{
    if (snapshot->n_regrown < MAX_AGAIN) {
        snapshot->n_regrown++;
        mt_snapshot_each(snapshot, MT_SECTION_STACKS, MT_RECORD_stack_record,
                         stack, (uint64_t)stack + 1, visit_stack, snapshot);
    }
}

/* Reads a node's record, through the window of its part of the section. */
static bool stacks_read_node(struct mt_snapshot *snapshot, uint32_t node,
                             struct mt_node_record *record)
{
    const struct mt_section *section = &snapshot->sections[MT_SECTION_NODES];
    uint64_t bytes = section->entry_bytes, at = node * bytes;
    uint64_t part = at / MT_NODE_WINDOW;
    struct mt_window *window = &snapshot->nodes[part % MT_NODE_WINDOWS];
    const void *raw;

    if (node >= section->entries &&
        !(mt_snapshot_regrow(snapshot) && node < section->entries))
        return false;
    mt_window_get(snapshot, window, section->base + part * MT_NODE_WINDOW,
                  bytes);
    raw = mt_window_get(snapshot, window, section->base + at, bytes);
    if (raw == NULL)
        return false;
    mt_schema_decode(&snapshot->records[MT_RECORD_node_record], raw, bytes,
                     record, sizeof *record);
    return true;
}

/* The same; one that the target wrote after the window was read is read
 * again. */
static bool stacks_get_node(struct mt_snapshot *snapshot, uint32_t node,
                            struct mt_node_record *record)
{
    if (!stacks_read_node(snapshot, node, record))
        return false;
    if (record->pc == 0 && mt_snapshot_regrow(snapshot)) {
        for (unsigned i = 0; i < MT_NODE_WINDOWS; i++)
            snapshot->nodes[i].bytes = 0;
        if (!stacks_read_node(snapshot, node, record))
            return false;
    }
    record->pc &= PC_MASK;
    return record->pc != 0;
}

/* Nodes are read all over their section, and most of them once. */
static void stacks_forget_nodes(struct mt_snapshot *snapshot)
{
    const struct mt_section *nodes = &snapshot->sections[MT_SECTION_NODES];

    if (++snapshot->walks % FORGET_WALKS == 0)
        mt_snapshot_forget(snapshot, nodes->base, nodes->used);
}

size_t mt_model_frames(struct mt_model *model, uint32_t stack,
                       uint64_t frames[MT_MAX_FRAMES])
{
    struct mt_snapshot *snapshot = model->snapshot;
    const struct mt_stack *s;
    uint32_t node;
    size_t n = 0;

    if (stack >= model->n_stacks || !model->stacks[stack].valid)
        return 0;
    s = &model->stacks[stack];
    stacks_forget_nodes(snapshot);
    /* The depth bounds the walk, wherever the parents of nodes lead. */
    for (node = s->node; n < s->depth && node != 0; n++) {
        struct mt_node_record record;
        if (!stacks_get_node(snapshot, node, &record))
            break;
        frames[n] = record.pc;
        node = record.parent;
    }
    model->coverage.unreadable_bytes += (s->depth - n) * sizeof *frames;
    return n;
}

bool mt_model_lacks_memory(const struct mt_model *model)
{
    return model->snapshot->no_memory;
}
