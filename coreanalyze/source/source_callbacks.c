/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_callbacks.c - memory read through functions of the caller.  Tables
 * come from the core file or from /proc if this machine has them, so that a
 * report in GDB is the same as one in the shell; otherwise from the caller.
 *
 * A core's memory comes from the file, too: where the file lacks memory, a
 * debugger makes up zeros, or takes what a program on disk has now.
 */
#include "coreanalyze/source/callbacks.h"
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/source/thread_order.h"
#include "coreanalyze/source/thread_words.h"
#include "coreanalyze/source/word_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct callbacks {
    struct mt_source source; /* first: the source is this */
    struct memtrace_reader_target target;
    struct mt_source *core; /* whose tables these are copies of, or NULL */
    struct mt_source *live; /* reads a process of this machine, or NULL */
};

static size_t callbacks_read(struct mt_source *source, uint64_t address,
                             void *buffer, size_t bytes)
{
    struct callbacks *c = (struct callbacks *)source;
    size_t got = c->target.read(c->target.context, address, buffer, bytes);

    return got < bytes ? got : bytes;
}

static bool callbacks_write(struct mt_source *source, uint64_t address,
                            const void *buffer, size_t bytes)
{
    struct callbacks *c = (struct callbacks *)source;

    return c->target.write(c->target.context, address, buffer, bytes) == 1;
}

static size_t callbacks_core_read(struct mt_source *source, uint64_t address,
                                  void *buffer, size_t bytes)
{
    struct callbacks *c = (struct callbacks *)source;

    return c->core->ops->read(c->core, address, buffer, bytes);
}

static const void *callbacks_core_view(struct mt_source *source,
                                       uint64_t address, size_t bytes)
{
    struct callbacks *c = (struct callbacks *)source;

    return c->core->ops->view(c->core, address, bytes);
}

static const void *callbacks_core_extent(struct mt_source *source,
                                         uint64_t address, uint64_t *start,
                                         uint64_t *bytes)
{
    struct callbacks *c = (struct callbacks *)source;

    return c->core->ops->extent(c->core, address, start, bytes);
}

static void callbacks_pages(struct mt_source *source, uint64_t start,
                            uint64_t end, struct mt_page_stats *stats)
{
    struct callbacks *c = (struct callbacks *)source;

    if (c->core)
        c->core->ops->pages(c->core, start, end, stats);
    else if (c->live)
        c->live->ops->pages(c->live, start, end, stats);
}

static bool callbacks_resident(struct mt_source *source, uint64_t start,
                               uint64_t end, mt_visit_pages *visit,
                               void *context)
{
    struct callbacks *c = (struct callbacks *)source;
    struct mt_source *inner = c->core ? c->core : c->live;

    return inner->ops->resident(inner, start, end, visit, context);
}

/* Its mappings are those of `live`. */
static bool process_uses(struct mt_source *source, struct mt_mapping_use *uses,
                         struct mt_error *error)
{
    struct callbacks *c = (struct callbacks *)source;

    return c->live->ops->uses(c->live, uses, error);
}

static void callbacks_destroy(struct mt_source *source)
{
    struct callbacks *c = (struct callbacks *)source;

    mt_source_free(c->core);
    /* The captured memory was freed with this source. */
    if (c->live) {
        c->live->word_copy = NULL;
        c->live->present = NULL;
        c->live->kernel_words = NULL;
    }
    mt_source_free(c->live);
    free(c);
}

static const struct mt_source_ops core_ops = {
    .read = callbacks_core_read,
    .view = callbacks_core_view,
    .extent = callbacks_core_extent,
    .pages = callbacks_pages,
    .resident = callbacks_resident,
    .destroy = callbacks_destroy,
};

/* It is not mapped here: a black box, or there was no room. */
static const struct mt_source_ops unmapped_core_ops = {
    .read = callbacks_core_read,
    .pages = callbacks_pages,
    .resident = callbacks_resident,
    .destroy = callbacks_destroy,
};

static const struct mt_source_ops read_only_ops = {
    .read = callbacks_read,
    .pages = callbacks_pages,
    .destroy = callbacks_destroy,
};

static const struct mt_source_ops writable_ops = {
    .read = callbacks_read,
    .write = callbacks_write,
    .pages = callbacks_pages,
    .destroy = callbacks_destroy,
};

static size_t process_read(struct mt_source *source, uint64_t address,
                           void *buffer, size_t bytes)
{
    struct callbacks *c = (struct callbacks *)source;
    size_t got = c->live->ops->read(c->live, address, buffer, bytes);

    source->coverage.ended |= c->live->coverage.ended;
    return got;
}

