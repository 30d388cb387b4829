/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cache_table.c - caches by the number of their thread's record.
 */
#include "heap/cache.h"

#include <errno.h>

uint64_t mt_no_free_bits;

struct mt_thread_record *mt_thread_record(uint32_t id)
{
    return (struct mt_thread_record *)memtrace_root
               ->sections[MT_SECTION_THREADS]
               .base +
           id;
}

uint32_t mt_thread_count(void)
{
    return (uint32_t)(mt_load_acquire(
                          &memtrace_root->sections[MT_SECTION_THREADS].used) /
                      sizeof(struct mt_thread_record));
}

struct mt_cache *mt_cache_of(uint32_t id)
{
    return id && id < mt_thread_count() ? (struct mt_cache *)mt_load_acquire(
                                              &mt_thread_record(id)->cache)
                                        : NULL;
}

void mt_cache_setup(struct mt_cache *cache, struct memtrace_heap *heap,
                    uint32_t id)
{
    cache->heap = heap;
    cache->id = id;
    cache->trace = &heap->record->trace;
    cache->full = 0;
    for (uint32_t c = 0; c < MT_N_CLASSES; c++) {
        struct mt_bin *bin = &cache->bins[c];
        bin->word = &mt_no_free_bits;
        bin->size = mt_class_size(c);
        bin->span = bin->partial = 0;
        bin->loans = bin->given = 0;
    }
}

struct mt_cache *mt_cache_new(struct memtrace_heap *heap, uint32_t state)
{
    char *memory = mt_section_alloc(MT_SECTION_PRIVATE,
                                    (sizeof(struct mt_cache) + 63) & ~63ul);
    struct mt_thread_record *record =
        memory ? mt_section_alloc(MT_SECTION_THREADS, sizeof *record) : NULL;
    if (record == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    struct mt_cache *cache = (struct mt_cache *)memory;
    mt_cache_setup(cache, heap, (uint32_t)(record - mt_thread_record(0)));
    record->started_ns = mt_os_monotonic_ns();
    mt_store_relaxed(&record->state, state);
    mt_store_release(&record->cache, (uintptr_t)cache);
    return cache;
}
