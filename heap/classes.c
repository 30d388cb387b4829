/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Size classes: multiples of 16 to 128 bytes, then eight to each doubling
 * (the spacing of jemalloc's manual, "SIZE CLASSES", with eight for four:
 * at most 1/9 of a block is lost to rounding, above 128 bytes).
 */
#include "alloc.h"

uint8_t mt_class_of[MT_SMALL_MAX / 16 + 1];

static uint8_t slices[MT_N_CLASSES];

uint32_t mt_class_size(uint32_t c)
{
    if (c < 8)
        return (c + 1) * 16;
    uint32_t group = (c - 8) / 8, step = (c - 8) % 8 + 1;
    return (128u << group) + step * (16u << group);
}

uint32_t mt_class_slices(uint32_t c)
{
    return slices[c];
}

/* The span of a class: 64 blocks, within 1 and 16 slices; then up to twice
 * that, the number that loses the smallest share at the end. */
static uint32_t choose_slices(uint32_t size)
{
    uint32_t least = size * 64 / MT_SLICE_BYTES;
    if (least < 1)
        least = 1;
    if (least > 16)
        least = 16;
    uint32_t best = least;
    uint64_t best_loss = UINT64_MAX;
    for (uint32_t n = least; n <= least * 2; n++) {
        uint64_t bytes = (uint64_t)n * MT_SLICE_BYTES;
        uint64_t loss = (bytes % size) * 1000 / bytes;
        if (loss < best_loss) {
            best_loss = loss;
            best = n;
        }
        if (loss < 16)
            break;
    }
    return best;
}

void mt_classes_init(void)
{
    uint32_t c = 0;
    for (uint32_t i = 0; i <= MT_SMALL_MAX / 16; i++) {
        while (mt_class_size(c) < i * 16)
            c++;
        mt_class_of[i] = (uint8_t)c;
    }
    for (c = 0; c < MT_N_CLASSES; c++)
        slices[c] = (uint8_t)choose_slices(mt_class_size(c));
}

uint32_t mt_class_for(size_t size, size_t align)
{
    if (size > MT_SMALL_MAX || align > MT_SLICE_BYTES)
        return MT_CLASS_NONE;
    uint32_t c = mt_class_of[(size + 15) / 16];
    while (c < MT_N_CLASSES && (mt_class_size(c) & (align - 1)) != 0)
        c++;
    return c < MT_N_CLASSES ? c : MT_CLASS_NONE;
}
