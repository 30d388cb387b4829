/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_view.c - memory of a source, read in large chunks and kept for the
 * next words.
 */
#include "coreanalyze/reach/memory_view.h"
#include "coreanalyze/source/word_copy.h"

#include <stdlib.h>
#include <string.h>

void mt_memory_view_init(struct mt_memory_view *view, struct mt_source *source,
                         unsigned n_chunks)
{
    *view = (struct mt_memory_view){.source = source, .n_chunks = n_chunks};
}

void mt_memory_view_done(struct mt_memory_view *view)
{
    for (unsigned i = 0; view->chunks && i < view->n_chunks; i++)
        free(view->chunks[i].data);
    free(view->chunks);
    view->chunks = NULL;
}

bool mt_memory_view_is_shared(const struct mt_source *source)
{
    return source->ops->extent != NULL || source->word_copy != NULL;
}

/* Fills a chunk with the memory around `address`: from the chunk's start, or
 * where that has a hole before `address`, from there. */
static bool view_load(struct mt_memory_view *view,
                      struct mt_memory_view_chunk *chunk, uint64_t address)
{
    /* Most of it is in place, or is kept by the source. */
    uint64_t bytes =
        view->source->still ? MT_MEMORY_VIEW_PAGE : MT_MEMORY_VIEW_CHUNK_BYTES;
    uint64_t start = address & ~(bytes - 1), end = start + bytes;

    if (chunk->data == NULL)
        chunk->data = malloc(MT_MEMORY_VIEW_CHUNK_BYTES);
    if (chunk->data == NULL || end < start)
        return false;
    chunk->start = start;
    chunk->bytes = mt_source_read_part(view->source, start, chunk->data, bytes);
    if (address - start >= chunk->bytes && address > start) {
        chunk->start = address;
        chunk->bytes = mt_source_read_part(view->source, address, chunk->data,
                                           end - address);
    }
    return address - chunk->start < chunk->bytes;
}

const uint8_t *mt_memory_view_miss(struct mt_memory_view *view,
                                   uint64_t address, uint64_t *bytes)
{
    struct mt_source *source = view->source;
    struct mt_memory_view_chunk *chunk;
    uint64_t wanted = *bytes, base, extent;

    *bytes = 0;
    if (source->ops->extent) {
        const uint8_t *data =
            source->ops->extent(source, address, &base, &extent);
        if (data) {
            view->data = data;
            view->start = base;
            view->bytes = extent;
            *bytes = wanted;
            return mt_memory_view(view, address, bytes);
        }
    }
    if (view->chunks == NULL)
        view->chunks = calloc(view->n_chunks, sizeof *view->chunks);
    if (view->chunks == NULL)
        return NULL;
    chunk = &view->chunks[address / MT_MEMORY_VIEW_CHUNK_BYTES &
                          (view->n_chunks - 1)];
    if (address - chunk->start >= chunk->bytes &&
        !view_load(view, chunk, address))
        return NULL;
    extent = chunk->bytes - (address - chunk->start);
    *bytes = wanted < extent ? wanted : extent;
    return chunk->data + (address - chunk->start);
}

bool mt_memory_view_word(struct mt_memory_view *view, uint64_t address,
                         uint64_t *word)
{
    const struct mt_word_copy *word_copy = view->source->word_copy;
    uint64_t bytes = sizeof *word;
    const uint8_t *data;

    if (word_copy &&
        mt_word_copy_read(word_copy, address, word, bytes) == bytes)
        return true;
    data = mt_memory_view(view, address, &bytes);
    if (data && bytes == sizeof *word) {
        memcpy(word, data, sizeof *word);
        return true;
    }
    return mt_source_read(view->source, address, word, sizeof *word);
}
