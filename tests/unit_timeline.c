/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Totals over time in a trace, and the peak: records that are damaged, moved or
 * missing.
 */
#include "coreanalyze/snapshot/snapshot.h"
#include "tests/trace_image.h"
#include "tests/unit.h"

#include <string.h>

static struct image *image;
static struct mt_source *source;
static struct mt_model *model;

static void start(void)
{
    struct plan plan;

    image_section_bytes = 1u << 16;
    image = image_planned(&plan);
    image_epoch(image, 60000000000, NULL);
}

static void take(void)
{
    static const struct mt_snapshot_options options;
    struct mt_error error = {0};

    source = mt_source_open_core(image_core(image, 0), &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(source);
    model = mt_snapshot_take(source, &options, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
}

static void end(void)
{
    mt_model_free(model);
    mt_source_free(source);
    image_free(image);
}

static struct mt_sample_record *sample(uint64_t ns, uint64_t live)
{
    uint64_t at =
        image_alloc(image, MT_SECTION_SAMPLES, sizeof(struct mt_sample_record));
    struct mt_sample_record *s = image_at(image, at);

    s->monotonic_ns = ns ? IMAGE_START_NS + ns : 0;
    s->live_bytes = live;
    return s;
}

static void in_order(void)
{
    start();
    sample(5000, 5);
    sample(7000, 7);
    sample(0, 99); /* not in use */
    sample(1000, 1);
    sample(5000, 5); /* was moved, so it is found twice */
    sample(9000, 9)->flags = MT_SAMPLE_ESTIMATED;
    image->root->sample_step_ns = 2000;
    take();
    CU_ASSERT_EQUAL_FATAL(model->n_samples, 4);
    for (unsigned i = 0; i < 4; i++) {
        static const uint64_t order[] = {1, 5, 7, 9};
        CU_ASSERT_EQUAL(model->samples[i].ns, order[i] * 1000);
        CU_ASSERT_EQUAL(model->samples[i].live_bytes, order[i]);
        CU_ASSERT_EQUAL(model->samples[i].estimated, i == 3);
    }
    CU_ASSERT_EQUAL(model->sample_step_ns, 2000);
    CU_ASSERT_EQUAL(model->coverage.skipped_samples, 0);
    end();
}

static void damaged(void)
{
    start();
    sample(1000, 1);
    sample(2000, UINT64_MAX);
    sample(3000, 3)->resident = UINT64_MAX / 2;
    sample(4000, 4)->monotonic_ns = 1; /* before the start */
    sample(90000000000, 5);            /* after all that is known */
    sample(UINT64_MAX - IMAGE_START_NS, 6);
    sample(6000, 6);
    take();
    CU_ASSERT_EQUAL_FATAL(model->n_samples, 2);
    CU_ASSERT_EQUAL(model->samples[1].live_bytes, 6);
    CU_ASSERT_EQUAL(model->coverage.skipped_samples, 5);
    end();
}

static void peak_record(uint32_t stack, uint64_t bytes, uint64_t blocks)
{
    uint64_t at =
        image_alloc(image, MT_SECTION_PEAKS, sizeof(struct mt_peak_record));
    struct mt_peak_record *r = image_at(image, at);

    r->stack = stack;
    r->bytes = bytes;
    r->blocks = blocks;
}

/* Two lists: what the first has is nothing, the second three stacks. */
static void start_peak(void)
{
    struct mt_root *root;

    start();
    root = image->root;
    peak_record(3, 77, 7);
    peak_record(3, 100, 1);
    peak_record(4, 200, 2);
    peak_record(4, 50, 1);
    root->peak = 2;
    for (unsigned i = 0; i < 2; i++) {
        root->peak_ns[i] = IMAGE_START_NS + 5000;
        root->peak_share[i] = 1;
        root->peak_first[i] = i;
        root->peak_records[i] = i ? 3 : 1;
    }
}

static void the_peak(void)
{
    start_peak();
    take();
    CU_ASSERT(model->peak.known);
    CU_ASSERT_EQUAL(model->peak.ns, 5000);
    CU_ASSERT_EQUAL(model->peak.bytes, 350);
    CU_ASSERT_EQUAL(model->peak.blocks, 4);
    CU_ASSERT_EQUAL(model->stacks[3].peak_bytes, 100);
    CU_ASSERT_EQUAL(model->stacks[4].peak_bytes, 250);
    CU_ASSERT_EQUAL(model->stacks[4].peak_blocks, 3);
    CU_ASSERT_EQUAL(model->coverage.skipped_peaks, 0);
    end();
}

static void damaged_peak(void)
{
    static const struct {
        size_t offset;
        uint64_t value;
        bool known;
    } damage[] = {
        {offsetof(struct mt_root, peak), 3, false},
        {offsetof(struct mt_root, peak), UINT32_MAX, false},
        {offsetof(struct mt_root, peak_first) + 4, UINT32_MAX, false},
        {offsetof(struct mt_root, peak_records) + 4, 4, false},
        {offsetof(struct mt_root, peak_records) + 4, UINT32_MAX, false},
        {offsetof(struct mt_root, peak_share) + 4, 0, false},
    };

    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        start_peak();
        uint32_t value = (uint32_t)damage[i].value;
        memcpy((char *)image->root + damage[i].offset, &value, sizeof value);
        take();
        CU_ASSERT(model->peak.known == damage[i].known);
        CU_ASSERT_EQUAL(model->coverage.skipped_peaks, 1);
        CU_ASSERT_EQUAL(model->stacks[4].peak_bytes, 0);
        end();
    }
    start_peak();
    peak_record(999999, 5, 5);
    peak_record(3, UINT64_MAX, 5);
    image->root->peak_records[1] = 5;
    take();
    CU_ASSERT(model->peak.known);
    CU_ASSERT_EQUAL(model->peak.bytes, 350);
    CU_ASSERT_EQUAL(model->coverage.skipped_peaks, 2);
    end();
}

static void without_samples(char *line, size_t bytes)
{
    static bool inside;

    (void)bytes;
    if (strncmp(line, "record ", 7) == 0)
        inside = strncmp(line, "record sample_record", 20) == 0 ||
                 strncmp(line, "record peak_record", 18) == 0;
    if (inside || strncmp(line, "field sample_step_ns", 20) == 0 ||
        strncmp(line, "field peak", 10) == 0)
        line[0] = '\0';
}

/* Of version 2.1: with a schema that does not know samples. */
static void older(void)
{
    start();
    sample(1000, 1);
    image->root->layout_minor = 1;
    image->root->n_sections = MT_SECTION_SAMPLES;
    image->root->sample_step_ns = 5;
    image_schema(image, without_samples);
    take();
    CU_ASSERT_EQUAL(model->n_samples, 0);
    CU_ASSERT_EQUAL(model->sample_step_ns, 0);
    CU_ASSERT(!model->coverage.schema_missing);
    CU_ASSERT_EQUAL(model->coverage.skipped_sections, 0);
    end();
}

static const struct unit_test tests[] = {
    {"samples are ordered, each once", in_order},
    {"damaged samples are skipped and counted", damaged},
    {"a trace of an older version has none", older},
    {"the peak is the list that the root names", the_peak},
    {"damaged records of the peak are skipped and counted", damaged_peak},
};
UNIT_MAIN(tests)
