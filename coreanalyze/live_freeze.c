/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_freeze.c - a copy of a process's writable memory.
 *
 * The process stands still only while its pages are copied, by all
 * processors; what is analysed afterwards is the copy.  Pages that it never
 * touched are not asked for: they would get memory by that.
 */
#include "coreanalyze/live.h"
#include "coreanalyze/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PART_BYTES (UINT64_C(4) << 20)
#define PAGE UINT64_C(4096)
#define PAGES_OF_PART (PART_BYTES / PAGE)
#define MAX_THREADS 16u
/* Present, or swapped out. */
#define PAGEMAP_HAS_MEMORY (UINT64_C(3) << 62)

struct copier {
    struct live *live;
    uint64_t cursor, n_parts;
    uint64_t *first; /* part that a copy begins with */
    uint64_t bytes;  /* copied */
};

const struct live_copy *mt_live_copy(const struct live *live, uint64_t address)
{
    size_t low = 0, high = live->n_copies;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct live_copy *copy = &live->copies[middle];
        if (copy->start + copy->bytes <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == live->n_copies || live->copies[low].start > address)
        return NULL;
    return &live->copies[low];
}

void mt_live_thaw(struct live *live)
{
    for (size_t i = 0; i < live->n_copies; i++)
        munmap(live->copies[i].data, live->copies[i].bytes);
    free(live->copies);
    live->copies = NULL;
    live->n_copies = 0;
}

/* Memory of devices may not be read. */
static bool is_wanted(const struct mt_mapping *m)
{
    return (m->flags & MT_MAP_READ) && (m->flags & MT_MAP_WRITE) &&
           !(m->path && strncmp(m->path, "/dev/", 5) == 0 &&
             strncmp(m->path, "/dev/shm/", 9) != 0 &&
             strncmp(m->path, "/dev/zero", 9) != 0);
}

/* Pages of a file are read even if the process has not yet: they hold what
 * the file does.  A page that is neither reads as zeros. */
static bool is_file(const struct mt_mapping *m)
{
    return m->path && m->path[0] == '/';
}

static size_t read_pagemap(const struct live *live, uint64_t address,
                           uint64_t entries[PAGES_OF_PART], size_t n)
{
    ssize_t got = pread(live->pagemap, entries, n * sizeof *entries,
                        (off_t)(address / PAGE * sizeof *entries));

    return got > 0 ? (size_t)got / sizeof *entries : 0;
}

static void copy_run(struct copier *copier, const struct live_copy *copy,
                     uint64_t from, uint64_t to)
{
    struct live *live = copier->live;
    uint64_t copied = 0;

    while (from < to) {
        struct iovec here = {copy->data + (from - copy->start), to - from};
        struct iovec there = {(void *)(uintptr_t)from, to - from};
        ssize_t got = process_vm_readv(live->pid, &here, 1, &there, 1, 0);
        if (got <= 0)
            got = pread(live->mem, here.iov_base, here.iov_len, (off_t)from);
        if (got > 0)
            copied += (uint64_t)got;
        /* A page that cannot be read stays zero. */
        from += got > 0 ? (uint64_t)got : PAGE;
    }
    __atomic_add_fetch(&copier->bytes, copied, __ATOMIC_RELAXED);
}

static void copy_part(struct copier *copier, const struct live_copy *copy,
                      uint64_t start, uint64_t end)
{
    const struct mt_mapping *m =
        mt_source_mapping(&copier->live->source, copy->start);
    uint64_t entries[PAGES_OF_PART];
    size_t n = is_file(m) ? 0
                          : read_pagemap(copier->live, start, entries,
                                         (end - start) / PAGE);
    uint64_t from = start;

    /* What the kernel does not tell of is copied. */
    for (size_t i = 0; i < n; i++) {
        uint64_t page = start + i * PAGE;
        if (entries[i] & PAGEMAP_HAS_MEMORY)
            continue;
        copy_run(copier, copy, from, page);
        from = page + PAGE;
    }
    copy_run(copier, copy, from, end);
}

