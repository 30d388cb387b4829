/* SPDX-License-Identifier: BSD-2-Clause
 *
 * idle_stacks.c - finds the records of stacks that are not the C library's.
 * Each record has a word that leads to the record itself or to shortly after
 * that word, so one comparison a word finds the places to look at.
 */
#include "coreanalyze/reach/idle_stacks.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/workers.h"
#include "coreanalyze/reach/thread_stacks.h"

#include <pthread.h>
#include <stdlib.h>

#define FIRST_ADDRESS 4096u
#define NEAR 1024u /* bytes that such a word leads forward, less than that */
#define STACK_MOST (UINT64_C(1) << 30)
#define SPANS_OF_PART 64u

/* A context, as glibc and the kernel write it. */
#define UC_STACK 16u
#define UC_SIZE MT_CONTEXT_SIZE
#define UC_SP 160u
#define UC_PC 168u
#define UC_FPREGS MT_CONTEXT_STATE /* where the floating-point state is */
#define UC_STATE 424u              /* glibc has it in the record */
#define UC_BYTES 936u
#define STATE_BYTES 576u /* at least */

/* glibc's record of a thread. */
#define TCB_ROBUST_FROM 0x280u /* the list of robust mutexes lies from here */
#define TCB_ROBUST_TO 0x380u
#define TCB_STACK_FROM 0x380u
#define TCB_USED 0x900u
#define TCB_START 20u /* words from the thread's function to its stack */

struct own_sp {
    uint64_t sp; /* first, as they are sorted by it */
    size_t own;
};

struct idle_finder {
    struct mt_source *source;
    struct mt_map *map;
    const struct mt_mark_range *ranges;
    size_t n_ranges;
    struct mt_parts parts;
    pthread_mutex_t lock;
    struct mt_idle_stacks *idle;
    struct mt_own_stack *own; /* by address */
    size_t n_own;
    bool all_threads; /* the record of each is known */
    bool out_of_memory;
    uint64_t *sps, *tcbs; /* of threads, sorted: stack pointers, records */
    size_t n_sps;
    struct own_sp *by_sp; /* of `own`, sorted */
};

struct idle_worker {
    struct idle_finder *all;
    struct mt_scan scan;
};

/* --- what is found --- */

static void idle_add(struct idle_finder *f, const struct mt_idle_stack *stack)
{
    struct mt_idle_stacks *idle = f->idle;

    pthread_mutex_lock(&f->lock);
    if (!mt_grow(&idle->items, &idle->capacity, idle->n + 1,
                 sizeof *idle->items))
        f->out_of_memory = true;
    else
        idle->items[idle->n++] = *stack;
    pthread_mutex_unlock(&f->lock);
}

/* The end of the writable mappings without a gap that an address lies in.  The
 * variables of a module lie in two. */
static uint64_t idle_limit(const struct mt_source *source, uint64_t address)
{
    const struct mt_mapping *m = mt_source_mapping(source, address);
    const struct mt_mapping *end = source->mappings + source->n_mappings;
    uint64_t limit = 0;

    for (; m && m < end && (m->flags & MT_MAP_WRITE) &&
           (limit == 0 || m->start == limit);
         m++)
        limit = m->end;
    return limit;
}

/* Is [start, end) writable memory of a mapping or block, that no thread is in?
 * `end` may be more than there is, from `sure` on. */
static bool idle_area(const struct idle_finder *f, uint64_t start,
                      uint64_t sure, uint64_t end, struct mt_idle_stack *stack)
{
    struct mt_block_ref place;
    uint64_t limit;
    size_t used;

    if (start < FIRST_ADDRESS || sure <= start || sure - start > STACK_MOST)
        return false;
    limit = idle_limit(f->source, start);
    *stack = (struct mt_idle_stack){.start = (start + 7) & ~UINT64_C(7)};
    if (start - f->map->low < f->map->bytes) {
        if (!mt_map_find(f->map, start, &place) ||
            !(f->map->flags[place.slot] & MT_BLOCK_LIVE))
            return false;
        limit =
            start - place.offset + mt_map_bytes(f->map, place.span, place.slot);
        stack->in_block = true;
        stack->slot = place.slot;
    }
    if (sure > limit)
        return false;
    stack->end = (end < limit ? end : limit) & ~UINT64_C(7);
    used = mt_search(f->sps, f->n_sps, sizeof *f->sps, start);
    if (used < f->n_sps && f->sps[used] < stack->end)
        return false;
    return stack->start < stack->end;
}

