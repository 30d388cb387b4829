/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Size classes: multiples of 16 to 256 bytes, then eight to each doubling
 * (the spacing of jemalloc's manual, "SIZE CLASSES", with eight for four:
 * at most 1/9 of a block is lost to rounding, above 128 bytes).  Programs ask
 * for powers of two more than for anything else, and with its spare byte such
 * a request is just too large for the class of that size: from 1 KiB on
 * there is one for it, 16 bytes larger.
 */
#include "heap/alloc.h"

#include <string.h>

uint8_t mt_class_of[MT_SMALL_MAX / 16 + 2];

static uint8_t slices[MT_N_CLASSES];

uint32_t mt_class_size(uint32_t c)
{
    if (c < 16)
        return (c + 1) * 16;
    if (c < 32)
        return c < 24 ? (c - 7) * 32 : (c - 15) * 64;
    uint32_t group = (c - 32) / 9, step = (c - 32) % 9;
    return (1024u << group) + (step ? step * (128u << group) : 16);
}

uint32_t mt_class_slices(uint32_t c)
{
    return slices[c];
}

/* Little is touched of a thread's first blocks of a size, and in small spans
 * what was touched serves the next thread or class whole. */
uint32_t mt_class_first_slices(uint32_t c)
{
    return mt_class_size(c) <= 4096 ? 1 : slices[c];
}

/* The span of a class: 64 blocks, but 16 to 64 KiB; then up to 128 KiB, the
 * first number that loses little at its end, or the one that loses least.
 * Blocks of more than 4 KiB are few to a span, so that it empties soon and its
 * memory serves other classes; what they lose is whole pages, not touched. */
static uint32_t choose_slices(uint32_t size)
{
    uint32_t little = size > 4096 ? 130 : 16; /* per mille */
    uint32_t least = size * 64 / MT_SLICE_BYTES;
    if (least < 1)
        least = 1;
    if (least > 4)
        least = size <= 4096 ? 4 : 1;
    uint32_t most = size > 4096 ? 5 : 8;
    uint32_t best = most, best_loss = UINT32_MAX;
    for (uint32_t n = least; n <= most; n++) {
        uint32_t bytes = n * (uint32_t)MT_SLICE_BYTES;
        if (bytes < size)
            continue;
        uint32_t loss = (bytes % size) * 1000 / bytes;
        if (loss < best_loss) {
            best_loss = loss;
            best = n;
        }
        if (loss < little)
            break;
    }
    return best;
}

void mt_classes_init(void)
{
    uint32_t from = 0;
    for (uint32_t c = 0; c < MT_N_CLASSES; c++) {
        uint32_t size = mt_class_size(c), to = size / 16 + 1;
        memset(&mt_class_of[from], (int)c, to - from);
        from = to;
        slices[c] = (uint8_t)choose_slices(size);
    }
}

uint32_t mt_class_for(size_t size, size_t align)
{
    if (size > MT_SMALL_MAX || align > MT_SLICE_BYTES)
        return MT_CLASS_NONE;
    uint32_t c = mt_class_of[MT_CLASS_INDEX(size)];
    while (c < MT_N_CLASSES && (mt_class_size(c) & (align - 1)) != 0)
        c++;
    return c < MT_N_CLASSES ? c : MT_CLASS_NONE;
}
