/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_view.h - the memory of a target for scans: in place where the source
 * has it mapped, otherwise through a cache of chunks of bounded size.
 */
#ifndef MT_MEMORY_VIEW_H
#define MT_MEMORY_VIEW_H

#include "coreanalyze/source/source.h"

#define MT_MEMORY_VIEW_CHUNK_BYTES (UINT64_C(64) << 10)
#define MT_MEMORY_VIEW_PAGE UINT64_C(4096) /* where most is in place */

struct mt_memory_view_chunk {
    uint64_t start, bytes; /* what it holds; bytes 0: nothing */
    uint8_t *data;
};

/* Used by one thread at a time. */
struct mt_memory_view {
    struct mt_source *source;
    /* The last piece of memory in place. */
    const uint8_t *data;
    uint64_t start, bytes;
    struct mt_memory_view_chunk *chunks;
    unsigned n_chunks; /* a power of two */
};

/* `n_chunks` (a power of two) bounds the cache; it is made when needed. */
void mt_memory_view_init(struct mt_memory_view *view, struct mt_source *source,
                         unsigned n_chunks);
void mt_memory_view_done(struct mt_memory_view *view);
/* May many threads scan the source at once? */
bool mt_memory_view_is_shared(const struct mt_source *source);

const uint8_t *mt_memory_view_miss(struct mt_memory_view *view,
                                   uint64_t address, uint64_t *bytes);

/* Memory from `address` on; `bytes` is how many are wanted, and on return how
 * many there are, at most as many.  NULL if there is none.  Valid until the
 * next call.  Without a cache the pointer is valid as long as the source. */
static inline const uint8_t *mt_memory_view(struct mt_memory_view *view,
                                            uint64_t address, uint64_t *bytes)
{
    uint64_t skip = address - view->start;

    if (skip >= view->bytes)
        return mt_memory_view_miss(view, address, bytes);
    if (*bytes > view->bytes - skip)
        *bytes = view->bytes - skip;
    return view->data + skip;
}

/* One word; false if it is not there. */
bool mt_memory_view_word(struct mt_memory_view *view, uint64_t address,
                         uint64_t *word);

#endif