static bool idle_is_code(const struct idle_finder *f, uint64_t word)
{
    const struct mt_mapping *m = mt_source_mapping(f->source, word);

    return m && (m->flags & (MT_MAP_EXEC | MT_MAP_ASSUMED));
}

/* --- contexts --- */

struct context {
    uint64_t at, start, size, sp, pc;
    bool saved; /* by a call; otherwise it is a signal's */
    bool code;  /* the program counter is that of code */
};

static bool context_read(struct idle_worker *w, uint64_t record, uint64_t state,
                         struct context *c)
{
    struct mt_memory_view *probe = &w->scan.probe;

    if (!mt_memory_view_word(probe, record + UC_STACK, &c->start) ||
        !mt_memory_view_word(probe, record + UC_SP, &c->sp) ||
        !mt_memory_view_word(probe, record + UC_PC, &c->pc))
        return false;
    if (!mt_memory_view_word(probe, record + UC_SIZE, &c->size) ||
        c->size > STACK_MOST)
        c->size = 0; /* a captured target may not have it */
    c->at = record;
    c->saved = state == record + UC_STATE;
    c->code = idle_is_code(w->all, c->pc);
    return c->code || !c->saved;
}

/* Is it the frame of a handler that a thread is in, on its alternate stack? */
static bool context_handled(struct idle_worker *w, const struct context *c,
                            uint64_t sp)
{
    uint64_t back;

    return !c->saved && sp >= c->start && sp < c->at &&
           c->at - c->start < c->size &&
           mt_memory_view_word(&w->scan.probe, c->at - 8, &back) &&
           idle_is_code(w->all, back);
}

static bool context_word_is(struct idle_worker *w, uint64_t at, uint64_t wanted)
{
    uint64_t word;

    return mt_memory_view_word(&w->scan.probe, at, &word) && word == wanted;
}

/* Was its frame left by the call that has saved it?  Each later call from the
 * frame would have overwritten the return address.  Before a call the stack
 * pointer is a multiple of 16; that of makecontext() is not, and setcontext()
 * writes the program counter below it, where the function leaves it. */
static bool context_exact(struct idle_worker *w, const struct context *c)
{
    return c->saved && c->sp % 16 == 0 && context_word_is(w, c->sp - 8, c->pc);
}

/* The stack that makecontext() was given has the return address of its first
 * function at the end. */
static bool context_bounds_sure(struct idle_worker *w, const struct context *c)
{
    uint64_t word;

    return mt_memory_view_word(&w->scan.probe,
                               ((c->start + c->size - 8) & ~UINT64_C(15)) - 8,
                               &word) &&
           idle_is_code(w->all, word);
}

/* Was a thread's own stack left with it? */
static void context_left(struct idle_worker *w, const struct context *c)
{
    struct idle_finder *f = w->all;
    size_t i = mt_count_up_to(f->own, f->n_own, end, c->sp);
    struct mt_own_stack *own = &f->own[i];
    uint64_t used = c->sp;

    if (i == f->n_own || c->sp <= own->start ||
        (!own->left && c->sp >= own->sp))
        return;
    if (context_handled(w, c, own->sp))
        used -= used - own->start < MT_RED_ZONE ? 0 : MT_RED_ZONE;
    else if (!context_exact(w, c))
        return;
    pthread_mutex_lock(&f->lock);
    if (!own->used || used < own->used) {
        own->used = used;
        /* A dead frame may have a context in it, and where it leads to. */
        own->sure = !c->saved || c->at < own->start || c->at >= own->end;
    }
    pthread_mutex_unlock(&f->lock);
}

