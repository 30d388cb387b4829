/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_capture.c - a core that memory or address space has no room for is read
 * once, from its beginning to its end, and of it is kept what is wanted.
 */
#include "coreanalyze/source/core.h"
#include "coreanalyze/source/word_copy_fill.h"

#include <stdlib.h>

static size_t read_core(void *context, uint64_t address, void *buffer,
                        size_t bytes)
{
    struct mt_source *source = context;

    return source->ops->read(source, address, buffer, bytes);
}

/* Segments that are writable, and begin with a page. */
static bool core_capture_add_pieces(const struct core *core,
                                    struct mt_word_copy *word_copy)
{
    struct mt_word_copy_piece *pieces =
        calloc(core->n_segments + 1, sizeof *pieces);
    size_t n = 0;
    bool ok;

    for (size_t i = 0; pieces && i < core->n_segments; i++) {
        const struct core_segment *s = &core->segments[i];
        const struct mt_mapping *m = mt_source_mapping(&core->source, s->start);
        if (m && (m->flags & MT_MAP_WRITE) && s->start % MT_STORE_PAGE == 0)
            pieces[n++] = (struct mt_word_copy_piece){
                .start = s->start, .bytes = s->end - s->start};
    }
    ok = pieces && mt_word_copy_pieces(word_copy, pieces, n);
    free(pieces);
    return ok;
}

bool mt_core_capture(struct core *core, const struct mt_word_filter *filter,
                     struct mt_error *error)
{
    struct mt_source *source = &core->source;
    uint64_t room = mt_available_bytes();
    struct mt_fill fill = {.filter = filter,
                           .read = read_core,
                           .context = source,
                           .strict = true,
                           .progress = source->progress,
                           .step = "reading the core"};

    if (source->ops->view && core->bytes <= room)
        return true;
    if (!filter->begin(filter->context, source, error))
        return false;
    fill.word_copy = mt_word_copy_new(room / 2);
    if (fill.word_copy && core_capture_add_pieces(core, fill.word_copy) &&
        mt_word_copy_fill(&fill)) {
        source->word_copy = fill.word_copy;
        source->captured.copied = true;
        source->captured.bytes = fill.read_bytes;
        source->captured.kept_bytes = fill.word_copy->bytes;
        return true;
    }
    mt_word_copy_free(fill.word_copy);
    return !fill.stopped || mt_fail(error, "the reading was stopped");
}
