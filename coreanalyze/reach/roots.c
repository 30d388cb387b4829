/* SPDX-License-Identifier: BSD-2-Clause
 *
 * roots.c - ranges of root memory, out of a source's mappings.
 *
 * Each mapping that the program may have written to is a root, less what lies
 * in the trace, in a heap, in the library's own data, or in the unused part of
 * a stack that is known (thread_stacks.h): what is below the stack pointer and
 * its red zone is stale. glibc keeps stacks of threads that have ended for the
 * next thread, with their records and thread-local storage; of all that only
 * what a thread returned counts, until it is joined.  Any other mapping is
 * searched whole: it may hold the stacks of many coroutines.
 */
#include "coreanalyze/reach/roots.h"
#include "coreanalyze/reach/thread_stacks.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/source/vector_words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#define KERNEL_HALF (UINT64_C(1) << 63) /* cores have its page, vsyscall */
#define DTV_OFFSET 8u /* of the pointer in the control block */
#define PAGE_BYTES 4096u
#define DTV_SKIP 16u /* it points after the first entry of the vector */

struct interval {
    uint64_t start, end;
};

/* An address that a thread has. */
struct of_thread {
    uint64_t address;
    uint32_t thread;
};

struct finder {
    const struct mt_model *model;
    struct mt_source *source;
    struct mt_roots *roots;
    const struct mt_roots_options *options;
    struct interval *excluded; /* by start */
    size_t n_excluded, excluded_capacity;
    struct of_thread *stacks, *tcbs; /* sp in mappings, fs_base; sorted */
    struct mt_thread_stacks known;
    size_t n_stacks, n_tcbs;
    size_t ranges_capacity, words_capacity, nodes_capacity, own_capacity;
    bool out_of_memory;
};

static void roots_exclude(struct finder *f, uint64_t start, uint64_t end)
{
    if (end <= start)
        return;
    if (!mt_grow(&f->excluded, &f->excluded_capacity, f->n_excluded + 1,
                 sizeof *f->excluded)) {
        f->out_of_memory = true;
        return;
    }
    f->excluded[f->n_excluded++] = (struct interval){start, end};
}

