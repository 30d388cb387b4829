/* SPDX-License-Identifier: BSD-2-Clause
 *
 * traced_fast.c - what most allocations do while tracing is on.  It is called
 * as the program called malloc: perhaps with a stack that is not aligned, which
 * all that it calls must accept.
 */
#include "heap/traced_fast.h"

void *mt_traced_small(size_t size, uint64_t rip, uint64_t rsp, uint64_t rbp)
{
    struct mt_cache *cache = mt_tls;
    struct mt_capture *capture = cache->capture;
    const struct mt_root *root = memtrace_root;
    if (MT_UNLIKELY(size >= mt_hot.small_sizes ||
                    mt_load_folded(cache->trace) != MT_TRACE_ON ||
                    mt_load_folded(&root->sample_bytes) != 0 ||
                    !mt_capture_begin(capture, rsp)))
        return mt_take_untraced(cache, size);
    struct mt_memo_slot *slot = NULL;
    if (MT_LIKELY(mt_capture_is_usual(capture, root)))
        slot = mt_capture_known(capture, rip, rsp, rbp, true);
    if (MT_UNLIKELY(!slot)) {
        mt_capture_end(capture);
        return NULL;
    }
    uint64_t tag = MT_TAG(mt_capture_hit(capture, slot, size), 0, 0);
    mt_os_clock(MT_OS_MONOTONIC, &capture->now);
    tag |= MT_TAG(0, mt_epoch_at(mt_os_ns(&capture->now)), 0);
    size_t c = mt_class_of[MT_CLASS_INDEX(size)];
    const struct mt_bin *bin = &cache->bins[c];
    const mt_span *span = mt_span_at(bin->span);
    uint64_t bits = *bin->word;
    if (MT_UNLIKELY(bits == 0 || span->tags == 0))
        return mt_take_small(cache, (uint32_t)c, size, tag);
    void *block = mt_take_tagged(bin, span, bits, size, tag);
    mt_capture_end(capture);
    return block;
}
