/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_copy.c - pages that the process never touched are not asked for: they
 * would get memory by that.  Where most of a part has memory, its place takes
 * huge pages: page faults would take longer than the copying.
 */
#include "coreanalyze/live_copy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_THREADS 16u
#define HUGE_PAGE (UINT64_C(2) << 20)
#define MIN_GROWTH (UINT64_C(16) << 20)

/* Parts of all copies are worked off by a team. */
struct team {
    struct live *live;
    void (*work)(struct team *, const struct live_copy *, uint64_t start,
                 uint64_t end, const uint64_t *entries, size_t n_entries);
    const char *step; /* reported to the source's hook, or NULL */
    uint64_t cursor, n_parts;
    uint64_t *first; /* part that a copy begins with */
    uint64_t bytes;
    bool stopped;
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

/* Memory of devices may not be read. */
bool mt_copy_wants(const struct mt_mapping *m)
{
    return (m->flags & MT_MAP_READ) && (m->flags & MT_MAP_WRITE) &&
           !(m->path && strncmp(m->path, "/dev/", 5) == 0 &&
             strncmp(m->path, "/dev/shm/", 9) != 0 &&
             strncmp(m->path, "/dev/zero", 9) != 0);
}

bool mt_copy_is_file(const struct mt_mapping *m)
{
    return m->path && m->path[0] == '/';
}

size_t mt_copy_pagemap(const struct live *live, uint64_t address,
                       uint64_t entries[MT_PAGES_OF_PART], size_t n)
{
    ssize_t got = pread(live->pagemap, entries, n * sizeof *entries,
                        (off_t)(address / MT_PAGE * sizeof *entries));

    return got > 0 ? (size_t)got / sizeof *entries : 0;
}

/* --- places --- */

/* Address space for a copy that may grow.  The data begins where a huge page
 * can. */
static bool make_place(struct live_copy *copy)
{
    uint64_t more = copy->bytes / 8 > MIN_GROWTH ? copy->bytes / 8 : MIN_GROWTH;

    copy->place_bytes = (copy->bytes + more + 2 * HUGE_PAGE) & -HUGE_PAGE;
    copy->place = mmap(NULL, copy->place_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (copy->place == MAP_FAILED)
        return false;
    copy->data =
        (uint8_t *)(((uintptr_t)copy->place + HUGE_PAGE - 1) & -HUGE_PAGE);
    return true;
}

/* The place of a mapping that began at the same address, if it is wide
 * enough. */
static bool take_place(struct live_copy *old, size_t n, struct live_copy *copy)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t room = old[i].place_bytes - HUGE_PAGE;
        if (old[i].start != copy->start || old[i].place == NULL ||
            copy->bytes > room)
            continue;
        copy->data = old[i].data;
        copy->place = old[i].place;
        copy->place_bytes = old[i].place_bytes;
        old[i].place = NULL;
        return true;
    }
    return false;
}

static void drop_places(struct live_copy *old, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (old[i].place)
            munmap(old[i].place, old[i].place_bytes);
    free(old);
}

bool mt_copy_places(struct live *live)
{
    struct mt_source *source = &live->source;
    struct live_copy *old = live->copies;
    size_t n_old = live->n_copies;
    bool ok;

    live->n_copies = 0;
    live->copies = calloc(source->n_mappings + 1, sizeof *live->copies);
    ok = live->copies != NULL;
    for (size_t i = 0; ok && i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        struct live_copy copy = {.start = m->start, .bytes = m->end - m->start};
        if (!mt_copy_wants(m))
            continue;
        ok = take_place(old, n_old, &copy) || make_place(&copy);
        if (ok)
            live->copies[live->n_copies++] = copy;
    }
    drop_places(old, n_old);
    return ok;
}

/* --- the team --- */

static void work_on(struct team *team, uint64_t part)
{
    const struct live *live = team->live;
    uint64_t entries[MT_PAGES_OF_PART];
    size_t low = 0, high = live->n_copies, n = 0;

    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (team->first[middle] <= part)
            low = middle;
        else
            high = middle;
    }
    const struct live_copy *copy = &live->copies[low];
    const struct mt_mapping *m = mt_source_mapping(&live->source, copy->start);
    uint64_t skip = (part - team->first[low]) * MT_PART_BYTES;
    uint64_t bytes =
        copy->bytes - skip > MT_PART_BYTES ? MT_PART_BYTES : copy->bytes - skip;
    if (m && !mt_copy_is_file(m))
        n = mt_copy_pagemap(live, copy->start + skip, entries, bytes / MT_PAGE);
    team->work(team, copy, copy->start + skip, copy->start + skip + bytes,
               entries, n);
}

