/* SPDX-License-Identifier: BSD-2-Clause
 *
 * span_view.h - a span of blocks as all of the reader sees it, and the
 * arithmetic from an address to the number of a block.
 *
 * The snapshot makes one view of each span, when it first reads the spans.
 */
#ifndef MT_SPAN_VIEW_H
#define MT_SPAN_VIEW_H

#include <stdbool.h>
#include <stdint.h>

struct mt_span_view {
    uint64_t base;
    uint64_t block_bytes;
    uint64_t recip;     /* 2^40 / block_bytes, rounded up; 0: divide */
    uint64_t first;     /* slot of block 0 */
    uint64_t requested; /* of a large block: bytes asked for; 0: not known */
    uint32_t n_blocks;  /* 0: a span without blocks, or not believed */
    uint16_t heap;
    bool node; /* a mapping that stands for a block: no heap's */
};

/* 2^40 / block_bytes for spans where that is exact, or 0. */
uint64_t mt_span_recip(uint64_t block_bytes, uint64_t n_blocks);

/* The number of the block that is `offset` bytes after the first one's start;
 * n_blocks or more if the address is after the last block.  The span has
 * blocks. */
static inline uint64_t mt_span_block_at(const struct mt_span_view *span,
                                        uint64_t offset)
{
    if (span->recip != 0)
        return offset * span->recip >> 40;
    return offset / span->block_bytes;
}

#endif