/* Captured memory belongs to one command. */
static void process_drop(struct mt_source *source)
{
    struct callbacks *c = (struct callbacks *)source;
    struct mt_source *live = c->live;

    mt_word_copy_free(live->word_copy);
    free(live->present);
    free(live->kernel_words);
    source->kernel_words = live->kernel_words = NULL;
    source->n_kernel_words = live->n_kernel_words = 0;
    source->word_copy = live->word_copy = NULL;
    source->present = live->present = NULL;
    source->n_present = live->n_present = 0;
    source->present_known = live->present_known = false;
}

/* The debugger runs us in the thread that traces the process. */
static bool process_take_words(struct mt_source *source)
{
    struct callbacks *c = (struct callbacks *)source;
    struct mt_kernel_word *words;
    size_t n;
    bool ok =
        mt_threads_words(source->threads, source->n_threads, &words, &n) &&
        mt_live_give_words(c->live, words, n);

    free(words);
    return ok;
}

/* The debugger has stopped it, or lets it run. */
static bool process_capture(struct mt_source *source,
                            const struct mt_word_filter *filter, bool stop,
                            struct mt_error *error)
{
    struct callbacks *c = (struct callbacks *)source;
    struct mt_source *live = c->live;
    bool ok;

    (void)stop;
    process_drop(source);
    live->progress = source->progress;
    live->limits = source->limits;
    if (!process_take_words(source))
        return mt_no_memory(error, "the registers");
    ok = live->ops->capture(live, filter, false, error);
    source->word_copy = live->word_copy;
    source->present = live->present;
    source->n_present = live->n_present;
    source->present_known = live->present_known;
    source->kernel_words = live->kernel_words;
    source->n_kernel_words = live->n_kernel_words;
    source->coverage = live->coverage;
    return ok;
}

static const struct mt_source_ops process_ops = {
    .read = process_read,
    .pages = callbacks_pages,
    .resident = callbacks_resident,
    .uses = process_uses,
    .capture = process_capture,
    .resume = process_drop,
    .destroy = callbacks_destroy,
};

static const struct mt_source_ops writable_process_ops = {
    .read = process_read,
    .write = callbacks_write,
    .pages = callbacks_pages,
    .resident = callbacks_resident,
    .uses = process_uses,
    .capture = process_capture,
    .resume = process_drop,
    .destroy = callbacks_destroy,
};

/* A copy of a table, at least one item long. */
static void *copy_table(const void *table, size_t n, size_t item_bytes)
{
    void *copy = calloc(n + 1, item_bytes);

    if (copy && n > 0)
        memcpy(copy, table, n * item_bytes);
    return copy;
}

/* The tables of what `from` opened are copied; strings stay its own. */
static bool copy_tables(struct mt_source *to, const struct mt_source *from,
                        struct mt_error *error)
{
    to->process = from->process;
    to->coverage = from->coverage;
    to->mappings =
        copy_table(from->mappings, from->n_mappings, sizeof *to->mappings);
    to->threads =
        copy_table(from->threads, from->n_threads, sizeof *to->threads);
    to->modules =
        copy_table(from->modules, from->n_modules, sizeof *to->modules);
    if (!to->mappings || !to->threads || !to->modules)
        return mt_no_memory(error, "the target");
    to->n_mappings = from->n_mappings;
    to->n_threads = from->n_threads;
    to->n_modules = from->n_modules;
    to->auxv = from->auxv;
    to->auxv_bytes = from->auxv_bytes;
    return true;
}

/* Strings stay the core's, which lives as long. */
static bool take_core(struct callbacks *c, struct mt_error *error)
{
    struct mt_source *to = &c->source, *core;

    core = c->core = mt_source_open_core(c->target.core, error);
    if (core == NULL)
        return false;
    if (!copy_tables(to, core, error))
        return false;
    to->kernel_words = copy_table(core->kernel_words, core->n_kernel_words,
                                  sizeof *to->kernel_words);
    if (!to->kernel_words)
        return mt_no_memory(error, "the registers");
    to->n_kernel_words = core->n_kernel_words;
    to->ops = core->ops->view ? &core_ops : &unmapped_core_ops;
    return true;
}

static void copy_registers(struct mt_thread *to,
                           const struct memtrace_reader_thread *from)
{
    to->has_registers = from->has_registers != 0;
    memcpy(to->registers, from->registers, sizeof to->registers);
    to->fs_base = to->registers[MT_REG_FS_BASE];
}

/* A live target's memory is read past the debugger, which would bring pages in.
 * /proc does not have the registers of a process that a debugger holds. */
