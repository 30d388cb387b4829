/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Moments, ages and steady growers, and what grew between two targets, on
 * traces with planted blocks.
 */
#include "coreanalyze/analyses/diff.h"
#include "coreanalyze/snapshot/snapshot.h"
#include "tests/trace_image.h"
#include "tests/unit.h"

#include <stdlib.h>

#define SECOND UINT64_C(1000000000)
#define MODULE_BYTES 0x10000

/* A target in the making, and then its model. */
struct target {
    struct image *image;
    uint64_t module; /* its address */
    uint32_t region, span, used;
    struct mt_source *source;
    struct mt_model *model;
    struct mt_show show;
};

static struct mt_error error;

/* One heap, one module at `module`; a block has up to 64 bytes. */
static void begin(struct target *t, uint64_t module, const char *build_id)
{
    uint32_t heap, id;

    memset(t, 0, sizeof *t);
    t->image = image_new();
    t->module = module;
    id = image_module(t->image, module, module + MODULE_BYTES, "/opt/program");
    if (build_id) {
        struct mt_module_record *m =
            IMAGE_RECORD(t->image, MODULES, mt_module_record, id);
        m->build_id_bytes = (uint32_t)strlen(build_id);
        memcpy(m->build_id, build_id, strlen(build_id));
    }
    heap = image_heap(t->image, "main heap", MT_TRACE_ON, MT_HEAP_MAIN);
    t->region = image_region(t->image, heap, IMAGE_HEAP, 64);
    t->span = image_small(t->image, t->region, 64, 256);
}

/* A stack of two frames, at these offsets of the module. */
static uint32_t stack(struct target *t, uint64_t inner, uint64_t outer)
{
    const uint64_t frames[] = {t->module + inner, t->module + outer};

    return image_stack(t->image, 2, frames);
}

static void blocks(struct target *t, unsigned n, uint32_t stack_id,
                   uint32_t epoch, uint64_t bytes)
{
    while (n-- > 0)
        image_block(t->image, t->span, t->used++, stack_id, epoch, bytes);
}

static void take(struct target *t)
{
    const struct mt_snapshot_options none = {0};

    memset(&error, 0, sizeof error);
    t->source = mt_source_open_core(image_core(t->image, 0), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t->source);
    t->model = mt_snapshot_take(t->source, &none, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t->model);
}

static void end(struct target *t)
{
    mt_show_free(&t->show);
    mt_model_free(t->model);
    mt_source_free(t->source);
    image_free(t->image);
}

/* --- moments --- */

static void parses(void)
{
    static const struct {
        const char *text;
        enum mt_when_kind kind;
        double seconds;
        uint64_t epoch;
    } wanted[] = {{"30", MT_WHEN_AGE, 30, 0},    {"1.5s", MT_WHEN_AGE, 1.5, 0},
                  {"5m", MT_WHEN_AGE, 300, 0},   {"2h", MT_WHEN_AGE, 7200, 0},
                  {"1d", MT_WHEN_AGE, 86400, 0}, {"@17", MT_WHEN_EPOCH, 0, 17},
                  {"5x", MT_WHEN_MARK, 0, 0},    {"5mm", MT_WHEN_MARK, 0, 0},
                  {"@x", MT_WHEN_MARK, 0, 0},    {"@1x", MT_WHEN_MARK, 0, 0},
                  {"", MT_WHEN_MARK, 0, 0},      {"-5", MT_WHEN_MARK, 0, 0},
                  {"a mark", MT_WHEN_MARK, 0, 0}};

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct mt_when when = mt_when_parse(wanted[i].text);
        CU_ASSERT_EQUAL(when.kind, wanted[i].kind);
        if (when.kind == MT_WHEN_AGE)
            CU_ASSERT_DOUBLE_EQUAL(when.seconds, wanted[i].seconds, 1e-9);
        if (when.kind == MT_WHEN_EPOCH)
            CU_ASSERT_EQUAL(when.epoch, wanted[i].epoch);
    }
}

