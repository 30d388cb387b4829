/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_freeze.c - a core that memory or address space has no room for is read
 * once, from its beginning to its end, and of it is kept what is wanted.
 */
#include "coreanalyze/source/core.h"
#include "coreanalyze/source/store_fill.h"

#include <stdlib.h>

static size_t read_core(void *context, uint64_t address, void *buffer,
                        size_t bytes)
{
    struct mt_source *source = context;

    return source->ops->read(source, address, buffer, bytes);
}

/* Segments that are writable, and begin with a page. */
static bool add_pieces(const struct core *core, struct mt_store *store)
{
    struct mt_store_piece *pieces =
        calloc(core->n_segments + 1, sizeof *pieces);
    size_t n = 0;
    bool ok;

    for (size_t i = 0; pieces && i < core->n_segments; i++) {
        const struct core_segment *s = &core->segments[i];
        const struct mt_mapping *m =
            mt_source_mapping(&core->source, s->address);
        if (m && (m->flags & MT_MAP_WRITE) && s->address % MT_STORE_PAGE == 0)
            pieces[n++] =
                (struct mt_store_piece){.start = s->address, .bytes = s->bytes};
    }
    ok = pieces && mt_store_pieces(store, pieces, n);
    free(pieces);
    return ok;
}

bool mt_core_freeze(struct mt_source *source, const struct mt_keeper *keeper,
                    bool stop, struct mt_error *error)
{
    struct core *core = (struct core *)source;
    uint64_t room = mt_available_bytes();
    struct mt_fill fill = {.keeper = keeper,
                           .read = read_core,
                           .context = source,
                           .strict = true,
                           .progress = source->progress,
                           .step = "reading the core"};

    (void)stop;
    if (source->ops->view && core->bytes <= room)
        return true;
    if (!keeper->begin(keeper->context, source, error))
        return false;
    fill.store = mt_store_new(room / 2);
    if (fill.store && add_pieces(core, fill.store) && mt_store_fill(&fill)) {
        source->store = fill.store;
        source->frozen.copied = true;
        source->frozen.bytes = fill.read_bytes;
        source->frozen.kept_bytes = fill.store->bytes;
        mt_core_unmap(core);
        return true;
    }
    mt_store_free(fill.store);
    return !fill.stopped || mt_fail(error, "the reading was stopped");
}
