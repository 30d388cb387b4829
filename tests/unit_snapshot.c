/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The snapshot: planted blocks are found, and damage is skipped and counted.
 */
#include "coreanalyze/snapshot/snapshot.h"
#include "tests/trace_image.h"
#include "tests/unit.h"

#include <stdlib.h>

static struct image *image;
static struct plan plan;
static struct mt_source *source;
static struct mt_model *model;
static struct mt_error error;

static struct mt_class_usage classes[MT_MAX_CLASSES + 1]; /* of heap 0 */

/* Counts of a walk over all blocks. */
static struct seen {
    unsigned blocks, of_stack[8];
    uint64_t bytes, bytes_of_stack[8];
    struct mt_heap_usage usage[4];
    bool agreed; /* mt_model_find() gives the same blocks */
} seen;

/* Not memcmp(): the padding may differ. */
static bool same_block(const struct mt_block *a, const struct mt_block *b)
{
    return a->address == b->address && a->block_bytes == b->block_bytes &&
           a->bytes == b->bytes && a->stack == b->stack &&
           a->epoch == b->epoch && a->heap == b->heap && a->span == b->span &&
           a->owner_tid == b->owner_tid;
}

static bool note_block(void *context, const struct mt_block *block)
{
    struct mt_block found;

    (void)context;
    seen.blocks++;
    seen.bytes += block->bytes;
    if (block->stack < 8) {
        seen.of_stack[block->stack]++;
        seen.bytes_of_stack[block->stack] += block->bytes;
    }
    if (mt_model_find(model, block->address + block->block_bytes - 1, &found) !=
            MT_PLACE_LIVE ||
        !same_block(&found, block))
        seen.agreed = false;
    return true;
}

static void open_core(const char *path)
{
    const struct mt_snapshot_options options = {0};

    memset(&error, 0, sizeof error);
    memset(&seen, 0, sizeof seen);
    memset(classes, 0, sizeof classes);
    seen.usage[0].classes = classes;
    seen.agreed = true;
    model = NULL;
    source = mt_source_open_core(path, &error);
    if (source)
        model = mt_snapshot_take(source, &options, &error);
    if (model && model->n_heaps <= 4)
        mt_model_each_block(model, note_block, NULL, seen.usage, &error);
}

static void start(void)
{
    image = image_planned(&plan);
}

static void take(void)
{
    open_core(image_core(image, 0));
}

static void end(void)
{
    mt_model_free(model);
    mt_source_free(source);
    image_free(image);
}

static struct mt_span_record *span(uint32_t id)
{
    return IMAGE_RECORD(image, SPANS, mt_span_record, id);
}

/* --- finding the trace --- */

static void finds_blocks(void)
{
    const struct mt_coverage none = {.root_method = MT_ROOT_BY_MAPPING,
                                     .root_candidates = 1};

    start();
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(seen.blocks, 6);
    CU_ASSERT_EQUAL(seen.of_stack[plan.stacks[0]], 3);
    CU_ASSERT_EQUAL(seen.bytes_of_stack[plan.stacks[0]], 300);
    CU_ASSERT_EQUAL(seen.bytes_of_stack[plan.stacks[1]], 1000000);
    CU_ASSERT_EQUAL(seen.of_stack[plan.stacks[2]], 1);
    CU_ASSERT_EQUAL(seen.bytes_of_stack[plan.stacks[2]], 40);
    CU_ASSERT_EQUAL(seen.of_stack[MT_ID_UNTRACED], 1);
    CU_ASSERT_EQUAL(seen.bytes_of_stack[MT_ID_UNTRACED], 48);
    CU_ASSERT(seen.agreed);
    CU_ASSERT_EQUAL(seen.usage[0].free_chunks, 1);
    CU_ASSERT_EQUAL(seen.usage[0].free_blocks, 47 + 298);
    CU_ASSERT_EQUAL(seen.usage[0].spans, 3);
    CU_ASSERT_EQUAL(seen.usage[0].used_bytes, 3 * 112 + 62 * 16384 + 2 * 48);
    uint64_t used = 0, free_blocks = 0, spans = 0;
    for (unsigned c = 0; c <= MT_MAX_CLASSES; c++) {
        used += classes[c].used_bytes;
        free_blocks += classes[c].free_blocks;
        spans += classes[c].spans;
    }
    CU_ASSERT_EQUAL(used, seen.usage[0].used_bytes);
    CU_ASSERT_EQUAL(free_blocks, seen.usage[0].free_blocks);
    CU_ASSERT_EQUAL(spans, seen.usage[0].spans);
    CU_ASSERT_EQUAL(classes[MT_MAX_CLASSES].live_blocks, 1);
    CU_ASSERT_EQUAL(classes[MT_MAX_CLASSES].requested_bytes, 1000000);
    CU_ASSERT_EQUAL(classes[MT_MAX_CLASSES].committed_bytes, 62 * 16384);
    CU_ASSERT_EQUAL(memcmp(&model->coverage, &none, sizeof none), 0);
    end();
}

