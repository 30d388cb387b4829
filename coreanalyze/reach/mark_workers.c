/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mark_workers.c - the loop of a worker that marks: it scans the blocks on
 * its stack, pushes those that they lead to, and shares when others have
 * nothing to do.
 */
#include "coreanalyze/reach/mark_workers.h"

#include <stdlib.h>

#define STACK_ITEMS 65536u
#define SHARE_FROM 32u /* a stack with fewer items is not shared */
#define PREFETCH_BYTES 256u
#define PROGRESS_BYTES (UINT64_C(16) << 20)
#define ASK_TARGETS 4u
#define ASK_AHEAD 4u     /* items */
#define LISTED_BYTES 64u /* that a list counts as, of what is done */

bool mt_workers_next(struct mt_worker *worker, uint64_t n, uint64_t *part)
{
    return mt_parts_take(&worker->all->parts, n, part);
}

/* The range of an item's memory, and its slot. */
static inline __attribute__((always_inline)) uint64_t
item_range(const struct mt_worker *worker, uint64_t item, uint64_t *start,
           uint64_t *end, bool *more)
{
    const struct mt_map *map = worker->map;
    uint32_t id = (uint32_t)(item >> 32), index = (uint32_t)item;
    const struct mt_span_view *span = &map->spans[id];
    uint64_t slot, bytes;

    *more = false;
    if (span->n_blocks > 1) {
        slot = span->first + index;
        *start = span->base + index * span->block_bytes;
        *end = *start + mt_map_bytes(map, id, slot);
        return slot;
    }
    slot = span->first;
    bytes = mt_map_bytes(map, id, slot);
    *start = span->base + index * MT_PIECE_BYTES;
    *end = span->base + bytes;
    if (*end > *start && *end - *start > MT_PIECE_BYTES) {
        *end = *start + MT_PIECE_BYTES;
        *more = true;
    }
    return slot;
}

/* A block that may have a stack in it. */
static __attribute__((noinline)) void scan_around(struct mt_worker *worker,
                                                  uint64_t at, uint64_t end,
                                                  mt_hit_fn *visit)
{
    uint64_t part_end;

    for (; mt_idle_stacks_next(worker->all->mark->idle, &at, end, &part_end);
         at = part_end)
        mt_scan_block(&worker->scan, at, part_end, visit, worker);
}

static inline __attribute__((always_inline)) void
scan_item(struct mt_worker *worker, uint64_t item, mt_hit_fn *visit)
{
    uint64_t start, end, slot;
    bool more;

    slot = item_range(worker, item, &start, &end, &more);
    if (more && worker->n < worker->capacity)
        worker->stack[worker->n++] = item + 1;
    else if (more)
        end = worker->map->spans[item >> 32].base +
              mt_map_bytes(worker->map, (uint32_t)(item >> 32), slot);
    worker->definite =
        __atomic_load_n(&worker->map->flags[slot], __ATOMIC_RELAXED) &
        MT_BLOCK_DEFINITE;
    if (__builtin_expect(worker->all->mark->idle != NULL, 0) &&
        end - start > MT_FONT_PATTERN)
        scan_around(worker, start, end, visit);
    else
        mt_scan_block(&worker->scan, start, end, visit, worker);
}

/* The first bytes of a block in our own memory, to be prefetched. */
static const uint8_t *first_bytes(struct mt_worker *worker, uint64_t address)
{
    const struct mt_memory_view *view = &worker->scan.memory;
    const struct mt_word_copy_piece *piece =
        mt_scan_piece(&worker->scan, address);

    if (piece)
        return piece->pages[(address - piece->start) / MT_STORE_PAGE];
    return address - view->start < view->bytes
               ? view->data + (address - view->start)
               : NULL;
}

/* Memory comes late, so that of many blocks is asked for at once.  Prefetches
 * alone do not do: processors drop those whose page they must look up first. */
static const uint8_t *ask_for(struct mt_worker *worker, uint64_t item)
{
    const struct mt_span_view *span = &worker->map->spans[item >> 32];
    uint64_t index = span->n_blocks > 1 ? (uint32_t)item : 0;
    uint64_t address = span->base + index * span->block_bytes;
    const uint8_t *data;

    __builtin_prefetch(&worker->map->slack[span->first + index]);
    data = first_bytes(worker, address);
    for (uint64_t i = 64; data && i < span->block_bytes && i < PREFETCH_BYTES;
         i += 64)
        __builtin_prefetch(data + i);
    return data;
}

/* The same for lists: what says where a list is. */
static const uint8_t *ask_for_list(struct mt_worker *worker, uint64_t slot)
{
    const struct mt_pointer_lists *lists = worker->all->mark->lists;

    __builtin_prefetch(&lists->groups[slot / MT_LIST_GROUP]);
    __builtin_prefetch(&worker->map->flags[slot]);
    return &lists->counts[slot];
}

