/* SPDX-License-Identifier: BSD-2-Clause
 *
 * move_pages.c - realloc() of a large block that cannot grow where it is: its
 * pages move to their new place, by the kernel's page table, and are not
 * copied. So a buffer that grows needs its memory once, not twice.
 *
 * The old place becomes a hole, and what moved is a mapping of its own, which
 * the kernel cannot join with its neighbours.  So this is for blocks that may
 * become holes (pages.c), of which there are never too many.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/page_kinds.h"

#include <errno.h>
#include <string.h>

bool mt_large_may_move(const struct memtrace_heap *heap, const mt_span *from,
                       const void *moved)
{
    const mt_span *to = mt_span_of((uintptr_t)moved);
    return to->state == MT_SPAN_LARGE && heap->modes == 0 &&
           heap->quarantine.most == 0 && mt_memory_page(heap) <= 4096 &&
           from->n_slices <= to->n_slices &&
           mt_may_be_hole(heap, from->n_slices * MT_SLICE_BYTES);
}

void *mt_large_move(struct memtrace_heap *heap, mt_span *span, uint64_t bytes,
                    void *moved)
{
    mt_span *to = mt_span_of((uintptr_t)moved);
    /* From here on it is ours: whoever frees it too gets the report. */
    if (__atomic_fetch_or(&span->inline_local, 1, __ATOMIC_ACQ_REL) & 1) {
        __atomic_fetch_or(&to->inline_local, 1, __ATOMIC_ACQ_REL);
        mt_span_release(heap, to);
        mt_error(MT_ERROR_FREED, "realloc()", span->base,
                 span->tags ? mt_tags(span)[0] : 0);
        errno = EINVAL;
        return NULL;
    }
    int saved = errno;
    enum mt_os_moved result =
        mt_os_move((void *)span->base, span->n_slices * MT_SLICE_BYTES, moved,
                   to->n_slices * MT_SLICE_BYTES);
    if (result == MT_OS_LOST) {
        __atomic_fetch_or(&to->inline_local, 1, __ATOMIC_ACQ_REL);
        mt_span_release_as(heap, to, MT_SPAN_HOLE);
        mt_store_release(&span->inline_local, 0);
        errno = ENOMEM;
        return NULL;
    }
    if (result == MT_OS_STAYED)
        memcpy(moved, (const void *)span->base, bytes);
    mt_span_release_as(heap, span,
                       result == MT_OS_MOVED ? MT_SPAN_HOLE : MT_SPAN_DIRTY);
    mt_epoch_tick();
    errno = saved;
    return moved;
}
