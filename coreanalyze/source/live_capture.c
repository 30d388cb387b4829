/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_capture.c - what is wanted of a process's writable memory, as of one
 * moment.
 *
 * The process stands still only while its pages are read, once and in order.
 * Pages that it never touched are not asked for: they would get memory by
 * that.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/word_copy_fill.h"

#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

#define HAS_MEMORY (MT_PAGE_PRESENT | MT_PAGE_SWAPPED)

/* Memory of devices may not be read. */
static bool is_wanted(const struct mt_mapping *m)
{
    return (m->flags & MT_MAP_READ) && (m->flags & MT_MAP_WRITE) &&
           !(m->path && strncmp(m->path, "/dev/", 5) == 0 &&
             strncmp(m->path, "/dev/shm/", 9) != 0 &&
             strncmp(m->path, "/dev/zero", 9) != 0);
}

/* Pages of files count even if nobody has touched them; so does what the
 * kernel does not tell of. */
static void find_present(void *context, uint64_t address, size_t n,
                         bool *present)
{
    const struct live *live = context;
    const struct mt_mapping *m = mt_source_mapping(&live->source, address);
    uint64_t entries[MT_FILL_PAGES];
    ssize_t got;

    if (m == NULL || (m->path && m->path[0] == '/'))
        return;
    got = pread(live->pagemap, entries, n * sizeof *entries,
                (off_t)(address / MT_STORE_PAGE * sizeof *entries));
    for (size_t i = 0; got > 0 && i < (size_t)got / sizeof *entries; i++)
        present[i] = (entries[i] & HAS_MEMORY) != 0;
}

static size_t read_now(void *context, uint64_t address, void *buffer,
                       size_t bytes)
{
    return mt_live_peek(context, address, buffer, bytes);
}

static bool read_maps_again(struct live *live, struct mt_error *error)
{
    struct mt_source *source = &live->source;

    free(source->mappings);
    source->mappings = NULL;
    source->n_mappings = 0;
    return mt_live_maps(source, live->pid, error);
}

/* Most heaps have fewer pointers than that. */
#define RESIDENT_BYTES_OF_KEPT 24u

static struct mt_word_copy *make_store(const struct live *live)
{
    struct mt_word_copy *store = mt_word_copy_new(mt_available_bytes() / 2);
    unsigned long long resident = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)live->pid);
    file = fopen(path, "re");
    if (file && fscanf(file, "%*s %llu", &resident) == 1 && store)
        mt_word_copy_reserve(store,
                             resident * MT_STORE_PAGE / RESIDENT_BYTES_OF_KEPT);
    if (file)
        fclose(file);
    return store;
}

static bool live_capture_add_pieces(const struct mt_source *source,
                                    struct mt_word_copy *store)
{
    struct mt_word_copy_piece *pieces =
        calloc(source->n_mappings + 1, sizeof *pieces);
    size_t n = 0;
    bool ok;

    for (size_t i = 0; pieces && i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        if (is_wanted(m))
            pieces[n++] = (struct mt_word_copy_piece){
                .start = m->start, .bytes = m->end - m->start};
    }
    ok = pieces && mt_word_copy_pieces(store, pieces, n);
    free(pieces);
    return ok;
}

/* False if the user stopped it.  The store becomes the source's. */
static bool live_capture_fill(struct live *live,
                              const struct mt_word_filter *filter,
                              struct mt_word_copy **store)
{
    struct mt_source *source = &live->source;
    struct mt_fill fill = {.store = *store,
                           .filter = filter,
                           .read = read_now,
                           .present = find_present,
                           .context = live,
                           .progress = source->progress,
                           .step = "reading the process"};

    if (fill.store && live_capture_add_pieces(source, fill.store) &&
        mt_word_copy_fill(&fill)) {
        source->store = fill.store;
        *store = NULL;
        source->captured.copied = true;
        source->captured.bytes = fill.read_bytes;
        source->captured.kept_bytes = fill.store->bytes;
        return true;
    }
    return !fill.stopped;
}

bool mt_live_capture(struct mt_source *source,
                     const struct mt_word_filter *filter, bool stop,
                     struct mt_error *error)
{
    struct live *live = (struct live *)source;
    struct mt_word_copy *store = make_store(live);
    uint64_t start = mt_clock_ns(CLOCK_MONOTONIC);
    bool ok;

    if (stop && !mt_live_stop(source, error)) {
        mt_word_copy_free(store);
        return false;
    }
    source->captured.stopped = stop;
    ok = read_maps_again(live, error) &&
         filter->begin(filter->context, source, error) &&
         (live_capture_fill(live, filter, &store) ||
          mt_fail(error, "the reading was stopped"));
    source->captured.ns =
        source->captured.copied ? mt_clock_ns(CLOCK_MONOTONIC) - start : 0;
    if (stop && (!ok || source->captured.copied))
        mt_live_go(source);
    mt_word_copy_free(store);
    if (source->store)
        mt_word_copy_trim(source->store);
    return ok;
}