static void reads_tables(void)
{
    uint64_t frames[MT_MAX_FRAMES];

    start();
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_STRING_EQUAL(model->heaps[plan.heap].name, "main heap");
    CU_ASSERT(model->heaps[plan.heap].tracing);
    CU_ASSERT(model->heaps[plan.heap].main);
    CU_ASSERT_EQUAL(model->n_epochs, 3);
    CU_ASSERT_EQUAL(model->now_ns, 5000000000);
    CU_ASSERT_EQUAL(mt_model_age_ns(model, 1), 4000000000);
    CU_ASSERT_EQUAL(mt_model_frames(model, plan.stacks[2], frames), 3);
    CU_ASSERT_EQUAL(frames[2], 0x401040);
    CU_ASSERT_EQUAL(mt_model_frames(model, 1000000, frames), 0);
    CU_ASSERT_EQUAL(model->n_threads, 1);
    CU_ASSERT_STRING_EQUAL(model->threads[0].name, "main");
    CU_ASSERT_STRING_EQUAL(mt_model_module(model, 0x401fff, 1)->path,
                           "/nowhere/program");
    CU_ASSERT_PTR_NULL(mt_model_module(model, 0x402000, 1));
    CU_ASSERT_EQUAL(model->pid, IMAGE_PID);
    end();
}

static void tells_places(void)
{
    struct mt_block block;

    start();
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(mt_model_find(model, plan.blocks[0] + 57, &block),
                    MT_PLACE_LIVE);
    CU_ASSERT_EQUAL(block.address, plan.blocks[0]);
    CU_ASSERT_EQUAL(block.stack, plan.stacks[0]);
    /* A freed block keeps its tag; one that never was has none. */
    CU_ASSERT_EQUAL(mt_model_find(model, plan.blocks[2] + 48, &block),
                    MT_PLACE_FREED);
    CU_ASSERT_EQUAL(block.stack, plan.stacks[2]);
    CU_ASSERT_EQUAL(mt_model_find(model, plan.blocks[0] + 112, &block),
                    MT_PLACE_FREED);
    CU_ASSERT_EQUAL(block.stack, MT_ID_UNTRACED);
    CU_ASSERT_EQUAL(
        mt_model_find(model, span(plan.small)->base + 50 * 112, NULL),
        MT_PLACE_SLACK);
    CU_ASSERT_EQUAL(
        mt_model_find(model, IMAGE_HEAP + 64 * MT_SLICE_BYTES, NULL),
        MT_PLACE_UNUSED); /* the free run */
    CU_ASSERT_EQUAL(
        mt_model_find(model, IMAGE_HEAP + 127 * MT_SLICE_BYTES, NULL),
        MT_PLACE_UNUSED); /* never handed out */
    CU_ASSERT_EQUAL(mt_model_find(model, IMAGE_HEAP - 1, NULL),
                    MT_PLACE_OUTSIDE);
    CU_ASSERT_EQUAL(
        mt_model_find(model, IMAGE_HEAP + 128 * MT_SLICE_BYTES, NULL),
        MT_PLACE_OUTSIDE);
    end();
}

static void wrong_reciprocal(void)
{
    struct mt_block block;

    start();
    span(plan.small)->recip = 12345678901;
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(mt_model_find(model, plan.blocks[0] + 1120, &block),
                    MT_PLACE_LIVE);
    CU_ASSERT_EQUAL(block.address, plan.blocks[0] + 1120);
    end();
}

static void sums_counters(void)
{
    struct mt_counter_record *c;
    struct mt_thread_record *t;

    start();
    IMAGE_RECORD(image, STACKS, mt_stack_record, plan.stacks[0])->allocs = 5;
    t = IMAGE_RECORD(image, THREADS, mt_thread_record, 0);
    t->counters = image_alloc(image, MT_SECTION_COUNTERS, 4 * sizeof *c);
    t->n_counters = 4;
    c = image_at(image, t->counters);
    c[1] = (struct mt_counter_record){plan.stacks[0], 7, 700};
    c[2] = (struct mt_counter_record){99999, 1, 1}; /* no such stack */
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->stacks[plan.stacks[0]].allocs, 12);
    CU_ASSERT_EQUAL(model->stacks[plan.stacks[0]].bytes, 700);
    CU_ASSERT_EQUAL(model->coverage.skipped_counters, 1);
    end();

    start();
    t = IMAGE_RECORD(image, THREADS, mt_thread_record, 0);
    t->counters = IMAGE_BASE;
    t->n_counters = 4;
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->coverage.skipped_counters, 4);
    end();
}

