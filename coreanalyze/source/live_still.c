/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_still.c - the page table of a process that will not run again, and some
 * of its pages, kept for a while.
 *
 * Headers of modules, tables of symbols and the words of a stack are read a few
 * bytes at a time, and each time would cost two system calls: is the page
 * there, and what is in it.
 */
#include "coreanalyze/source/live.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define PAGE UINT64_C(4096)
#define STILL_PAGES 128u /* a page has one place, by its address */
#define STILL_BYTES PAGE /* longer reads are worth a call */
#define MOST_HEADERS 64u /* that are read at once */

struct mt_still {
    uint64_t address[STILL_PAGES]; /* of the page, or 0 */
    uint8_t data[STILL_PAGES][PAGE];
};

static struct mt_still *still_pages(struct live *live)
{
    if (!live->still) {
        live->still = malloc(sizeof *live->still);
        if (live->still)
            memset(live->still->address, 0, sizeof live->still->address);
    }
    return live->still;
}

static const uint8_t *still_page(struct live *live, uint64_t page)
{
    struct mt_still *still = still_pages(live);
    size_t place = page / PAGE % STILL_PAGES;

    if (!still || page == 0)
        return NULL;
    if (still->address[place] == page)
        return still->data[place];
    still->address[place] = 0;
    if (mt_live_peek(live, page, still->data[place], PAGE) < PAGE)
        return NULL;
    still->address[place] = page;
    return still->data[place];
}

static bool still_is_there(void *context, const struct mt_page_run *run)
{
    *(bool *)context = !run->swapped;
    return false;
}

void mt_live_still_headers(struct live *live)
{
    const struct mt_source *source = &live->source;
    struct mt_still *still = still_pages(live);
    struct iovec to[STILL_PAGES], from[STILL_PAGES];
    uint64_t pages[STILL_PAGES];
    ssize_t got;
    size_t n = 0;

    for (size_t i = 0; still && i < source->n_mappings && n < MOST_HEADERS;
         i++) {
        const struct mt_mapping *m = &source->mappings[i];
        size_t place = m->start / PAGE % STILL_PAGES;
        bool there = false;
        if (!m->inode || m->file_offset != 0 || !(m->flags & MT_MAP_READ) ||
            !(m->flags & MT_MAP_PRIVATE) || still->address[place] != 0)
            continue;
        if (!mt_live_walk(live, m->start, m->start + PAGE, still_is_there,
                          &there) ||
            !there)
            continue;
        pages[n] = still->address[place] = m->start;
        from[n] = (struct iovec){(void *)(uintptr_t)m->start, PAGE};
        to[n++] = (struct iovec){still->data[place], PAGE};
    }
    got = n > 0 && !live->by_file
              ? process_vm_readv(live->tid, to, n, from, n, 0)
              : 0;
    for (size_t i = got > 0 ? (size_t)got / PAGE : 0; i < n; i++)
        still->address[pages[i] / PAGE % STILL_PAGES] = 0;
}

size_t mt_live_peek_still(struct live *live, uint64_t address, void *buffer,
                          size_t bytes)
{
    uint8_t *to = buffer;
    size_t done = 0;

    if (!live->source.still || bytes > STILL_BYTES)
        return mt_live_peek(live, address, buffer, bytes);
    while (done < bytes) {
        uint64_t at = address + done, page = at & ~(PAGE - 1);
        size_t n = (size_t)(page + PAGE - at);
        const uint8_t *data;
        n = n < bytes - done ? n : bytes - done;
        /* Pointers that are followed may be anything; mappings do not
         * change. */
        if (live->source.mappings && !mt_source_mapping(&live->source, at))
            return done;
        pthread_mutex_lock(&live->still_lock);
        data = still_page(live, page);
        if (data)
            memcpy(to + done, data + (at - page), n);
        pthread_mutex_unlock(&live->still_lock);
        if (!data)
            return done + mt_live_peek(live, at, to + done, bytes - done);
        done += n;
    }
    return done;
}
