/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_present.c - chooses the memory of a process that a capture reads: the
 * pages that have memory, and the parts of files and of shared memory that the
 * process itself has not touched.  Memory that is left out, because reading it
 * would bring it in, is counted.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/page_walk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

/* Memory of devices may not be read. */
static bool is_device(const struct mt_mapping *m)
{
    return m->path && strncmp(m->path, "/dev/", 5) == 0 &&
           strncmp(m->path, "/dev/shm/", 9) != 0 &&
           strncmp(m->path, "/dev/zero", 9) != 0;
}

struct present_list {
    struct live *live;
    const struct mt_word_filter *filter;
    const struct mt_mapping *mapping;
    struct mt_backing backing;
    uint64_t at; /* up to there the mapping is done */
    bool lazy;   /* what has no page comes from somebody else */
    size_t capacity;
    bool out_of_memory;
};

static bool may_write(const struct mt_mapping *m)
{
    return (m->flags & MT_MAP_READ) && (m->flags & MT_MAP_WRITE);
}

static bool list_add(struct present_list *list, uint64_t start, uint64_t end,
                     int file, uint64_t offset)
{
    struct mt_source *source = &list->live->source;
    struct mt_present *last =
        source->n_present > 0 ? &source->present[source->n_present - 1] : NULL;

    if (last && last->end == start && last->file == file && file < 0) {
        last->end = end;
        return true;
    }
    if (!mt_grow(&source->present, &list->capacity, source->n_present + 1,
                 sizeof *source->present)) {
        list->out_of_memory = true;
        return false;
    }
    source->present[source->n_present++] =
        (struct mt_present){start, end, offset, file};
    return true;
}

static bool add_file_part(void *context, uint64_t start, uint64_t end)
{
    struct present_list *list = context;
    const struct mt_mapping *m = list->mapping;

    if (list->backing.kind == MT_BACKING_DISK) {
        list->live->source.coverage.untouched_bytes += end - start;
        return true;
    }
    /* Files end inside of pages. */
    end = (end + PAGE - 1) & ~(PAGE - 1);
    return list_add(list, m->start + (start - m->file_offset),
                    m->start + (end - m->file_offset), list->backing.file,
                    start);
}

/* Up to `end` the mapping has no page.  Private memory is empty there, and of
 * a file that was not written to no word is the program's. */
static void list_gap(struct present_list *list, uint64_t end)
{
    struct mt_source_coverage *coverage = &list->live->source.coverage;
    const struct mt_mapping *m = list->mapping;
    uint64_t start = list->at;

    list->at = end;
    if (end <= start ||
        (!may_write(m) && list->backing.kind != MT_BACKING_MEMORY))
        return;
    if (list->lazy && (m->flags & MT_MAP_PRIVATE))
        coverage->untouched_bytes += end - start;
    if (m->flags & MT_MAP_PRIVATE || !m->inode)
        return;
    if (list->backing.kind == MT_BACKING_NONE)
        coverage->untouched_bytes += end - start;
    else
        mt_backing_data(&list->backing, m->file_offset + (start - m->start),
                        m->file_offset + (end - m->start), add_file_part, list);
}

static bool add_pages(void *context, const struct mt_page_run *run)
{
    struct present_list *list = context;
    struct live *live = list->live;
    const struct mt_mapping *m = list->mapping;
    bool shared = !(m->flags & MT_MAP_PRIVATE);

    /* In shared memory these are markers; and of what is not writable, the
     * program's own are the pages that are not a file's on disk. */
    if ((shared && run->swapped) ||
        (!may_write(m) && run->file && list->backing.kind != MT_BACKING_MEMORY))
        return true;
    list_gap(list, run->start);
    list->at = run->end;
    if (run->swapped && !live->source.limits.read_swapped &&
        !list->filter->needed(list->filter->context, run->start, run->end)) {
        live->source.coverage.swapped_bytes += run->end - run->start;
        return true;
    }
    return list_add(list, run->start, run->end, -1, 0);
}

/* The file is closed with the source; true if it will be. */
static bool keep_file(struct live *live, int file)
{
    if (file >= 0 && mt_grow(&live->files, &live->files_capacity,
                             live->n_files + 1, sizeof *live->files)) {
        live->files[live->n_files++] = file;
        return true;
    }
    return false;
}

static bool list_mapping(struct present_list *list, const struct mt_mapping *m)
{
    struct live *live = list->live;
    bool ok;

    /* What cannot be written to now may have been before, but for files. */
    if (is_device(m) || !(may_write(m) || (m->flags & MT_MAP_PRIVATE) ||
                          mt_mapping_is_shared_memory(m)))
        return true;
    list->mapping = m;
    list->at = m->start;
    list->lazy = mt_live_is_lazy(live, m->start);
    list->backing = (struct mt_backing){.file = -1};
    if (!(m->flags & MT_MAP_PRIVATE) && m->inode)
        list->backing = mt_backing_open(live->tid, m);
    if (!may_write(m) && !(m->flags & MT_MAP_PRIVATE) &&
        list->backing.kind != MT_BACKING_MEMORY) {
        mt_backing_close(&list->backing);
        return true;
    }
    ok = mt_live_walk(live, m->start, m->end, add_pages, list);
    list_gap(list, m->end);
    /* Stays open as long as something may be read from it. */
    if (list->backing.kind == MT_BACKING_MEMORY ||
        list->backing.kind == MT_BACKING_HUGE)
        ok &= keep_file(live, list->backing.file);
    else
        mt_backing_close(&list->backing);
    return ok;
}

static bool add_filled(void *context, const struct mt_page_run *run)
{
    uint64_t *filled = context;

    *filled += run->end - run->start;
    return true;
}

static void count_unfilled(struct live *live)
{
    const struct mt_source *source = &live->source;

    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        uint64_t filled = 0;
        if (may_write(m) && (m->flags & MT_MAP_PRIVATE) && !is_device(m) &&
            mt_live_is_lazy(live, m->start) &&
            mt_live_walk(live, m->start, m->end, add_filled, &filled))
            live->source.coverage.untouched_bytes += m->end - m->start - filled;
    }
}

bool mt_live_unfilled(struct mt_source *source)
{
    struct live *live = (struct live *)source;

    if (live->lazy_known || !source->still)
        return true;
    if (!mt_live_find_lazy(live))
        return false;
    if (live->n_lazy > 0)
        count_unfilled(live);
    return true;
}

bool mt_live_list_present(struct live *live,
                          const struct mt_word_filter *filter,
                          struct mt_error *error)
{
    struct mt_source *source = &live->source;
    struct present_list list = {.live = live, .filter = filter};

    free(source->present);
    source->present = NULL;
    source->n_present = 0;
    source->coverage.untouched_bytes = source->coverage.swapped_bytes = 0;
    for (size_t i = 0; i < source->n_mappings && !list.out_of_memory; i++) {
        mt_hold_beat(&live->holder);
        if (!list_mapping(&list, &source->mappings[i]) && mt_live_gone(live))
            return mt_fail(error, "process %d ended while it was read",
                           (int)live->pid);
    }
    if (mt_live_gone(live))
        return mt_fail(error, "process %d ended while it was read",
                       (int)live->pid);
    source->present_known = !list.out_of_memory;
    return !list.out_of_memory || mt_no_memory(error, "the parts of memory");
}