/* UINT32_MAX: refused. */
static uint32_t epoch_of(const struct target *t, const char *text,
                         uint64_t before)
{
    struct mt_when when = mt_when_parse(text);
    uint32_t epoch;

    memset(&error, 0, sizeof error);
    return mt_when_epoch(t->model, &when, before, &epoch, &error) ? epoch
                                                                  : UINT32_MAX;
}

static void finds_moments(void)
{
    struct target t;

    begin(&t, 0x400000, NULL);
    /* Epoch 0 is the start. */
    image_epoch(t.image, 1 * SECOND, "a");
    image_epoch(t.image, 2 * SECOND, NULL);
    image_epoch(t.image, 3 * SECOND, "b");
    image_epoch(t.image, 4 * SECOND, "a");
    image_epoch(t.image, 10 * SECOND, "@2");
    take(&t);
    CU_ASSERT_EQUAL(epoch_of(&t, "a", UINT64_MAX), 4);
    CU_ASSERT_EQUAL(epoch_of(&t, "a", 4), 1);
    CU_ASSERT_EQUAL(epoch_of(&t, "b", UINT64_MAX), 3);
    CU_ASSERT_EQUAL(epoch_of(&t, "a", 1), UINT32_MAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "before the other"));
    CU_ASSERT_EQUAL(epoch_of(&t, "c", UINT64_MAX), UINT32_MAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no mark 'c'"));
    CU_ASSERT_EQUAL(epoch_of(&t, "@3", UINT64_MAX), 3);
    CU_ASSERT_EQUAL(epoch_of(&t, "@2", UINT64_MAX), 5); /* it is a label */
    CU_ASSERT_EQUAL(epoch_of(&t, "@6", UINT64_MAX), UINT32_MAX);
    CU_ASSERT_EQUAL(epoch_of(&t, "0", UINT64_MAX), 5);
    CU_ASSERT_EQUAL(epoch_of(&t, "7", UINT64_MAX), 3);
    CU_ASSERT_EQUAL(epoch_of(&t, "7.5", UINT64_MAX), 3);
    CU_ASSERT_EQUAL(epoch_of(&t, "1d", UINT64_MAX), 0);
    end(&t);
}

/* --- ages --- */

/* A target of 8 s, with an epoch at the beginning of each. */
static void begin_ages(struct target *t)
{
    begin(t, 0x400000, NULL);
    for (unsigned i = 1; i <= 8; i++)
        image_epoch(t->image, i * SECOND, NULL);
}

static const struct mt_show_row *row_of(const struct target *t, uint32_t id)
{
    for (size_t i = 0; i < t->show.n_rows; i++)
        if (t->show.rows[i].stack == id)
            return &t->show.rows[i];
    CU_ASSERT_FATAL(false);
    return NULL;
}

