/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Size classes: every size and every offset.
 */
#include "heap/alloc.h"
#include "tests/unit.h"

static void classes_cover_all_sizes(void)
{
    mt_classes_init();
    for (size_t size = 0; size <= MT_SMALL_MAX; size++) {
        uint32_t c = mt_class_for(size, MT_MIN_BLOCK);
        CU_ASSERT_FATAL(c < MT_N_CLASSES);
        CU_ASSERT(mt_class_size(c) > size); /* a byte is to spare */
        CU_ASSERT(c == 0 || mt_class_size(c - 1) <= size);
    }
    CU_ASSERT_EQUAL(mt_class_for(MT_SMALL_MAX + 1, 16), MT_CLASS_NONE);
}

static void rounding_is_bounded(void)
{
    for (uint32_t c = 8; c < MT_N_CLASSES; c++) {
        uint32_t below = mt_class_size(c - 1) + 1, size = mt_class_size(c);
        CU_ASSERT((size - below) * 9 <= size);
        CU_ASSERT_EQUAL(size % MT_MIN_BLOCK, 0);
    }
}

/* A power of two that is asked for loses little to its spare byte. */
static void powers_of_two_have_classes(void)
{
    for (size_t size = 1024; size <= MT_SMALL_MAX; size *= 2)
        CU_ASSERT_EQUAL(mt_class_size(mt_class_for(size, 16)), size + 16);
}

static void slack_fits_its_tag(void)
{
    for (size_t align = 16; align <= MT_SLICE_BYTES; align *= 2)
        for (uint32_t c = 0; c < MT_N_CLASSES; c++)
            CU_ASSERT(mt_class_size(c) < 1u << MT_TAG_SLACK_BITS);
}

static void aligned_classes_are_aligned(void)
{
    for (size_t align = 16; align <= MT_SLICE_BYTES; align *= 2)
        for (size_t size = 0; size < MT_SMALL_MAX; size += 13) {
            uint32_t c = mt_class_for(size, align);
            CU_ASSERT_FATAL(c != MT_CLASS_NONE);
            CU_ASSERT(mt_class_size(c) > size);
            CU_ASSERT_EQUAL(mt_class_size(c) % align, 0);
        }
    CU_ASSERT_EQUAL(mt_class_for(1, MT_SLICE_BYTES * 2), MT_CLASS_NONE);
}

/* The reciprocal gives the exact block for every byte of every span. */
static void reciprocals_are_exact(void)
{
    for (uint32_t c = 0; c < MT_N_CLASSES; c++) {
        mt_span span = {.block_bytes = mt_class_size(c)};
        uint64_t bytes = mt_class_slices(c) * MT_SLICE_BYTES;
        span.recip = mt_reciprocal(span.block_bytes);
        uint64_t wrong = 0;
        for (uint64_t at = 0; at < bytes; at++) {
            wrong += mt_block_index(&span, at) != at / span.block_bytes;
            /* free() knows a block's start by the fraction. */
            wrong +=
                (at * span.recip < span.recip) != (at % span.block_bytes == 0);
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
}

static void spans_waste_little(void)
{
    for (uint32_t c = 0; c < MT_N_CLASSES; c++) {
        uint64_t bytes = mt_class_slices(c) * MT_SLICE_BYTES;
        uint64_t size = mt_class_size(c);
        CU_ASSERT(bytes / size >= (size <= 4096 ? 16 : 1));
        CU_ASSERT(bytes <= 131072);
        CU_ASSERT((bytes % size) * (size <= 4096 ? 16 : 5) <= bytes);
    }
}

static const struct unit_test tests[] = {
    {"classes cover all sizes", classes_cover_all_sizes},
    {"rounding loses at most 1/9", rounding_is_bounded},
    {"a power of two takes 16 bytes more", powers_of_two_have_classes},
    {"slack fits its tag", slack_fits_its_tag},
    {"aligned classes are aligned", aligned_classes_are_aligned},
    {"reciprocals are exact", reciprocals_are_exact},
    {"spans waste at most 1/16, of large blocks 1/5", spans_waste_little},
};
UNIT_MAIN(tests)