/* Takes some items off the stack; their first words are loaded, all at the
 * same time, since none waits for another. */
static unsigned take_batch(struct mt_worker *worker)
{
    const uint8_t *data[MT_TEAM_BATCH];
    unsigned n = 0;

    for (; n < MT_TEAM_BATCH && worker->n > 0; n++) {
        uint64_t item = worker->batch[n] = worker->stack[--worker->n];
        data[n] = item & MT_ITEM_LIST
                      ? ask_for_list(worker, item & ~MT_ITEM_LIST)
                      : ask_for(worker, item);
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t item = worker->batch[i];
        if (data[i])
            (void)*(const volatile uint8_t *)data[i];
        if (!(item & MT_ITEM_LIST))
            continue;
        worker->lists[i] =
            mt_pointer_list(worker->all->mark->lists, item & ~MT_ITEM_LIST);
        __builtin_prefetch(worker->lists[i]);
    }
    return n;
}

/* The targets of the first pointers of a list, which are looked at soon. */
static void ask_for_targets(struct mt_worker *worker, unsigned i)
{
    const struct mt_pointer_lists *lists = worker->all->mark->lists;
    uint64_t slot = worker->batch[i] & ~MT_ITEM_LIST;

    if (slot == worker->batch[i]) /* it has no list */
        return;
    for (unsigned k = 0; k < lists->counts[slot] && k < ASK_TARGETS; k++) {
        uint32_t target = worker->lists[i][k] >> 1;
        __builtin_prefetch(&worker->map->flags[target], 1);
        __builtin_prefetch(&lists->counts[target]);
    }
}

/* Visits what the list of batch[i] leads to. */
static inline __attribute__((always_inline)) void
scan_list(struct mt_worker *worker, unsigned i, mt_hit_fn *visit)
{
    const struct mt_pointer_lists *lists = worker->all->mark->lists;
    uint64_t slot = worker->batch[i] & ~MT_ITEM_LIST;
    unsigned n = lists->counts[slot];

    worker->definite =
        __atomic_load_n(&worker->map->flags[slot], __ATOMIC_RELAXED) &
        MT_BLOCK_DEFINITE;
    worker->listed_bytes += LISTED_BYTES;
    for (unsigned k = 0; k < n; k++) {
        struct mt_hit hit = {
            .place = {.slot = worker->lists[i][k] >> 1},
            .start = worker->lists[i][k] & MT_LIST_START,
        };
        if (visit != mt_worker_reach)
            mt_slot_place(&lists->index, &hit.place);
        visit(worker, &hit);
    }
}

/* Gives the lower half of the stack, the larger trees, to those that wait. */
static void workers_share(struct mt_worker *worker)
{
    struct mt_workers *all = worker->all;
    size_t n;

    pthread_mutex_lock(&all->lock);
    n = all->pool_capacity - all->n_pool;
    n = n < worker->n / 2 ? n : worker->n / 2;
    for (size_t i = 0; i < n; i++)
        all->pool[all->n_pool++] = worker->stack[i];
    for (size_t i = n; i < worker->n; i++)
        worker->stack[i - n] = worker->stack[i];
    worker->n -= n;
    if (n > 0)
        pthread_cond_broadcast(&all->more);
    pthread_mutex_unlock(&all->lock);
}

static void workers_report(struct mt_worker *worker)
{
    const struct mt_mark_options *options = worker->all->mark->options;
    uint64_t total = worker->all->progress_total;
    uint64_t bytes = worker->scan.scanned_bytes + worker->listed_bytes;
    uint64_t done = bytes * worker->all->n_threads;

    worker->reported = bytes;
    if (options->progress &&
        !options->progress(options->progress_context,
                           done < total ? done : total, total))
        mt_parts_stop(&worker->all->parts);
}

void mt_worker_progress(struct mt_worker *worker)
{
    if (worker->leader &&
        worker->scan.scanned_bytes + worker->listed_bytes - worker->reported >
            PROGRESS_BYTES)
        workers_report(worker);
}

static inline __attribute__((always_inline)) void
drain(struct mt_worker *worker, mt_hit_fn *visit)
{
    struct mt_workers *all = worker->all;
    const bool lists = all->mark->lists != NULL;

    while (worker->n > 0) {
        unsigned n = take_batch(worker);
        for (unsigned i = 0; lists && i < n && i < ASK_AHEAD; i++)
            ask_for_targets(worker, i);
        for (unsigned i = 0; i < n; i++) {
            if (lists && i + ASK_AHEAD < n)
                ask_for_targets(worker, i + ASK_AHEAD);
            if (worker->batch[i] & MT_ITEM_LIST)
                scan_list(worker, i, visit);
            else
                scan_item(worker, worker->batch[i], visit);
        }
        if (worker->n >= SHARE_FROM &&
            __atomic_load_n(&all->n_idle, __ATOMIC_RELAXED) > 0)
            workers_share(worker);
        mt_worker_progress(worker);
        if (mt_parts_stopped(&all->parts))
            worker->n = 0;
    }
}