/* --- where it is --- */

static void finds_by_scan(void)
{
    start();
    image->pages_before = 3;
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->coverage.root_method, MT_ROOT_BY_SCAN);
    CU_ASSERT_EQUAL(seen.blocks, 6);
    end();
}

static void a_copy_does_not_pass(void)
{
    start();
    image->root->self = IMAGE_BASE + 4096;
    take();
    CU_ASSERT_PTR_NULL(model);
    CU_ASSERT_STRING_NOT_EQUAL(error.text, "");
    end();
}

static void best_of_two(void)
{
    struct mt_root other = {.magic = MT_MAGIC,
                            .self = IMAGE_BASE - 0x100000,
                            .layout_major = MT_LAYOUT_MAJOR,
                            .flags = MT_ROOT_READY,
                            .pid = IMAGE_PID + 1};
    start();
    image->extra = &other;
    image->extra_address = other.self;
    image->extra_bytes = sizeof other;
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->coverage.root_candidates, 2);
    CU_ASSERT_EQUAL(model->root, IMAGE_BASE);
    CU_ASSERT(!model->coverage.pid_mismatch);
    end();
}

static void other_major(void)
{
    start();
    image->root->layout_major = 7;
    image->root->layout_minor = 3;
    take();
    CU_ASSERT_PTR_NULL(model);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "layout 7.3"));
    end();
}

/* --- another minor version --- */

static void swap_fields(char *line, size_t bytes)
{
    if (strncmp(line, "field kind 8 ", 13) == 0)
        snprintf(line, bytes, "field kind 12 4 1 moved\n");
    else if (strncmp(line, "field label 12 ", 15) == 0)
        snprintf(line, bytes, "field label 8 4 1 moved\n");
    else if (strncmp(line, "record heap_record", 18) == 0)
        snprintf(line, bytes, "record heap_record 256\n");
    else if (strncmp(line, "field trace 68 ", 15) == 0)
        snprintf(line, bytes, "field trace 200 8 1 wider\n");
    else if (strncmp(line, "field limit ", 12) == 0)
        line[0] = '\0';
}

static void remaps_fields(void)
{
    struct mt_epoch_record *e;
    struct mt_section_record *heaps;
    struct mt_heap_record *h;
    uint32_t id, off;

    start();
    image->root->layout_minor = 9;
    image_schema(image, swap_fields);
    id = image_epoch(image, 6000000000, "here");
    e = IMAGE_RECORD(image, EPOCHS, mt_epoch_record, id);
    off = e->kind;
    e->kind = e->label;
    e->label = off;
    heaps = &image->root->sections[MT_SECTION_HEAPS];
    heaps->entry_bytes = heaps->used = 256;
    h = IMAGE_RECORD(image, HEAPS, mt_heap_record, plan.heap);
    h->trace = MT_TRACE_NEVER;
    h->limit = 77;
    *(uint64_t *)((char *)h + 200) = MT_TRACE_ON;
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT(model->coverage.schema_remapped);
    CU_ASSERT_PTR_NOT_NULL_FATAL(model->epochs[id].label);
    CU_ASSERT_STRING_EQUAL(model->epochs[id].label, "here");
    CU_ASSERT(model->heaps[plan.heap].tracing);
    CU_ASSERT_EQUAL(model->heaps[plan.heap].limit, 0);
    CU_ASSERT_EQUAL(model->heaps[plan.heap].trace_word,
                    heaps->base + plan.heap * 256 + 200);
    CU_ASSERT_EQUAL(seen.blocks, 6);
    end();
}

static void no_schema(void)
{
    start();
    memset(image_at(image, image->root->sections[MT_SECTION_SCHEMA].base), 'x',
           100);
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT(model->coverage.schema_missing);
    CU_ASSERT_EQUAL(seen.blocks, 6);
    end();
}

/* --- damage: one span is skipped, the other blocks are counted --- */

static void expect_skipped(unsigned blocks)
{
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->coverage.skipped_spans, 1);
    CU_ASSERT_EQUAL(seen.blocks, blocks);
    CU_ASSERT(seen.agreed);
    end();
}