/* Does the thread of a stack of its own run on that of the context? */
static void context_running(struct idle_worker *w, const struct context *c)
{
    struct idle_finder *f = w->all;

    if (c->size == 0 ||
        (c->saved && (c->sp < c->start || c->sp - c->start > c->size)))
        return;
    for (size_t i = mt_count_below(f->by_sp, f->n_own, sp, c->start);
         i < f->n_own && f->by_sp[i].sp - c->start < c->size; i++) {
        struct mt_own_stack *own = &f->own[f->by_sp[i].own];
        struct mt_idle_stack stack;
        if (!c->saved && !context_handled(w, c, own->sp))
            continue;
        pthread_mutex_lock(&f->lock);
        if (own->left)
            own->found = true;
        else if (c->start > own->start && c->start + c->size < own->end &&
                 c->start > own->inside)
            own->inside = c->start;
        pthread_mutex_unlock(&f->lock);
        if (own->left && own->sp - c->start > MT_RED_ZONE &&
            idle_area(f, c->start, own->sp - MT_RED_ZONE, own->sp - MT_RED_ZONE,
                      &stack)) {
            stack.nothing = !c->saved || context_bounds_sure(w, c);
            idle_add(f, &stack);
        }
    }
}

static void idle_context(struct idle_worker *w, uint64_t record, uint64_t state)
{
    struct idle_finder *f = w->all;
    struct mt_idle_stack stack;
    struct context context;
    uint64_t start, sp;

    if (!context_read(w, record, state, &context))
        return;
    if (f->n_own > 0) {
        context_left(w, &context);
        context_running(w, &context);
    }
    if (!context.code)
        return;
    start = context.start;
    sp = context.sp;
    /* A context that a call has saved has no red zone. */
    if (state == record + UC_STATE && sp > start) {
        if (idle_area(f, start, sp, sp, &stack)) {
            stack.nothing = context_exact(w, &context) &&
                            context.at - start >= context.size;
            idle_add(f, &stack);
        }
    } else if (record >= start && sp - start >= state - start &&
               idle_area(f, start, state, state + STATE_BYTES, &stack)) {
        idle_add(f, &stack);
    }
}

/* A list of robust mutexes that is empty leads to itself, twice. */
static bool idle_is_record(uint64_t tcb, const uint64_t *words)
{
    if (words[0] != tcb || words[2] != tcb || words[1] < FIRST_ADDRESS)
        return false;
    for (size_t i = TCB_ROBUST_FROM / 8; i < TCB_ROBUST_TO / 8; i++)
        if (words[i] == tcb + (i + 1) * 8 && words[i + 1] == words[i])
            return true;
    return false;
}

static void idle_thread(struct idle_worker *w, uint64_t tcb)
{
    struct mt_idle_stack stack, found = {0};
    struct idle_finder *f = w->all;
    uint64_t words[TCB_USED / 8];
    size_t own;

    /* Many words lead to themselves; a record's third one does, too. */
    if (!f->all_threads || tcb % 16 != 0 ||
        !mt_memory_view_word(&w->scan.probe, tcb + 16, &words[2]) ||
        words[2] != tcb)
        return;
    for (size_t i = 0; i < TCB_USED / 8; i++)
        if (!mt_memory_view_word(&w->scan.probe, tcb + i * 8, &words[i]) ||
            words[0] != tcb)
            return;
    if (!idle_is_record(tcb, words))
        return;
    own = mt_search(f->tcbs, f->source->n_threads, sizeof *f->tcbs, tcb);
    if (own < f->source->n_threads && f->tcbs[own] == tcb)
        return;
    for (size_t i = TCB_STACK_FROM / 8; i < TCB_USED / 8; i++)
        for (size_t k = i - TCB_START; k < i && words[i] < tcb; k++)
            if (idle_is_code(f, words[k]) &&
                idle_area(f, words[i], tcb, tcb + TCB_USED, &stack))
                found = stack;
    if (found.end)
        idle_add(f, &found);
}

