/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_image.c - the memory of a small process that will not run again, as it
 * is.
 *
 * To choose words and to find them again costs more than to keep all of some
 * hundred pages, and the kernel copies them in one call.
 */
#include "coreanalyze/source/live.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* The follower of processes has a reserve of 4 MiB. */
#define IMAGE_MOST (UINT64_C(2) << 20)

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

bool mt_live_may_image(const struct live *live)
{
    if (!live->source.still || !mt_live_table_kept(live))
        return false;
    for (size_t i = 0; i < live->n_runs; i++)
        if (live->runs[i].swapped)
            return false;
    return true;
}

/* Parts from `first` on, as many as one call can take; returns how many could
 * be read. */
static size_t image_read_some(struct live *live, size_t first)
{
    const struct mt_source *source = &live->source;
    const struct mt_present *p = &source->present[first];
    struct iovec to = {live->image + p->offset, 0}, from[IOV_MAX];
    size_t n = 0;

    for (; n < IOV_MAX && first + n < source->n_present; n++) {
        from[n].iov_base = (void *)(uintptr_t)p[n].start;
        from[n].iov_len = p[n].end - p[n].start;
        to.iov_len += from[n].iov_len;
    }
    if (!live->by_file &&
        process_vm_readv(live->tid, &to, 1, from, n, 0) == (ssize_t)to.iov_len)
        return n;
    return mt_live_read_present(live, p->start, to.iov_base,
                                p->end - p->start) == p->end - p->start;
}

bool mt_live_take_image(struct live *live)
{
    struct mt_source *source = &live->source;
    uint64_t bytes = 0;
    size_t done = 0, n = 1;

    mt_live_drop_image(live);
    for (size_t i = 0; i < source->n_present; i++) {
        struct mt_present *p = &source->present[i];
        if (p->file >= 0 || p->end - p->start > IMAGE_MOST - bytes)
            return false;
        p->offset = bytes;
        bytes += p->end - p->start;
    }
    live->image = malloc(bytes + 1);
    for (; live->image && n > 0 && done < source->n_present; done += n)
        n = image_read_some(live, done);
    if (!live->image || done < source->n_present) {
        mt_live_drop_image(live);
        return false;
    }
    source->captured.copied = true;
    source->captured.bytes = source->captured.kept_bytes = bytes;
    return true;
}

void mt_live_drop_image(struct live *live)
{
    free(live->image);
    live->image = NULL;
}

const void *mt_live_extent(struct mt_source *source, uint64_t address,
                           uint64_t *start, uint64_t *bytes)
{
    const struct live *live = (const struct live *)source;
    const struct mt_present *p =
        live->image ? mt_source_present(source, address) : NULL;

    if (!p || p->start > address)
        return NULL;
    *start = p->start;
    *bytes = p->end - p->start;
    return live->image + p->offset;
}

const void *mt_live_view(struct mt_source *source, uint64_t address,
                         size_t bytes)
{
    uint64_t start, all;
    const uint8_t *data = mt_live_extent(source, address, &start, &all);

    return data && bytes <= all - (address - start) ? data + (address - start)
                                                    : NULL;
}

size_t mt_live_read_image(struct live *live, uint64_t address, void *buffer,
                          size_t bytes)
{
    uint64_t start, all, left;
    const uint8_t *data = mt_live_extent(&live->source, address, &start, &all);

    if (!data)
        return 0;
    left = all - (address - start);
    bytes = left < bytes ? (size_t)left : bytes;
    memcpy(buffer, data + (address - start), bytes);
    return bytes;
}
