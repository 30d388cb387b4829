/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Totals over time in a trace: samples that are damaged, moved or missing.
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
    sample(5000, 5); /* was moved, and is there twice */
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

static void without_samples(char *line, size_t bytes)
{
    static bool inside;

    (void)bytes;
    if (strncmp(line, "record ", 7) == 0)
        inside = strncmp(line, "record sample_record", 20) == 0;
    if (inside || strncmp(line, "field sample_step_ns", 20) == 0)
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
};
UNIT_MAIN(tests)
