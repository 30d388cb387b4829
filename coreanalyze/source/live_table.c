/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_table.c - the page table of a process, which is read once if the process
 * will not run again.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/source/page_walk.h"

#define PAGE UINT64_C(4096)
#define MOST_RUNS ((size_t)1 << 18) /* of pages that are kept: 6 MiB */
#define HIGHEST (UINT64_C(1) << 63) /* above lies the kernel */

static bool table_add_run(void *context, const struct mt_page_run *run)
{
    struct live *live = context;

    if (live->n_runs == MOST_RUNS ||
        !mt_grow(&live->runs, &live->runs_capacity, live->n_runs + 1,
                 sizeof *live->runs)) {
        live->table = 2;
        return false;
    }
    live->runs[live->n_runs++] = *run;
    return true;
}

/* Without PAGEMAP_SCAN, holes of the address space would take too long. */
static void table_read(struct live *live)
{
    const struct mt_source *source = &live->source;
    size_t n = source->n_mappings;

    while (n > 0 && source->mappings[n - 1].end >= HIGHEST)
        n--;
    if (live->table != 0 || n == 0)
        return;
    if (!mt_page_walk(live->pagemap, &live->scan, source->mappings[0].start,
                      source->mappings[n - 1].end, table_add_run, live) ||
        !live->scan)
        live->table = 2;
    __atomic_store_n(&live->table, live->table == 2 ? 2 : 1, __ATOMIC_RELEASE);
}

bool mt_live_table_kept(const struct live *live)
{
    return __atomic_load_n(&live->table, __ATOMIC_ACQUIRE) == 1;
}

bool mt_live_walk(struct live *live, uint64_t start, uint64_t end,
                  mt_visit_pages *visit, void *context)
{
    if (live->source.still && live->scan &&
        __atomic_load_n(&live->table, __ATOMIC_ACQUIRE) == 0) {
        pthread_mutex_lock(&live->lock);
        table_read(live);
        pthread_mutex_unlock(&live->lock);
    }
    if (!mt_live_table_kept(live))
        return mt_page_walk(live->pagemap, &live->scan, start, end, visit,
                            context);
    start &= ~(PAGE - 1);
    end = (end + PAGE - 1) & ~(PAGE - 1);
    for (size_t i = mt_count_up_to(live->runs, live->n_runs, end, start);
         i < live->n_runs && live->runs[i].start < end; i++) {
        struct mt_page_run run = live->runs[i];
        run.start = run.start > start ? run.start : start;
        run.end = run.end < end ? run.end : end;
        if (!visit(context, &run))
            break;
    }
    return true;
}
