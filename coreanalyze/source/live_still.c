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

#define PAGE UINT64_C(4096)
#define STILL_PAGES 128u /* a page has one place, by its address */
#define STILL_BYTES PAGE /* longer reads are worth a call */

struct mt_still {
    uint64_t address[STILL_PAGES]; /* of the page, or 0 */
    uint8_t data[STILL_PAGES][PAGE];
};

static const uint8_t *still_page(struct live *live, uint64_t page)
{
    struct mt_still *still = live->still;
    size_t place = page / PAGE % STILL_PAGES;

    if (!still) {
        still = live->still = malloc(sizeof *still);
        if (still)
            memset(still->address, 0, sizeof still->address);
    }
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