static int roots_by_start(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void roots_add_word(struct finder *f, uint64_t value,
                           enum mt_root_kind kind, uint32_t thread,
                           uint32_t reg)
{
    struct mt_roots *roots = f->roots;

    if (!mt_grow(&roots->words, &f->words_capacity, roots->n_words + 1,
                 sizeof *roots->words))
        f->out_of_memory = true;
    else
        roots->words[roots->n_words++] =
            (struct mt_root_range){value, 0, kind, thread, reg, false};
}

static void add_dtv(struct finder *f, uint64_t tcb, uint32_t thread)
{
    uint64_t dtv;

    if (tcb && mt_source_read(f->source, tcb + DTV_OFFSET, &dtv, sizeof dtv) &&
        dtv > DTV_SKIP)
        roots_add_word(f, dtv - DTV_SKIP, MT_ROOT_DTV, thread, 0);
}

static bool in_heap(const struct mt_model *model, uint64_t address)
{
    for (size_t i = 0; i < model->n_regions; i++)
        if (address - model->regions[i].base < model->regions[i].size)
            return true;
    return false;
}

static bool is_writable(const struct mt_mapping *m)
{
    return (m->flags & MT_MAP_READ) && (m->flags & MT_MAP_WRITE);
}

static int roots_by_address(const void *a, const void *b)
{
    const struct of_thread *x = a, *y = b;

    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return x->thread < y->thread ? -1 : x->thread > y->thread;
}

/* The first one at or above an address; NULL if that is not below `end`. */
static const struct of_thread *first_in(const struct of_thread *all, size_t n,
                                        uint64_t start, uint64_t end)
{
    size_t i = mt_count_below(all, n, address, start);

    return i < n && all[i].address < end ? &all[i] : NULL;
}

/* --- threads --- */

/* A thread that runs on a stack inside a block leaves that to the block. */
static bool sort_threads(struct finder *f)
{
    struct mt_source *source = f->source;

    f->stacks = calloc(source->n_threads + 1, sizeof *f->stacks);
    f->tcbs = calloc(source->n_threads + 1, sizeof *f->tcbs);
    if (f->stacks == NULL || f->tcbs == NULL)
        return false;
    f->roots->coverage.threads += source->coverage.threads_missing;
    f->roots->coverage.threads_without_registers +=
        source->coverage.threads_missing;
    for (uint32_t i = 0; i < source->n_threads; i++) {
        const struct mt_thread *t = &source->threads[i];
        uint64_t sp = t->registers[MT_REG_RSP];
        if (t->has_registers && !in_heap(f->model, sp))
            f->stacks[f->n_stacks++] = (struct of_thread){sp, i};
        if (t->fs_base)
            f->tcbs[f->n_tcbs++] = (struct of_thread){t->fs_base, i};
    }
    qsort(f->stacks, f->n_stacks, sizeof *f->stacks, roots_by_address);
    qsort(f->tcbs, f->n_tcbs, sizeof *f->tcbs, roots_by_address);
    return true;
}

static bool polls_in_core(const struct mt_source *source,
                          const struct mt_thread *thread)
{
    uint64_t call = thread->registers[MT_REG_ORIG_RAX];

    return source->process.kind == MT_SOURCE_CORE && thread->has_registers &&
           (call == SYS_epoll_wait || call == SYS_epoll_pwait ||
            call == SYS_epoll_pwait2);
}

static void take_thread(struct finder *f, uint32_t index)
{
    const struct mt_thread *thread = &f->source->threads[index];

    f->roots->coverage.threads++;
    f->roots->coverage.threads_without_registers += !thread->has_registers;
    f->roots->coverage.polling += polls_in_core(f->source, thread);
    add_dtv(f, thread->fs_base, index);
    for (uint32_t i = 0; thread->has_registers && i < MT_N_REGISTERS; i++)
        roots_add_word(f, thread->registers[i], MT_ROOT_REGISTER, index, i);
}

/* A thread that ends in the system call that it is in has no red zone. */
static uint64_t red_zone_of(const struct mt_thread *thread)
{
    uint64_t call = thread->registers[MT_REG_ORIG_RAX];

    return call == SYS_exit_group || call == SYS_exit ? 0 : MT_RED_ZONE;
}

/* The part of [start, end) below a stack pointer that lies in it. */
static bool exclude_below(struct finder *f, uint64_t start, uint64_t end,
                          const struct mt_thread *thread)
{
    uint64_t sp = thread->registers[MT_REG_RSP];
    uint64_t red_zone = red_zone_of(thread);

    if (sp < start || sp >= end)
        return false;
    if (sp - start > red_zone)
        roots_exclude(f, start, (sp - red_zone) & ~UINT64_C(7));
    return true;
}

/* Does a thread run on the stack?  One that is not seen may. */
static bool is_left(const struct finder *f, uint64_t start, uint64_t end)
{
    return f->roots->coverage.threads_without_registers == 0 &&
           !first_in(f->stacks, f->n_stacks, start, end);
}

static void add_own(struct finder *f, uint64_t start, uint64_t end,
                    const struct mt_thread *thread)
{
    struct mt_roots *roots = f->roots;
    uint64_t sp = thread->registers[MT_REG_RSP];
    bool inside = sp >= start && sp < end;

    if (!inside && !is_left(f, start, end))
        return;
    if (!mt_grow(&roots->own, &f->own_capacity, roots->n_own + 1,
                 sizeof *roots->own))
        f->out_of_memory = true;
    else
        roots->own[roots->n_own++] = (struct mt_own_stack){
            .start = start,
            .end = end,
            .sp = sp,
            .left = !inside,
            .unknown = !inside && !in_heap(f->model, sp),
            .thread = (uint32_t)(thread - f->source->threads)};
}

/* A thread that is not on its own stack may come back to it: as far as no
 * record says where to, all of that is searched. */
static void take_stack(struct finder *f, const struct mt_thread *thread)
{
    const struct mt_thread_stacks *known = &f->known;
    const struct mt_thread_stack *own =
        mt_thread_stacks_of(known, thread->fs_base);
    uint64_t sp = thread->registers[MT_REG_RSP];
    const struct mt_mapping *m;

    if (!thread->has_registers)
        return;
    if (own)
        add_own(f, own->start, own->end, thread);
    else if (known->main_tcb && known->main_tcb == thread->fs_base)
        add_own(f, known->main_start, known->main_end, thread);
    if (own && exclude_below(f, own->start, own->end, thread))
        return;
    if (!own && exclude_below(f, known->main_start, known->main_end, thread))
        return;
    m = mt_source_mapping(f->source, sp);
    if (!own && m && m->path && strcmp(m->path, "[stack]") == 0 &&
        exclude_below(f, m->start, m->end, thread))
        return;
    if (!in_heap(f->model, sp))
        f->roots->coverage.stacks_unknown++;
}

static int roots_own_by_start(const void *a, const void *b)
{
    const struct mt_own_stack *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void roots_take_threads(struct finder *f)
{
    struct mt_roots *roots = f->roots;
    uint32_t n = (uint32_t)f->source->n_threads;

    for (uint32_t i = 0; !f->out_of_memory && i < n; i++)
        take_thread(f, i);
    for (uint32_t i = 0; !f->out_of_memory && i < n; i++)
        take_stack(f, &f->source->threads[i]);
    if (roots->n_own > 0)
        qsort(roots->own, roots->n_own, sizeof *roots->own, roots_own_by_start);
}

static void exclude_ended(struct finder *f, uint64_t start, uint64_t end,
                          uint64_t tcb, uint64_t result)
{
    if (first_in(f->stacks, f->n_stacks, start, end))
        return;
    if (result > start && result < end) {
        roots_exclude(f, start, result);
        roots_exclude(f, result + 8, end);
    } else {
        roots_exclude(f, start, end);
    }
    add_dtv(f, tcb, MT_ENDED_THREAD);
    f->roots->coverage.ended_stacks++;
    f->roots->coverage.ended_stack_bytes += end - start;
}

/* Is it known of every thread which record is its own? */
static bool all_records_known(const struct finder *f)
{
    for (size_t i = 0; i < f->source->n_threads; i++)
        if (!f->source->threads[i].has_registers ||
            f->source->threads[i].fs_base == 0)
            return false;
    return f->source->n_threads > 0 && f->source->coverage.threads_missing == 0;
}

/* The record of a thread says that it has ended (before glibc 2.43), or it is
 * no thread's; but of a record whose thread runs, whatever it says, the stack
 * is in use. */
static void take_ended(struct finder *f)
{
    const struct mt_thread_stacks *known = &f->known;
    bool all = all_records_known(f);

    for (size_t i = 0; i < known->n; i++) {
        const struct mt_thread_stack *s = &known->items[i];
        if ((s->ended || all) &&
            !first_in(f->tcbs, f->n_tcbs, s->tcb, s->tcb + 1))
            exclude_ended(f, s->start, s->rest_known ? s->end : s->tcb, s->tcb,
                          s->result);
    }
    if (known->main_tcb && (known->main_ended || all) &&
        !first_in(f->tcbs, f->n_tcbs, known->main_tcb, known->main_tcb + 1))
        exclude_ended(f, known->main_start, known->main_end, known->main_tcb,
                      0);
}

/* --- mappings --- */

static void name_range(const struct finder *f, const struct mt_mapping *m,
                       struct mt_root_range *place)
{
    const struct mt_module *module = mt_source_module(f->source, place->start);
    const struct of_thread *tcb, *stack;

    place->kind = MT_ROOT_MAPPING;
    place->index = (uint32_t)(m - f->source->mappings);
    tcb = first_in(f->tcbs, f->n_tcbs, place->start, place->end);
    if (tcb && m->path == NULL) {
        place->kind = MT_ROOT_THREAD;
        place->index = tcb->thread;
    }
    stack = first_in(f->stacks, f->n_stacks, place->start, place->end);
    if (stack) {
        place->kind = MT_ROOT_STACK;
        place->index = stack->thread;
    }
    if (place->kind == MT_ROOT_MAPPING && module) {
        place->kind = MT_ROOT_MODULE;
        place->index = (uint32_t)(module - f->source->modules);
    }
}

static void add_range(struct finder *f, const struct mt_mapping *m,
                      uint64_t start, uint64_t end)
{
    struct mt_root_range place = {(start + 7) & ~UINT64_C(7),
                                  end & ~UINT64_C(7),
                                  MT_ROOT_MAPPING,
                                  0,
                                  0,
                                  false};
    struct mt_roots *roots = f->roots;
    bool node;

    if (place.start >= place.end)
        return;
    name_range(f, m, &place);
    node = f->options->mappings_are_nodes && place.kind == MT_ROOT_MAPPING;
    if (node ? !mt_grow(&roots->nodes, &f->nodes_capacity, roots->n_nodes + 1,
                        sizeof place)
             : !mt_grow(&roots->ranges, &f->ranges_capacity,
                        roots->n_ranges + 1, sizeof place)) {
        f->out_of_memory = true;
        return;
    }
    if (node)
        roots->nodes[roots->n_nodes++] = place;
    else
        roots->ranges[roots->n_ranges++] = place;
    roots->coverage.scanned_bytes += place.end - place.start;
}

static void sort_excluded(struct finder *f)
{
    size_t kept = 0;

    if (f->n_excluded == 0)
        return;
    qsort(f->excluded, f->n_excluded, sizeof *f->excluded, roots_by_start);
    for (size_t i = 1; i < f->n_excluded; i++) {
        struct interval *last = &f->excluded[kept];
        if (f->excluded[i].start > last->end)
            f->excluded[++kept] = f->excluded[i];
        else if (f->excluded[i].end > last->end)
            last->end = f->excluded[i].end;
    }
    f->n_excluded = kept + 1;
}

/* The first excluded interval that ends after an address. */
static size_t first_excluded(const struct finder *f, uint64_t address)
{
    return mt_count_up_to(f->excluded, f->n_excluded, end, address);
}

/* Adds [start, end) without the excluded intervals. */
static uint64_t each_left(struct finder *f, const struct mt_mapping *m,
                          uint64_t start, uint64_t end,
                          void (*visit)(struct finder *,
                                        const struct mt_mapping *, uint64_t,
                                        uint64_t))
{
    uint64_t left = 0;

    for (size_t i = first_excluded(f, start); i < f->n_excluded && start < end;
         i++) {
        const struct interval *x = &f->excluded[i];
        if (x->start >= end)
            break;
        if (x->start > start) {
            left += x->start - start;
            if (visit)
                visit(f, m, start, x->start);
        }
        start = x->end;
    }
    if (start < end) {
        left += end - start;
        if (visit)
            visit(f, m, start, end);
    }
    return left;
}

/* The program may have written to memory and protected it since: its pages are
 * searched as far as there are any.  Of private memory nothing is missing: what
 * has no page was never written to. */
static void take_protected(struct finder *f, const struct mt_mapping *m)
{
    const struct mt_source *source = f->source;
    const struct mt_present *p;

    if ((m->flags & MT_MAP_ASSUMED) || m->start >= KERNEL_HALF ||
        (m->flags & MT_MAP_EXEC && m->path) ||
        (m->path && m->path[0] == '[' && strncmp(m->path, "[anon", 5) != 0))
        return;
    if (!source->present_known) {
        each_left(f, m, m->start, m->start + m->present, add_range);
        if (mt_mapping_is_shared_memory(m) && m->start + m->present < m->end) {
            f->roots->coverage.missing_bytes +=
                m->end - (m->start + m->present);
            f->roots->coverage.missing_mappings++;
        }
        return;
    }
    for (p = mt_source_present(source, m->start);
         p && p < source->present + source->n_present && p->start < m->end; p++)
        each_left(f, m, p->start > m->start ? p->start : m->start,
                  p->end < m->end ? p->end : m->end, add_range);
}

/* The kernel keeps what a pending operation will hand back. */
static bool is_async(const struct mt_mapping *m)
{
    return m->path && (strstr(m->path, "[io_uring]") ||
                       strncmp(m->path, "/[aio]", 6) == 0);
}

/* Is it data of a module?  Variables without a value have no file. */
static bool is_module_data(const struct finder *f, const struct mt_mapping *m)
{
    const struct mt_module *module = mt_source_module(f->source, m->start);

    if (!module || (m->path && m->path[0] != '/'))
        return false;
    return m->path || (m->present == 0 && m->end - module->end < PAGE_BYTES) ||
           m->end <= module->end;
}

static void take_mapping(struct finder *f, const struct mt_mapping *m)
{
    uint64_t present = m->start + m->present, missing;

    f->roots->coverage.async += is_async(m);
    if (!is_writable(m)) {
        take_protected(f, m);
        return;
    }
    each_left(f, m, m->start, present, add_range);
    missing = each_left(f, m, present, m->end, NULL);
    /* A page of a module that was never written to holds no word of the
     * program's; other files may be shared memory. */
    if (is_module_data(f, m)) {
        f->roots->coverage.missing_file_bytes += missing;
    } else {
        f->roots->coverage.missing_bytes += missing;
        f->roots->coverage.missing_mappings += missing > 0;
    }
}

bool mt_roots_find(const struct mt_model *model,
                   const struct mt_roots_options *options,
                   struct mt_roots *roots, struct mt_error *error)
{
    struct finder f = {.model = model,
                       .source = model->source,
                       .roots = roots,
                       .options = options};

    memset(roots, 0, sizeof *roots);
    roots_exclude(&f, model->root, model->root + model->trace_bytes);
    roots_exclude(&f, model->own_data, model->own_data + model->own_data_bytes);
    for (size_t i = 0; i < model->n_regions; i++)
        roots_exclude(&f, model->regions[i].base,
                      model->regions[i].base + model->regions[i].size);
    f.out_of_memory |=
        !sort_threads(&f) || !mt_thread_stacks_find(model->source, &f.known);
    if (!f.out_of_memory)
        roots_take_threads(&f);
    take_ended(&f);
    f.out_of_memory |= !mt_vectors_find_stored(model->source);
    for (size_t i = 0; i < model->source->n_kernel_words; i++)
        if (model->source->kernel_words[i].kind != MT_KERNEL_VECTOR ||
            model->source->kernel_words[i].stored)
            roots_add_word(&f, model->source->kernel_words[i].value,
                           MT_ROOT_KERNEL, (uint32_t)i, 0);
    sort_excluded(&f);
    for (size_t i = 0; i < model->source->n_mappings; i++)
        take_mapping(&f, &model->source->mappings[i]);
    free(f.excluded);
    free(f.stacks);
    free(f.tcbs);
    mt_thread_stacks_free(&f.known);
    return !f.out_of_memory || mt_no_memory(error, "the roots");
}

void mt_roots_free(struct mt_roots *roots)
{
    free(roots->ranges);
    free(roots->words);
    free(roots->nodes);
    free(roots->own);
    memset(roots, 0, sizeof *roots);
}

const struct mt_root_range *mt_roots_at(const struct mt_roots *roots,
                                        uint64_t address)
{
    size_t i = mt_count_up_to(roots->ranges, roots->n_ranges, end, address);

    return i < roots->n_ranges && roots->ranges[i].start <= address
               ? &roots->ranges[i]
               : NULL;
}
