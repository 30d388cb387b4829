/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_capture.c - what is wanted of a process's writable memory, as of one
 * moment.
 *
 * The process stands still only while its pages are read, once and in order.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/word_copy_fill.h"

#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

/* Holes as small as that are in the tables of a copy: a word for each page. */
#define SMALL_HOLE (UINT64_C(1) << 20)

static void find_present(void *context, uint64_t address, size_t n,
                         bool *present)
{
    const struct live *live = context;
    const struct mt_source *source = &live->source;
    const struct mt_present *p = mt_source_present(source, address);
    const struct mt_present *end = p ? source->present + source->n_present : p;

    for (size_t i = 0; i < n; i++) {
        uint64_t at = address + i * MT_STORE_PAGE;
        while (p && p < end && p->end <= at)
            p++;
        present[i] = p && p < end && p->start <= at;
    }
}

/* One part of memory at most: all of `bytes` is present. */
static size_t read_now(void *context, uint64_t address, void *buffer,
                       size_t bytes)
{
    struct live *live = context;
    const struct mt_present *p = mt_source_present(&live->source, address);
    ssize_t got;

    if (!p || p->start > address)
        return 0;
    if (bytes > p->end - address)
        bytes = (size_t)(p->end - address);
    if (p->file < 0) {
        got = (ssize_t)mt_live_read_present(live, address, buffer, bytes);
    } else {
        mt_hold_beat(&live->holder);
        got = pread(p->file, buffer, bytes,
                    (off_t)(p->offset + (address - p->start)));
    }
    if (got <= 0 && p->file < 0) {
        __atomic_add_fetch(&live->unread_bytes, MT_STORE_PAGE,
                           __ATOMIC_RELAXED);
        mt_live_gone(live);
    }
    return got > 0 ? (size_t)got : 0;
}

/* Most heaps have fewer pointers than that. */
#define RESIDENT_BYTES_OF_KEPT 24u

static struct mt_word_copy *make_store(const struct live *live)
{
    struct mt_word_copy *word_copy = mt_word_copy_new(mt_available_bytes() / 2);
    unsigned long long resident = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)live->tid);
    file = fopen(path, "re");
    if (file && fscanf(file, "%*s %llu", &resident) == 1 && word_copy)
        mt_word_copy_reserve(word_copy,
                             resident * MT_STORE_PAGE / RESIDENT_BYTES_OF_KEPT);
    if (file)
        fclose(file);
    return word_copy;
}

/* The pages that have memory, and the small holes between them. */
static bool live_capture_add_pieces(const struct mt_source *source,
                                    struct mt_word_copy *word_copy)
{
    struct mt_word_copy_piece *pieces =
        calloc(source->n_present + 1, sizeof *pieces);
    const struct mt_mapping *m = NULL;
    size_t n = 0;
    bool ok;

    for (size_t i = 0; pieces && i < source->n_present; i++) {
        const struct mt_present *p = &source->present[i];
        struct mt_word_copy_piece *last = n > 0 ? &pieces[n - 1] : NULL;
        bool same = m && p->start < m->end;
        if (!same)
            m = mt_source_mapping(source, p->start);
        if (same && p->start - (last->start + last->bytes) < SMALL_HOLE)
            last->bytes = p->end - last->start;
        else
            pieces[n++] = (struct mt_word_copy_piece){
                .start = p->start, .bytes = p->end - p->start};
    }
    ok = pieces && mt_word_copy_pieces(word_copy, pieces, n);
    free(pieces);
    return ok;
}

/* False if the user stopped it.  The word copy becomes the source's. */
static bool live_capture_fill(struct live *live,
                              const struct mt_word_filter *filter,
                              struct mt_word_copy **word_copy)
{
    struct mt_source *source = &live->source;
    struct mt_fill fill = {.word_copy = *word_copy,
                           .filter = filter,
                           .read = read_now,
                           .present = find_present,
                           .context = live,
                           .progress = source->progress,
                           .step = "reading the process"};

    live->unread_bytes = 0;
    if (fill.word_copy && live_capture_add_pieces(source, fill.word_copy) &&
        mt_word_copy_fill(&fill)) {
        source->word_copy = fill.word_copy;
        *word_copy = NULL;
        source->captured.copied = true;
        source->captured.bytes = fill.read_bytes;
        source->captured.kept_bytes = fill.word_copy->bytes;
        source->coverage.unread_bytes = live->unread_bytes;
        return true;
    }
    return !fill.stopped;
}

static bool live_capture_kernel(struct live *live, struct mt_error *error)
{
    return (mt_live_kernel_words(live) && mt_live_queue_words(live)) ||
           mt_no_memory(error, "what the kernel holds");
}

/* Of a process that is small, and will not run again. */
static bool live_capture_whole(struct live *live,
                               const struct mt_word_filter *filter)
{
    if (!mt_live_may_image(live) || !mt_live_list_present(live, filter, NULL) ||
        !mt_live_take_image(live))
        return false;
    live->source.ops = live->image_ops;
    return true;
}

static bool live_capture_words(struct live *live,
                               const struct mt_word_filter *filter,
                               struct mt_word_copy **word_copy,
                               struct mt_error *error)
{
    if (!*word_copy)
        *word_copy = make_store(live);
    return filter->begin(filter->context, &live->source, error) &&
           live_capture_kernel(live, error) &&
           mt_live_list_present(live, filter, error) &&
           (live_capture_fill(live, filter, word_copy) ||
            mt_fail(error, "the reading was stopped"));
}

bool mt_live_capture(struct mt_source *source,
                     const struct mt_word_filter *filter, bool stop,
                     struct mt_error *error)
{
    struct live *live = (struct live *)source;
    struct mt_word_copy *word_copy = stop ? make_store(live) : NULL;
    uint64_t start;
    bool ok;

    live->lazy_known = false;
    if (!mt_live_find_descriptors(live) ||
        ((!source->still || live->fills) && !mt_live_find_lazy(live))) {
        mt_live_close_queues(live);
        mt_word_copy_free(word_copy);
        return mt_no_memory(error, "the mappings");
    }
    start = mt_clock_ns(CLOCK_MONOTONIC);
    if (stop && !mt_live_stop(source, error)) {
        mt_live_close_queues(live);
        mt_word_copy_free(word_copy);
        return false;
    }
    source->captured.stopped = stop;
    ok = (stop || source->still || mt_live_maps(source, live->tid, error)) &&
         (live_capture_whole(live, filter)
              ? live_capture_kernel(live, error)
              : live_capture_words(live, filter, &word_copy, error));
    source->captured.ns =
        source->captured.copied ? mt_clock_ns(CLOCK_MONOTONIC) - start : 0;
    if (stop && (!ok || source->captured.copied))
        mt_live_go(source);
    mt_live_close_queues(live);
    mt_word_copy_free(word_copy);
    if (source->word_copy)
        mt_word_copy_trim(source->word_copy);
    if (ok && source->coverage.ended)
        ok = mt_fail(error, "process %d ended while it was read",
                     (int)live->pid);
    return ok;
}