static bool take_process(struct callbacks *c, struct mt_error *error)
{
    struct mt_source *source = &c->source, *live;
    struct mt_thread_order order;

    live = c->live = mt_source_open_pid((pid_t)c->target.pid, error);
    if (!live)
        return false;
    if (!mt_thread_order_make(&order, live->threads, live->n_threads))
        return mt_no_memory(error, "the threads");
    for (uint32_t i = 0; i < c->target.n_threads; i++) {
        struct mt_thread *thread =
            mt_thread_order_find(&order, c->target.threads[i].tid);
        if (thread)
            copy_registers(thread, &c->target.threads[i]);
    }
    mt_thread_order_free(&order);
    source->ops = c->target.write ? &writable_process_ops : &process_ops;
    return copy_tables(source, live, error);
}

static const char *callbacks_keep(struct mt_source *source, const char *text)
{
    return text ? mt_strings_add(source->strings, text, strlen(text)) : NULL;
}

static int mapping_order(const void *a, const void *b)
{
    const struct mt_mapping *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static int module_order(const void *a, const void *b)
{
    const struct mt_module *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void callbacks_take_mappings(struct callbacks *c)
{
    struct mt_source *source = &c->source;
    uint64_t end = 0;
    size_t kept = 0;

    for (uint32_t i = 0; i < c->target.n_mappings; i++) {
        const struct memtrace_reader_mapping *m = &c->target.mappings[i];
        if (m->end <= m->start)
            continue;
        source->mappings[source->n_mappings++] = (struct mt_mapping){
            .start = m->start,
            .end = m->end,
            .file_offset = m->file_offset,
            .present = m->end - m->start,
            .path = callbacks_keep(source, m->path),
            .flags = m->flags,
        };
    }
    qsort(source->mappings, source->n_mappings, sizeof *source->mappings,
          mapping_order);
    for (size_t i = 0; i < source->n_mappings; i++) {
        if (source->mappings[i].start < end)
            continue;
        end = source->mappings[i].end;
        source->mappings[kept++] = source->mappings[i];
    }
    source->n_mappings = kept;
}

static void take_modules(struct callbacks *c)
{
    struct mt_source *source = &c->source;

    for (uint32_t i = 0; i < c->target.n_modules; i++) {
        const struct memtrace_reader_module *from = &c->target.modules[i];
        struct mt_module *m = &source->modules[source->n_modules++];
        m->start = from->start;
        m->end = from->end;
        m->load_bias = from->load_bias;
        m->path = callbacks_keep(source, from->path);
        if (from->build_id && from->build_id_bytes <= sizeof m->build_id) {
            memcpy(m->build_id, from->build_id, from->build_id_bytes);
            m->build_id_bytes = from->build_id_bytes;
        }
    }
    qsort(source->modules, source->n_modules, sizeof *source->modules,
          module_order);
}

static bool take_tables(struct callbacks *c, struct mt_error *error)
{
    struct mt_source *source = &c->source;
    const struct memtrace_reader_target *target = &c->target;

    source->process.kind = MT_SOURCE_LIVE;
    source->process.pid = target->pid;
    source->process.exe = callbacks_keep(source, target->exe);
    source->coverage.tables_incomplete = target->tables_incomplete != 0;
    source->coverage.kernel_unseen = true;
    source->mappings = calloc(target->n_mappings + 1, sizeof *source->mappings);
    source->modules = calloc(target->n_modules + 1, sizeof *source->modules);
    source->threads = calloc(target->n_threads + 1, sizeof *source->threads);
    if (!source->mappings || !source->modules || !source->threads)
        return mt_no_memory(error, "the tables of the target");
    callbacks_take_mappings(c);
    take_modules(c);
    for (uint32_t i = 0; i < target->n_threads; i++) {
        const struct memtrace_reader_thread *from = &target->threads[i];
        struct mt_thread *t = &source->threads[source->n_threads++];
        t->tid = from->tid;
        copy_registers(t, from);
        snprintf(t->name, sizeof t->name, "%s", from->name ? from->name : "");
    }
    return source->n_modules > 0 || mt_modules_scan(source, error);
}

struct mt_source *
mt_source_open_callbacks(const struct memtrace_reader_target *target,
                         struct mt_error *error)
{
    struct callbacks *c;
    bool ok;

    if (target->abi != MEMTRACE_READER_ABI ||
        (target->read == NULL && target->core == NULL))
        return mt_fail(error, "interface version mismatch: the caller was "
                              "built for another version"),
               NULL;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return mt_no_memory(error, "the tables of the target"), NULL;
    c->target = *target;
    c->source.ops = target->write ? &writable_ops : &read_only_ops;
    c->source.strings = mt_strings_new();
    if (c->source.strings == NULL)
        ok = mt_no_memory(error, "the tables of the target");
    else if (target->core)
        ok = take_core(c, error);
    else if (target->local_process)
        ok = take_process(c, error);
    else
        ok = take_tables(c, error);
    if (ok)
        return &c->source;
    mt_source_free(&c->source);
    return NULL;
}