static void damaged_spans(void)
{
    start();
    span(plan.small)->base = 0x1000;
    expect_skipped(3);
    start();
    span(plan.small)->n_blocks = 400;
    expect_skipped(3);
    start();
    span(plan.bits)->block_bytes = UINT64_MAX / 300;
    expect_skipped(4);
    start();
    span(plan.bits)->local = IMAGE_HEAP;
    expect_skipped(4);
    start();
    span(plan.bits)->remote = image->root->sections[MT_SECTION_BITMAPS].base +
                              image->root->sections[MT_SECTION_BITMAPS].used -
                              8;
    expect_skipped(4);
    start();
    span(plan.small)->tags = image->root->sections[MT_SECTION_STACKS].base;
    expect_skipped(3);
    start();
    span(plan.small)->tags += 4;
    expect_skipped(3);
    start();
    span(plan.large)->region = 9;
    expect_skipped(5);
    start();
    span(plan.large)->heap = 1;
    expect_skipped(5);
    start();
    span(plan.large)->first_slice = 0; /* the map says another span */
    expect_skipped(5);
    start();
    span(plan.large)->n_slices = UINT32_MAX;
    expect_skipped(5);
    start();
    span(plan.large)->n_blocks = 2;
    expect_skipped(5);
    start();
    span(plan.small)->state = 77;
    expect_skipped(3);
}

/* Spans that share one bitmap could make a reader work without end. */
static void shared_bitmaps(void)
{
    uint32_t id;

    start();
    for (unsigned i = 0; i < 20; i++) {
        id = image_small(image, plan.region, 16, 1000);
        span(id)->local = span(plan.bits)->local;
        span(id)->remote = span(plan.bits)->remote;
        span(id)->tags = 0;
        image->root->sections[MT_SECTION_BITMAPS].used = 500;
    }
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT(model->coverage.skipped_spans >= 18);
    end();
}

static void damaged_tags(void)
{
    start();
    image_block(image, plan.small, 1, 500, 0, 100); /* no such stack */
    image_block(image, plan.small, 2, plan.stacks[0], 900, 100);
    image_block(image, plan.small, 3, plan.stacks[0], 0, 100);
    ((uint64_t *)image_at(image, span(plan.small)->tags))[3] =
        MT_TAG(plan.stacks[0], 0, 200); /* more slack than block */
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT(model->coverage.bad_tags >= 3);
    CU_ASSERT_EQUAL(seen.blocks, 9);
    CU_ASSERT_EQUAL(seen.of_stack[MT_ID_UNTRACED], 2);
    CU_ASSERT_EQUAL(seen.bytes_of_stack[plan.stacks[0]], 300 + 100 + 112);
    end();
}

static void damaged_tables(void)
{
    struct mt_stack_record *s;

    start();
    s = IMAGE_RECORD(image, STACKS, mt_stack_record, plan.stacks[0]);
    s->node = 0x1000;
    s = IMAGE_RECORD(image, STACKS, mt_stack_record, plan.stacks[2]);
    s->depth = 5000;
    IMAGE_RECORD(image, EPOCHS, mt_epoch_record, 2)->monotonic_ns = 5;
    IMAGE_RECORD(image, THREADS, mt_thread_record, 0)->state = 9;
    IMAGE_RECORD(image, MODULES, mt_module_record, 0)->end = 5;
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->coverage.skipped_stacks, 2);
    CU_ASSERT_EQUAL(model->coverage.skipped_epochs, 1);
    CU_ASSERT_EQUAL(model->coverage.skipped_threads, 1);
    CU_ASSERT_EQUAL(model->coverage.skipped_modules, 1);
    CU_ASSERT_EQUAL(model->now_ns, 1000000000);
    CU_ASSERT_EQUAL(seen.of_stack[plan.stacks[1]], 1);
    end();
}

/* Parents that lead in a circle, out of the table or to no node. */
static void damaged_nodes(void)
{
    uint64_t frames[MT_MAX_FRAMES];
    struct mt_stack_record *s;
    uint32_t ids[3];

    start();
    for (unsigned i = 0; i < 3; i++) {
        ids[i] = plan.stacks[i];
        s = IMAGE_RECORD(image, STACKS, mt_stack_record, ids[i]);
        s->depth = MT_MAX_FRAMES;
        IMAGE_RECORD(image, NODES, mt_node_record, s->node)->parent =
            i == 0   ? s->node
            : i == 1 ? 0xffffffffu
                     : image_node(image, 0, 0);
    }
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->coverage.skipped_stacks, 0);
    CU_ASSERT_EQUAL(mt_model_frames(model, ids[0], frames), MT_MAX_FRAMES);
    CU_ASSERT_EQUAL(model->coverage.unreadable_bytes, 0);
    CU_ASSERT_EQUAL(mt_model_frames(model, ids[1], frames), 1);
    CU_ASSERT_EQUAL(mt_model_frames(model, ids[2], frames), 1);
    CU_ASSERT_EQUAL(model->coverage.unreadable_bytes,
                    2 * 8 * (MT_MAX_FRAMES - 1));
    end();
}