static inline void idle_look(struct idle_worker *w, uint64_t at, uint64_t word)
{
    if (__builtin_expect(word - at >= NEAR || at < UC_BYTES, 1))
        return;
    if (word == at)
        idle_thread(w, at);
    else
        idle_context(w, at - UC_FPREGS, word);
}

/* --- the search --- */

static void idle_kept(struct idle_worker *w,
                      const struct mt_word_copy_piece *piece, uint64_t start,
                      uint64_t end)
{
    uint64_t page = (start - piece->start) / MT_STORE_PAGE;
    uint64_t base = piece->start + page * MT_STORE_PAGE;
    struct mt_word_copy_walk walk;

    if (!piece->pages[page])
        return;
    mt_word_copy_begin(&walk, piece->pages[page], (unsigned)(start - base) / 8);
    for (; walk.place < (end - base) / 8; mt_word_copy_next(&walk))
        idle_look(w, base + walk.place * 8, mt_word_copy_value(&walk));
}

/* What cannot be read has no records; the search itself counts it. */
static void idle_search(struct idle_worker *w, uint64_t at, uint64_t end)
{
    struct mt_scan *scan = &w->scan;

    at = (at + 7) & ~UINT64_C(7);
    while (at < end && end - at >= 8) {
        const struct mt_word_copy_piece *piece = mt_scan_piece(scan, at);
        uint64_t bytes = end - at, next;
        const uint8_t *data;
        if (piece) {
            next = mt_scan_page_end(piece, at, end) & ~UINT64_C(7);
            if (next == at)
                next = mt_scan_skip(scan, at, end);
            else
                idle_kept(w, piece, at, next);
            at = next;
            continue;
        }
        next = mt_source_skip_empty(scan->memory.source, at, end);
        if (next > at) {
            at = (next + 7) & ~UINT64_C(7);
            continue;
        }
        data = mt_memory_view(&scan->memory, at, &bytes);
        if (!data || bytes < 8) {
            at = mt_scan_skip(scan, at, end);
            continue;
        }
        bytes &= ~UINT64_C(7);
        for (uint64_t i = 0; i < bytes; i += 8) {
            uint64_t word;
            memcpy(&word, data + i, sizeof word);
            idle_look(w, at + i, word);
        }
        at += bytes;
    }
}

static void idle_search_spans(struct idle_worker *w, uint64_t part)
{
    const struct mt_map *map = w->all->map;
    uint64_t end = (part + 1) * SPANS_OF_PART;

    if (end > map->n_spans)
        end = map->n_spans;
    for (uint64_t id = part * SPANS_OF_PART; id < end; id++) {
        const struct mt_span_view *span = &map->spans[id];
        if (span->node || span->block_bytes < UC_BYTES)
            continue;
        for (uint32_t i = 0; i < span->n_blocks; i++) {
            uint64_t start = mt_map_address(map, (uint32_t)id, i);
            uint64_t slot = span->first + i;
            if (map->flags[slot] & MT_BLOCK_LIVE)
                idle_search(w, start,
                            start + mt_map_bytes(map, (uint32_t)id, slot));
        }
    }
}

/* Parts are first those of ranges, and then spans. */
static void idle_work(void *context, unsigned index)
{
    struct idle_worker w = {.all = context};
    const struct mt_scan_options none = {0};
    struct idle_finder *f = w.all;
    uint64_t n_spans = f->map->n_spans / SPANS_OF_PART + 1, part;

    (void)index;
    mt_scan_init(&w.scan, f->map, f->source, &none);
    while (mt_parts_take(&f->parts, f->n_ranges + n_spans, &part))
        if (part < f->n_ranges)
            idle_search(&w, f->ranges[part].start, f->ranges[part].end);
        else
            idle_search_spans(&w, part - f->n_ranges);
    mt_scan_done(&w.scan);
}

