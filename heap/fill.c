/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fill.c - the patterns that free blocks hold, and writes found by them.
 */
#include "heap/seldom.h"
#include "heap/fill.h"

#include <string.h>

void mt_fill_span(const mt_span *span)
{
    memset((void *)span->base, MT_FILL_FREED,
           span->n_blocks * span->block_bytes);
}

void mt_fill_check(const mt_span *span, uint32_t index,
                   struct mt_finding *finding)
{
    unsigned char *block = mt_block_start(span, index);
    uint64_t fill, word;
    size_t at = 0;
    memset(&fill, MT_FILL_FREED, sizeof fill);
    for (; at < span->block_bytes; at += sizeof word) {
        memcpy(&word, block + at, sizeof word);
        if (MT_UNLIKELY(word != fill))
            break;
    }
    if (MT_LIKELY(at >= span->block_bytes))
        return;
    while (block[at] == MT_FILL_FREED)
        at++;
    if (finding->block == 0) {
        finding->block = (uintptr_t)block;
        finding->offset = at;
        finding->tag = span->tags ? mt_tags(span)[index] : 0;
    }
    memset(block + at, MT_FILL_FREED, span->block_bytes - at);
}

void mt_fill_check_span(const mt_span *span, struct mt_finding *finding)
{
    for (uint32_t w = 0; w < mt_bitmap_words(span->n_blocks); w++) {
        uint64_t free_bits = mt_local(span)[w] | mt_remote(span)[w];
        for (; free_bits; free_bits &= free_bits - 1)
            mt_fill_check(span, w * 64 + (uint32_t)__builtin_ctzll(free_bits),
                          finding);
    }
}

void mt_finding_report(const struct mt_finding *finding, const char *who)
{
    if (MT_UNLIKELY(finding->block != 0))
        mt_error_at(MT_ERROR_WRITTEN, who, finding->block, finding->tag,
                    finding->offset);
}