static void *run_worker(void *argument)
{
    struct team *team = argument;
    uint64_t part;

    while (!__atomic_load_n(&team->stopped, __ATOMIC_RELAXED) &&
           (part = __atomic_fetch_add(&team->cursor, 1, __ATOMIC_RELAXED)) <
               team->n_parts)
        work_on(team, part);
    return NULL;
}

/* The calling thread works, too, and reports. */
static void run_leader(struct team *team)
{
    const struct mt_progress *progress = team->live->source.progress;
    uint64_t part;

    while (!team->stopped &&
           (part = __atomic_fetch_add(&team->cursor, 1, __ATOMIC_RELAXED)) <
               team->n_parts) {
        work_on(team, part);
        if (progress && team->step && part % 16 == 0 &&
            !progress->report(progress->context, team->step, part,
                              team->n_parts))
            __atomic_store_n(&team->stopped, true, __ATOMIC_RELAXED);
    }
}

/* False when out of memory. */
static bool run_team(struct team *team)
{
    struct live *live = team->live;
    pthread_t threads[MAX_THREADS];
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned started = 0;

    team->first = calloc(live->n_copies + 1, sizeof *team->first);
    if (team->first == NULL)
        return false;
    for (size_t i = 0; i < live->n_copies; i++) {
        team->first[i] = team->n_parts;
        team->n_parts +=
            (live->copies[i].bytes + MT_PART_BYTES - 1) / MT_PART_BYTES;
    }
    while (started < MAX_THREADS && started + 1 < online &&
           pthread_create(&threads[started], NULL, run_worker, team) == 0)
        started++;
    run_leader(team);
    while (started > 0)
        pthread_join(threads[--started], NULL);
    free(team->first);
    return true;
}

/* --- what is done with a part --- */

static void each_run(struct team *team, const struct live_copy *copy,
                     uint64_t start, uint64_t end, const uint64_t *entries,
                     size_t n,
                     void (*visit)(struct team *, const struct live_copy *,
                                   uint64_t from, uint64_t to))
{
    uint64_t from = start;

    for (size_t i = 0; i < n; i++) {
        uint64_t page = start + i * MT_PAGE;
        if (entries[i] & MT_PAGEMAP_HAS_MEMORY)
            continue;
        if (from < page)
            visit(team, copy, from, page);
        from = page + MT_PAGE;
    }
    /* What the kernel does not tell of counts. */
    if (from < end)
        visit(team, copy, from, end);
}

static void populate_run(struct team *team, const struct live_copy *copy,
                         uint64_t from, uint64_t to)
{
    (void)team;
#ifdef MADV_POPULATE_WRITE
    madvise(copy->data + (from - copy->start), to - from, MADV_POPULATE_WRITE);
#else
    for (; from < to; from += MT_PAGE)
        *(volatile uint8_t *)(copy->data + (from - copy->start)) = 0;
#endif
}

static void populate_part(struct team *team, const struct live_copy *copy,
                          uint64_t start, uint64_t end, const uint64_t *entries,
                          size_t n)
{
    size_t present = 0;

    for (size_t i = 0; i < n; i++)
        present += (entries[i] & MT_PAGEMAP_HAS_MEMORY) != 0;
    if (present * 8 > MT_PAGES_OF_PART * 7)
        madvise(copy->data + (start - copy->start), end - start, MADV_HUGEPAGE);
    each_run(team, copy, start, end, entries, n, populate_run);
}

static void copy_run(struct team *team, const struct live_copy *copy,
                     uint64_t from, uint64_t to)
{
    struct live *live = team->live;
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
        from += got > 0 ? (uint64_t)got : MT_PAGE;
    }
    __atomic_add_fetch(&team->bytes, copied, __ATOMIC_RELAXED);
}

static void copy_part(struct team *team, const struct live_copy *copy,
                      uint64_t start, uint64_t end, const uint64_t *entries,
                      size_t n)
{
    each_run(team, copy, start, end, entries, n, copy_run);
}

void mt_copy_populate(struct live *live)
{
    struct team team = {
        .live = live, .work = populate_part, .step = "making room for a copy"};

    run_team(&team);
}

uint64_t mt_copy_pages(struct live *live, bool *whole)
{
    struct team team = {
        .live = live, .work = copy_part, .step = "copying the process"};

    *whole = run_team(&team) && !team.stopped;
    return team.bytes;
}