/* Of several records of a stack the lowest stack pointer counts, but what is
 * certain comes first. */
static int idle_by_start(const void *a, const void *b)
{
    const struct mt_idle_stack *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->nothing != y->nothing)
        return x->nothing ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static void idle_sort(struct mt_idle_stacks *idle)
{
    size_t kept = 0;

    if (idle->n == 0)
        return;
    qsort(idle->items, idle->n, sizeof *idle->items, idle_by_start);
    for (size_t i = 1; i < idle->n; i++)
        if (idle->items[i].start >= idle->items[kept].end)
            idle->items[++kept] = idle->items[i];
    idle->n = kept + 1;
}

/* What the threads have left of their own stacks. */
static void idle_add_left(struct idle_finder *f)
{
    for (size_t i = 0; i < f->n_own; i++) {
        const struct mt_own_stack *own = &f->own[i];
        struct mt_idle_stack stack = {.start = own->start,
                                      .end = own->used & ~UINT64_C(7),
                                      .nothing = own->sure};
        if (!own->left || own->used <= own->start)
            continue;
        idle_add(f, &stack);
        f->idle->n_found += own->found && own->unknown;
    }
}

static int idle_by_address(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static bool idle_list_threads(struct idle_finder *f)
{
    size_t n = f->source->n_threads;

    f->sps = calloc(2 * n + 1, sizeof *f->sps);
    f->by_sp = calloc(f->n_own + 1, sizeof *f->by_sp);
    if (!f->sps || !f->by_sp) {
        free(f->sps);
        free(f->by_sp);
        return false;
    }
    f->tcbs = f->sps + n;
    for (size_t i = 0; i < n; i++) {
        const struct mt_thread *thread = &f->source->threads[i];
        if (thread->has_registers)
            f->sps[f->n_sps++] = thread->registers[MT_REG_RSP];
        f->tcbs[i] = thread->fs_base;
        f->all_threads &= thread->fs_base != 0;
    }
    qsort(f->sps, f->n_sps, sizeof *f->sps, idle_by_address);
    qsort(f->tcbs, n, sizeof *f->tcbs, idle_by_address);
    for (size_t i = 0; i < f->n_own; i++)
        f->by_sp[i] = (struct own_sp){f->own[i].sp, i};
    qsort(f->by_sp, f->n_own, sizeof *f->by_sp, idle_by_address);
    return true;
}

bool mt_idle_stacks_find(struct mt_source *source, struct mt_map *map,
                         const struct mt_mark_range *ranges, size_t n_ranges,
                         struct mt_own_stack *own, size_t n_own,
                         struct mt_idle_stacks *idle, struct mt_error *error)
{
    struct idle_finder f = {.source = source,
                            .map = map,
                            .ranges = ranges,
                            .n_ranges = n_ranges,
                            .idle = idle,
                            .own = own,
                            .n_own = n_own,
                            .all_threads = source->n_threads > 0 &&
                                           !source->coverage.threads_missing};
    uint64_t bytes = 0;

    *idle = (struct mt_idle_stacks){0};
    if (!idle_list_threads(&f))
        return mt_no_memory(error, "the stacks without a thread");
    for (size_t i = 0; i < source->n_present; i++)
        bytes += source->present[i].end - source->present[i].start;
    pthread_mutex_init(&f.lock, NULL);
    mt_run_workers(mt_memory_view_is_shared(source)
                       ? mt_processors_for(bytes, MT_MAX_WORKERS)
                       : 1,
                   idle_work, &f);
    idle_add_left(&f);
    pthread_mutex_destroy(&f.lock);
    free(f.sps);
    free(f.by_sp);
    if (f.out_of_memory) {
        mt_idle_stacks_free(idle);
        return mt_no_memory(error, "the stacks without a thread");
    }
    idle_sort(idle);
    return true;
}

void mt_idle_stacks_free(struct mt_idle_stacks *idle)
{
    free(idle->items);
    *idle = (struct mt_idle_stacks){0};
}