void mt_worker_drain(struct mt_worker *worker)
{
    drain(worker, mt_worker_reach);
}

void mt_worker_drain_by(struct mt_worker *worker, mt_hit_fn *visit)
{
    drain(worker, visit);
}

/* Waits for items of others; false when all threads wait. */
static bool workers_take(struct mt_worker *worker)
{
    struct mt_workers *all = worker->all;
    bool got;

    pthread_mutex_lock(&all->lock);
    __atomic_add_fetch(&all->n_idle, 1, __ATOMIC_RELAXED);
    if (all->n_idle == all->n_threads && all->n_pool == 0) {
        all->done = true;
        pthread_cond_broadcast(&all->more);
    }
    while (all->n_pool == 0 && !all->done)
        pthread_cond_wait(&all->more, &all->lock);
    got = all->n_pool > 0;
    if (got) {
        size_t n = (all->n_pool + all->n_threads - 1) / all->n_threads;
        n = n < worker->capacity ? n : worker->capacity;
        while (n-- > 0)
            worker->stack[worker->n++] = all->pool[--all->n_pool];
        __atomic_sub_fetch(&all->n_idle, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&all->lock);
    return got;
}

/* A thread that starts when all others have found nothing more finds nothing
 * either. */
static void run_worker(void *context, unsigned index)
{
    struct mt_workers *all = context;
    struct mt_worker *worker = &all->workers[index];

    pthread_mutex_lock(&all->lock);
    __atomic_add_fetch(&all->n_threads, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&all->lock);
    all->work(worker, all->context);
    do
        mt_worker_drain(worker);
    while (workers_take(worker));
}

static unsigned count_threads(const struct mt_mark *mark, uint64_t bytes)
{
    unsigned n = mark->options->threads;

    if (!mt_memory_view_is_shared(mark->source))
        return 1;
    return n == 0               ? mt_processors_for(bytes, MT_MAX_WORKERS)
           : n < MT_MAX_WORKERS ? n
                                : MT_MAX_WORKERS;
}

static struct mt_worker *make_workers(struct mt_workers *all, unsigned n)
{
    struct mt_worker *workers = calloc(n, sizeof *workers);
    struct mt_mark *mark = all->mark;
    size_t items = mark->options->stack_items;

    /* Each block is on one stack, once: large ones one piece at a time. */
    if (items == 0)
        items = mark->map->n_slots < STACK_ITEMS ? mark->map->n_slots + 1
                                                 : STACK_ITEMS;
    all->pool = calloc(items, sizeof *all->pool);
    all->pool_capacity = items;
    for (unsigned i = 0; workers && i < n; i++) {
        struct mt_worker *w = &workers[i];
        w->all = all;
        w->map = mark->map;
        w->leader = i == 0;
        w->capacity = items;
        w->stack = calloc(items, sizeof *w->stack);
        mt_scan_init(&w->scan, mark->map, mark->source, &mark->options->scan);
        if (w->stack == NULL || all->pool == NULL) {
            for (unsigned j = 0; j <= i; j++)
                free(workers[j].stack);
            free(workers);
            workers = NULL;
        }
    }
    return workers;
}

bool mt_workers_run(struct mt_mark *mark, struct mt_workers *all, bool alone,
                    void (*work)(struct mt_worker *, void *context),
                    void *context, struct mt_error *error)
{
    struct mt_worker *workers;
    uint64_t bytes = 0;

    *all = (struct mt_workers){.mark = mark, .work = work, .context = context};
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->more, NULL);
    for (size_t i = 0; i < mark->map->n_spans; i++)
        all->progress_total +=
            mark->map->spans[i].n_blocks * mark->map->spans[i].block_bytes;
    for (size_t i = 0; i < mark->source->n_present; i++)
        bytes += mark->source->present[i].end - mark->source->present[i].start;
    unsigned n = alone ? 1 : count_threads(mark, bytes + all->progress_total);
    workers = all->workers = make_workers(all, n);
    if (workers)
        mt_run_workers(n, run_worker, all);
    for (unsigned i = 0; workers && i < n; i++) {
        mark->scanned_bytes += workers[i].scan.scanned_bytes;
        mark->missing_bytes += workers[i].scan.missing_bytes;
        mt_scan_done(&workers[i].scan);
        free(workers[i].stack);
    }
    mark->stopped |= all->parts.stopped;
    free(all->pool);
    pthread_cond_destroy(&all->more);
    pthread_mutex_destroy(&all->lock);
    if (workers == NULL)
        return mt_no_memory(error, "the threads");
    free(workers);
    return true;
}