static void counts_ages(void)
{
    static const struct mt_show_options all;
    struct target t;
    uint32_t once, even, few, uneven;

    begin_ages(&t);
    once = stack(&t, 0x10, 0x90);
    even = stack(&t, 0x20, 0x90);
    few = stack(&t, 0x30, 0x90);
    uneven = stack(&t, 0x40, 0x90);
    blocks(&t, 40, once, 0, 10);
    for (unsigned i = 0; i < 8; i++) {
        blocks(&t, 2, even, i, 20);
        blocks(&t, i == 7 ? 8 : 1, few, i, 30);
        /* One block of 32 is a quarter of an even share; one of 33 is less. */
        blocks(&t, i == 3 ? 26 : 1, uneven, i, 40);
    }
    take(&t);
    CU_ASSERT(mt_show_run(t.model, &all, &t.show, &error));
    CU_ASSERT_EQUAL(row_of(&t, once)->ages[0], 40);
    CU_ASSERT_EQUAL(row_of(&t, once)->ages[7], 0);
    CU_ASSERT(!row_of(&t, once)->steady);
    for (unsigned i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(row_of(&t, even)->ages[i], 2);
    CU_ASSERT(row_of(&t, even)->steady);
    CU_ASSERT_EQUAL(row_of(&t, few)->count, 15);
    CU_ASSERT(!row_of(&t, few)->steady);
    CU_ASSERT_EQUAL(row_of(&t, uneven)->count, 33);
    CU_ASSERT(!row_of(&t, uneven)->steady);
    end(&t);
}

static void shares_by_time(void)
{
    struct mt_show_options options = {.since = mt_when_parse("@2")};
    struct target t;
    uint32_t id;

    begin_ages(&t);
    id = stack(&t, 0x10, 0x90);
    for (unsigned i = 0; i < 9; i++)
        blocks(&t, i + 1, id, i, 10);
    take(&t);
    CU_ASSERT(mt_show_run(t.model, &options, &t.show, &error));
    CU_ASSERT_EQUAL(t.show.from_ns, 2 * SECOND);
    CU_ASSERT_EQUAL(t.show.to_ns, 8 * SECOND);
    CU_ASSERT_EQUAL(row_of(&t, id)->count, 3 + 4 + 5 + 6 + 7 + 8 + 9);
    CU_ASSERT_EQUAL(row_of(&t, id)->ages[0], 3);
    CU_ASSERT_EQUAL(row_of(&t, id)->ages[7], 9);
    mt_show_free(&t.show);
    options.older = mt_when_parse("@4");
    CU_ASSERT(mt_show_run(t.model, &options, &t.show, &error));
    CU_ASSERT_EQUAL(row_of(&t, id)->count, 3 + 4);
    CU_ASSERT_EQUAL(t.show.to_ns, 4 * SECOND);
    mt_show_free(&t.show);
    options.since = mt_when_parse("@4");
    CU_ASSERT(mt_show_run(t.model, &options, &t.show, &error));
    CU_ASSERT_EQUAL(t.show.n_rows, 0);
    mt_show_free(&t.show);
    options.older = mt_when_parse("@99");
    CU_ASSERT(!mt_show_run(t.model, &options, &t.show, &error));
    end(&t);
}

/* --- diff --- */

static struct mt_diff diff;

static void compare(struct target *old, struct target *new,
                    const struct mt_diff_options *options)
{
    static const struct mt_show_options all;
    struct mt_model *models[] = {old->model, new->model};
    const struct mt_show *shows[] = {&old->show, &new->show};

    CU_ASSERT_FATAL(mt_show_run(old->model, &all, &old->show, &error));
    CU_ASSERT_FATAL(mt_show_run(new->model, &all, &new->show, &error));
    CU_ASSERT_FATAL(mt_diff_run(models, shows, options, &diff, &error));
}

static bool changed(size_t i, int64_t bytes, int64_t count)
{
    return i < diff.n_rows && mt_diff_bytes(&diff.rows[i]) == bytes &&
           mt_diff_count(&diff.rows[i]) == count;
}

static void count_path(void *context, const char *path)
{
    unsigned *n = context;

    CU_ASSERT_STRING_EQUAL(path, "/opt/program");
    ++*n;
}

static unsigned rebuilt(struct target *old, struct target *new)
{
    struct mt_model *models[] = {old->model, new->model};
    unsigned n = 0;

    mt_diff_rebuilt(models, count_path, &n);
    return n;
}

/* Stacks are recorded in another order, the module lies elsewhere. */
static void make_runs(struct target *old, struct target *new,
                      const char *old_id, const char *new_id)
{
    uint32_t s;

    begin(old, 0x400000, old_id);
    blocks(old, 5, stack(old, 0x10, 0x90), 0, 10);
    blocks(old, 7, stack(old, 0x20, 0x90), 0, 20);
    blocks(old, 2, stack(old, 0x30, 0x90), 0, 30);
    blocks(old, 1, 0, 0, 64);
    take(old);
    begin(new, 0x7f0000000000, new_id);
    s = stack(new, 0x20, 0x90);
    blocks(new, 9, stack(new, 0x10, 0x90), 0, 10);
    blocks(new, 4, s, 0, 20);
    blocks(new, 2, stack(new, 0x30, 0x90), 0, 30);
    blocks(new, 1, stack(new, 0x10, 0x91), 0, 50);
    take(new);
}

static void compares(void)
{
    struct mt_diff_options options = {0};
    struct target old, new;

    for (unsigned with_ids = 0; with_ids < 2; with_ids++) {
        const char *id = with_ids ? "0123456789abcdef0123" : NULL;
        make_runs(&old, &new, id, id);
        options = (struct mt_diff_options){0};
        compare(&old, &new, &options);
        CU_ASSERT_EQUAL(diff.n_rows, 3);
        CU_ASSERT(changed(0, 50, 1));
        CU_ASSERT(changed(1, 40, 4));
        CU_ASSERT(changed(2, -60, -3));
        CU_ASSERT_PTR_NULL(diff.rows[0].row[MT_DIFF_OLD]);
        CU_ASSERT_EQUAL(diff.sum[0].bytes, 50 + 140 + 60);
        CU_ASSERT_EQUAL(diff.sum[1].bytes, 90 + 80 + 60 + 50);
        CU_ASSERT_EQUAL(rebuilt(&old, &new), 0);
        mt_diff_free(&diff);
        mt_show_free(&old.show);
        mt_show_free(&new.show);
        options.by_count = true;
        options.top = 1;
        compare(&old, &new, &options);
        CU_ASSERT_EQUAL(diff.n_rows, 1);
        CU_ASSERT_EQUAL(diff.n_all_rows, 3);
        CU_ASSERT(changed(0, 40, 4));
        mt_diff_free(&diff);
        mt_show_free(&old.show);
        mt_show_free(&new.show);
        options = (struct mt_diff_options){.min_bytes = 50, .unchanged = true};
        compare(&old, &new, &options);
        CU_ASSERT_EQUAL(diff.n_rows, 2);
        CU_ASSERT_EQUAL(diff.n_all_rows, 4);
        mt_diff_free(&diff);
        end(&old);
        end(&new);
    }
}

/* Two programs may have the same path. */
static void tells_builds(void)
{
    const struct mt_diff_options options = {0};
    struct target old, new;

    make_runs(&old, &new, "0123456789abcdef0123", "0123456789abcdef0124");
    compare(&old, &new, &options);
    CU_ASSERT_EQUAL(diff.n_rows, 7);
    CU_ASSERT(changed(0, 90, 9));
    CU_ASSERT(changed(6, -140, -7));
    CU_ASSERT_EQUAL(rebuilt(&old, &new), 1);
    mt_diff_free(&diff);
    end(&old);
    end(&new);
}

static void by_first_row(void *context, enum mt_diff_side side,
                         const struct mt_show_row *row, struct mt_diff_key *key)
{
    unsigned *calls = context;

    (void)row;
    CU_ASSERT(side == MT_DIFF_OLD || side == MT_DIFF_NEW);
    ++*calls;
    mt_diff_add(key, "all", 3);
}

static void identifies(void)
{
    unsigned calls = 0;
    const struct mt_diff_options options = {.identify = by_first_row,
                                            .identify_context = &calls};
    struct target old, new;

    make_runs(&old, &new, NULL, NULL);
    compare(&old, &new, &options);
    CU_ASSERT_EQUAL(calls, 7);
    CU_ASSERT_EQUAL(diff.n_rows, 1);
    CU_ASSERT(changed(0, 280 - 250, 16 - 14));
    mt_diff_free(&diff);
    end(&old);
    end(&new);
}

static const struct unit_test tests[] = {
    {"ages, marks and epochs as text", parses},
    {"moments are found in the trace", finds_moments},
    {"ages are counted, and steady growers told", counts_ages},
    {"--since and --older cut the time", shares_by_time},
    {"two runs compare by module and offset", compares},
    {"another build is another module", tells_builds},
    {"stacks can be identified in another way", identifies},
};
UNIT_MAIN(tests)