static void *run_copier(void *argument)
{
    struct copier *copier = argument;
    const struct live *live = copier->live;
    uint64_t part;

    while ((part = __atomic_fetch_add(&copier->cursor, 1, __ATOMIC_RELAXED)) <
           copier->n_parts) {
        size_t low = 0, high = live->n_copies;
        while (high - low > 1) {
            size_t middle = (low + high) / 2;
            if (copier->first[middle] <= part)
                low = middle;
            else
                high = middle;
        }
        const struct live_copy *copy = &live->copies[low];
        uint64_t skip = (part - copier->first[low]) * PART_BYTES;
        uint64_t end =
            copy->bytes - skip > PART_BYTES ? skip + PART_BYTES : copy->bytes;
        copy_part(copier, copy, copy->start + skip, copy->start + end);
    }
    return NULL;
}

static void copy_all(struct copier *copier)
{
    pthread_t threads[MAX_THREADS];
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned started = 0;

    while (started < MAX_THREADS && started + 1 < online &&
           pthread_create(&threads[started], NULL, run_copier, copier) == 0)
        started++;
    run_copier(copier);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

/* Places for the copies; the kernel gives them memory page by page. */
static bool make_places(struct copier *copier)
{
    struct live *live = copier->live;
    struct mt_source *source = &live->source;

    live->copies = calloc(source->n_mappings + 1, sizeof *live->copies);
    copier->first = calloc(source->n_mappings + 1, sizeof *copier->first);
    if (live->copies == NULL || copier->first == NULL)
        return false;
    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        uint64_t bytes = m->end - m->start;
        void *data;
        if (!is_wanted(m))
            continue;
        data = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (data == MAP_FAILED)
            return false;
        copier->first[live->n_copies] = copier->n_parts;
        copier->n_parts += (bytes + PART_BYTES - 1) / PART_BYTES;
        live->copies[live->n_copies++] =
            (struct live_copy){m->start, bytes, data};
    }
    return true;
}

/* Bytes of pages that a copy would take; all there are if unknown. */
static uint64_t count_bytes(const struct live *live)
{
    const struct mt_source *source = &live->source;
    uint64_t pages = 0;

    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        uint64_t entries[PAGES_OF_PART], n = 0;
        if (!is_wanted(m))
            continue;
        if (is_file(m)) {
            pages += (m->end - m->start) / PAGE;
            continue;
        }
        for (uint64_t at = m->start; at < m->end; at += n * PAGE) {
            n = (m->end - at) / PAGE;
            n = n < PAGES_OF_PART ? n : PAGES_OF_PART;
            n = read_pagemap(live, at, entries, n);
            if (n == 0) {
                pages += (m->end - at) / PAGE;
                break;
            }
            for (uint64_t j = 0; j < n; j++)
                pages += (entries[j] & PAGEMAP_HAS_MEMORY) != 0;
        }
    }
    return pages * PAGE;
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

bool mt_live_freeze(struct mt_source *source, bool stop, struct mt_error *error)
{
    struct live *live = (struct live *)source;
    struct copier copier = {.live = live};
    uint64_t start;
    bool room = count_bytes(live) < available_bytes() / 4 * 3;
    bool ok = true;

    start = now_ns();
    if (stop && !mt_live_stop(source, error))
        return false;
    source->frozen.stopped = stop;
    if (!room)
        return read_maps_again(live, error);
    ok = read_maps_again(live, error);
    if (ok && make_places(&copier))
        copy_all(&copier);
    else if (ok)
        ok = mt_fail(error, "out of memory for a copy of the process");
    if (stop)
        mt_live_go(source);
    source->frozen.copied = ok;
    source->frozen.bytes = copier.bytes;
    source->frozen.ns = now_ns() - start;
    free(copier.first);
    return ok;
}
