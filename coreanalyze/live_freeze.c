/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_freeze.c - a copy of a process's writable memory, as of one moment.
 *
 * The process stands still only while its pages are copied; the places for
 * them have got memory before, and what is analysed afterwards is the copy.
 */
#include "coreanalyze/live_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

void mt_live_thaw(struct live *live)
{
    for (size_t i = 0; i < live->n_copies; i++)
        munmap(live->copies[i].place, live->copies[i].place_bytes);
    free(live->copies);
    live->copies = NULL;
    live->n_copies = 0;
}

/* Bytes of pages that a copy would take; all there are if unknown. */
static uint64_t count_bytes(const struct live *live)
{
    const struct mt_source *source = &live->source;
    uint64_t pages = 0;

    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        uint64_t entries[MT_PAGES_OF_PART], n = 0;
        if (!mt_copy_wants(m))
            continue;
        if (mt_copy_is_file(m)) {
            pages += (m->end - m->start) / MT_PAGE;
            continue;
        }
        for (uint64_t at = m->start; at < m->end; at += n * MT_PAGE) {
            n = (m->end - at) / MT_PAGE;
            n = n < MT_PAGES_OF_PART ? n : MT_PAGES_OF_PART;
            n = mt_copy_pagemap(live, at, entries, n);
            if (n == 0) {
                pages += (m->end - at) / MT_PAGE;
                break;
            }
            for (uint64_t j = 0; j < n; j++)
                pages += (entries[j] & MT_PAGEMAP_HAS_MEMORY) != 0;
        }
    }
    return pages * MT_PAGE;
}

static uint64_t available_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kb = 0;
    char line[128];

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
            break;
    if (file)
        fclose(file);
    return kb * 1024;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool read_maps_again(struct live *live, struct mt_error *error)
{
    struct mt_source *source = &live->source;

    free(source->mappings);
    source->mappings = NULL;
    source->n_mappings = 0;
    return mt_live_maps(source, live->pid, error);
}

/* Copies while the process stands still, which is what takes the time. */
static bool copy_process(struct live *live, bool stop, struct mt_error *error)
{
    struct mt_source *source = &live->source;
    uint64_t start = now_ns();
    bool ok, places = false, whole = true;

    if (stop && !mt_live_stop(source, error))
        return false;
    source->frozen.stopped = stop;
    ok = read_maps_again(live, error);
    if (ok && (places = mt_copy_places(live)))
        source->frozen.bytes = mt_copy_pages(live, &whole);
    if (ok && !places) {
        /* Read it in place. */
        mt_live_thaw(live);
        return true;
    }
    if (stop)
        mt_live_go(source);
    source->frozen.copied = ok && whole;
    source->frozen.ns = now_ns() - start;
    return ok && (whole || mt_fail(error, "the copying was stopped"));
}

bool mt_live_freeze(struct mt_source *source, bool stop, struct mt_error *error)
{
    struct live *live = (struct live *)source;

    if (count_bytes(live) < available_bytes() / 4 * 3 && mt_copy_places(live)) {
        mt_copy_populate(live);
        return copy_process(live, stop, error);
    }
    mt_live_thaw(live);
    if (stop && !mt_live_stop(source, error))
        return false;
    source->frozen.stopped = stop;
    return read_maps_again(live, error);
}