/* A record that a thread was writing, or gave up, is not damage. */
static void unfinished_records(void)
{
    struct mt_coverage none;

    start();
    IMAGE_RECORD(image, STACKS, mt_stack_record,
                 image_stack(image, 1, &(uint64_t){0x401010}))
        ->depth = 0;
    image_module(image, 0x900000, 0, "/unfinished.so");
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    none = (struct mt_coverage){.root_method = MT_ROOT_BY_MAPPING,
                                .root_candidates = 1};
    CU_ASSERT_EQUAL(memcmp(&model->coverage, &none, sizeof none), 0);
    CU_ASSERT_EQUAL(model->n_modules, 1);
    CU_ASSERT_FALSE(model->stacks[plan.stacks[2] + 1].valid);
    CU_ASSERT_EQUAL(seen.blocks, 6);
    end();
}

static void damaged_regions(void)
{
    struct mt_region_record *r;

    for (int empty = 0; empty < 2; empty++) {
        start();
        r = IMAGE_RECORD(image, REGIONS, mt_region_record,
                         image_region(image, plan.heap, IMAGE_HEAP, 4));
        r->size = empty ? 0 : r->size; /* the program's mapping was first */
        take(); /* overlaps the other */
        CU_ASSERT_PTR_NOT_NULL_FATAL(model);
        CU_ASSERT_EQUAL(model->n_regions, 1);
        CU_ASSERT_EQUAL(model->coverage.skipped_regions, !empty);
        end();
    }

    start();
    r = IMAGE_RECORD(image, REGIONS, mt_region_record, plan.region);
    r->size = UINT64_C(1) << 50; /* its slice map is not that long */
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->n_regions, 0);
    CU_ASSERT_EQUAL(seen.blocks, 0);
    CU_ASSERT_EQUAL(model->coverage.skipped_spans, 4);
    end();
}

static void damaged_sections(void)
{
    struct mt_section_record *s;

    start();
    s = &image->root->sections[MT_SECTION_TAGS];
    s->base = 0x10000;
    s = &image->root->sections[MT_SECTION_SPANS];
    s->used = s->committed = UINT64_MAX;
    take();
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    CU_ASSERT_EQUAL(model->coverage.skipped_sections, 2);
    CU_ASSERT_EQUAL(seen.blocks, 0);
    end();
}

/* Cut anywhere: refused, or read as far as it goes, and said so. */
static void cut_cores(void)
{
    size_t bytes;

    start();
    free(image_core_bytes(image, &bytes));
    for (size_t cut = 1; cut < bytes; cut += cut / 3 + 1) {
        open_core(image_core(image, cut));
        CU_ASSERT(source == NULL || source->coverage.missing_bytes > 0 ||
                  source->coverage.tables_incomplete);
        CU_ASSERT(model != NULL || error.text[0] != '\0');
        mt_model_free(model);
        mt_source_free(source);
    }
    image_free(image);
}

static const struct unit_test tests[] = {
    {"planted blocks are found", finds_blocks},
    {"tables are read", reads_tables},
    {"an address is placed", tells_places},
    {"a wrong reciprocal is caught", wrong_reciprocal},
    {"counters of threads are added", sums_counters},
    {"the root is found page by page", finds_by_scan},
    {"a stray copy of the root does not pass", a_copy_does_not_pass},
    {"of two roots the process's own is taken", best_of_two},
    {"another major layout is refused", other_major},
    {"fields of another minor version are found by name", remaps_fields},
    {"without a schema this reader's own layout is assumed", no_schema},
    {"damaged spans are skipped", damaged_spans},
    {"spans that share bitmaps are bounded", shared_bitmaps},
    {"damaged tags are counted", damaged_tags},
    {"damaged tables are skipped", damaged_tables},
    {"nodes whose parents make no sense", damaged_nodes},
    {"unfinished records are no damage", unfinished_records},
    {"damaged regions are skipped", damaged_regions},
    {"damaged sections are skipped", damaged_sections},
    {"a core cut anywhere does no harm", cut_cores},
};
UNIT_MAIN(tests)
