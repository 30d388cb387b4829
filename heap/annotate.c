/* SPDX-License-Identifier: BSD-2-Clause
 *
 * annotate.c - blocks that the program wants no reports of leaks about.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/capture/stacks.h"
#include "heap/memtrace.h"

static const uint32_t in_scope = MT_TRACE_SCOPE;

/* The block that holds p; its end, or 0 if there is none. */
static uintptr_t annotate_blocks(uintptr_t p, bool ignored)
{
    mt_span *span = mt_span_of(p);
    uint8_t state = span ? mt_load_acquire(&span->state) : MT_SPAN_UNUSED;
    if (state < MT_SPAN_SMALL || p < span->base)
        return 0;
    uint64_t i = state == MT_SPAN_SMALL ? mt_block_index(span, p) : 0;
    if (i >= span->n_blocks || p - span->base >= (i + 1) * span->block_bytes)
        return 0;
    uintptr_t end = span->base + (i + 1) * span->block_bytes;
    if (span->tags == 0)
        return end;
    mt_stacks_enter();
    uint64_t *at = &mt_tags(span)[i], tag = mt_load_acquire(at);
    /* If the block was freed and allocated again, its tag has changed. */
    while (!__atomic_compare_exchange_n(at, &tag, mt_ignored_tag(tag, ignored),
                                        false, __ATOMIC_RELEASE,
                                        __ATOMIC_ACQUIRE))
        continue;
    mt_stacks_leave();
    return end;
}

MT_EXPORT int memtrace_ignore(const void *p)
{
    return mt_started() && annotate_blocks((uintptr_t)p, true) ? 0 : -1;
}

MT_EXPORT void memtrace_root_region(const void *p, size_t bytes, int on)
{
    uintptr_t at = (uintptr_t)p, last = at + bytes;
    if (!mt_started() || last < at)
        return;
    while (at < last) {
        uintptr_t end = annotate_blocks(at, on != 0);
        if (end == 0) {
            const struct mt_region_record *r = mt_region_of(at);
            /* Other memory is searched as it is. */
            end = r ? (at | (MT_SLICE_BYTES - 1)) + 1 : last;
        }
        at = end;
    }
}

MT_EXPORT void memtrace_ignore_begin(void)
{
    struct mt_cache *cache = mt_start() ? mt_cache_get() : NULL;
    if (cache == NULL)
        return;
    if (cache->ignoring++ == 0 && *cache->trace == MT_TRACE_ON)
        cache->trace = &in_scope;
}

MT_EXPORT void memtrace_ignore_end(void)
{
    struct mt_cache *cache = mt_start() ? mt_cache_get() : NULL;
    if (cache && cache->ignoring > 0 && --cache->ignoring == 0)
        mt_ignored_reset(cache);
}
