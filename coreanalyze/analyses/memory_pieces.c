/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_pieces.c - the ranges of addresses that the trace, the C library and
 * the kernel say something of.
 */
#include "coreanalyze/analyses/memory_pieces.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/reach/thread_stacks.h"

#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

static bool piece_add(struct mt_memory_pieces *pieces,
                      const struct mt_memory_piece *piece)
{
    if (piece->end <= piece->start)
        return true;
    if (!mt_grow(&pieces->items, &pieces->capacity, pieces->n + 1,
                 sizeof *pieces->items))
        return false;
    pieces->items[pieces->n++] = *piece;
    return true;
}

static bool pieces_of_model(const struct mt_model *model,
                            struct mt_memory_pieces *pieces)
{
    struct mt_memory_piece piece = {
        .start = model->root,
        .end = model->root + model->trace_bytes,
        .kind = MT_MEMORY_TRACE,
    };
    bool ok = piece_add(pieces, &piece);

    for (size_t i = 0; ok && i < model->n_regions; i++) {
        const struct mt_region *r = &model->regions[i];
        piece = (struct mt_memory_piece){
            .start = r->base,
            .end = r->base + r->size,
            .kind = MT_MEMORY_FREE,
            .name = model->heaps[r->heap].name,
            .heap = r->heap + 1,
        };
        ok = piece_add(pieces, &piece);
    }
    return ok;
}

static const struct mt_thread *pieces_thread(const struct mt_source *source,
                                             uint64_t tcb)
{
    for (size_t i = 0; i < source->n_threads; i++)
        if (source->threads[i].fs_base == tcb)
            return &source->threads[i];
    return NULL;
}

static const char *pieces_name(const struct mt_model *model,
                               const struct mt_thread *thread,
                               const char *otherwise)
{
    const char *name = mt_model_name_of(model, thread);

    return name[0] ? name : otherwise;
}

/* Memory of a stack that no thread uses is kept for the next one. */
static bool pieces_of_stacks(struct mt_source *source,
                             const struct mt_model *model,
                             struct mt_memory_pieces *pieces)
{
    struct mt_thread_stacks stacks;
    bool ok = mt_thread_stacks_find(source, &stacks);
    uint64_t found = 0;

    for (size_t i = 0; ok && i < stacks.n; i++) {
        const struct mt_thread_stack *s = &stacks.items[i];
        const struct mt_thread *thread = pieces_thread(source, s->tcb);
        struct mt_memory_piece piece = {
            .start = s->start,
            .end = s->end,
            .kind = MT_MEMORY_STACKS,
            .name = thread ? pieces_name(model, thread, NULL) : NULL,
            .tid = thread ? thread->tid : 0,
        };
        if (!thread)
            piece.name = "(kept for the next thread)";
        found += thread != NULL;
        ok = piece_add(pieces, &piece);
    }
    if (ok && stacks.main_tcb) {
        const struct mt_thread *thread = pieces_thread(source, stacks.main_tcb);
        struct mt_memory_piece piece = {
            .start = stacks.main_start,
            .end = stacks.main_end,
            .kind = MT_MEMORY_STACKS,
            .name = thread ? pieces_name(model, thread, "[stack]") : "[stack]",
            .tid = thread ? thread->tid : source->process.pid,
        };
        found++;
        ok = piece_add(pieces, &piece);
    }
    if (source->n_threads > found)
        pieces->unknown_stacks = source->n_threads - found;
    mt_thread_stacks_free(&stacks);
    return ok;
}

/* The kernel may have merged the .bss that ends a module with what follows. */
static bool pieces_of_modules(const struct mt_source *source,
                              struct mt_memory_pieces *pieces)
{
    bool ok = true;

    for (size_t i = 0; ok && i < source->n_modules; i++) {
        const struct mt_module *module = &source->modules[i];
        const struct mt_mapping *m = mt_source_mapping(source, module->end - 1);
        struct mt_memory_piece piece = {
            .end = (module->end + PAGE - 1) & ~(PAGE - 1),
            .kind = MT_MEMORY_DATA,
            .name = module->path,
        };
        if (!m || m->path || !(m->flags & MT_MAP_WRITE))
            continue;
        piece.start = m->start;
        ok = piece_add(pieces, &piece);
    }
    return ok;
}

static int piece_order(const void *a, const void *b)
{
    const struct mt_memory_piece *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The first of two that overlap has the addresses. */
static void pieces_sort(struct mt_memory_pieces *pieces)
{
    uint64_t end = 0;
    size_t kept = 0;

    if (pieces->n > 0)
        qsort(pieces->items, pieces->n, sizeof *pieces->items, piece_order);
    for (size_t i = 0; i < pieces->n; i++) {
        struct mt_memory_piece piece = pieces->items[i];
        if (piece.start < end)
            piece.start = end;
        if (piece.start >= piece.end)
            continue;
        end = piece.end;
        pieces->items[kept++] = piece;
    }
    pieces->n = kept;
}

/* Mapped ranges are cut where the others have the addresses: the C library maps
 * by itself, where the trace may still have a range that a system call
 * unmapped. */
static bool pieces_of_mapped(const struct mt_model *model,
                             struct mt_memory_pieces *pieces)
{
    size_t known = pieces->n, at = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < model->n_mapped; i++) {
        const struct mt_mapped_range *m = &model->mapped[i];
        struct mt_memory_piece piece = {
            .start = m->start,
            .kind = m->program_break ? MT_MEMORY_BREAK
                    : m->shared      ? MT_MEMORY_SHARED
                                     : MT_MEMORY_ANONYMOUS,
            .stack = m->stack,
        };
        if (m->stack < MT_ID_FIRST)
            continue;
        while (at < known && pieces->items[at].end <= piece.start)
            at++;
        for (size_t j = at; ok && piece.start < m->end; j++) {
            bool more = j < known && pieces->items[j].start < m->end;
            piece.end = more ? pieces->items[j].start : m->end;
            ok = piece_add(pieces, &piece);
            piece.start = more ? pieces->items[j].end : m->end;
        }
    }
    pieces_sort(pieces);
    return ok;
}

bool mt_memory_pieces_find(struct mt_source *source, struct mt_model *model,
                           struct mt_memory_pieces *pieces,
                           struct mt_error *error)
{
    memset(pieces, 0, sizeof *pieces);
    if ((model && !pieces_of_model(model, pieces)) ||
        !pieces_of_stacks(source, model, pieces) ||
        !pieces_of_modules(source, pieces)) {
        mt_memory_pieces_free(pieces);
        return mt_no_memory(error, "the map of the memory");
    }
    pieces_sort(pieces);
    if (model && !pieces_of_mapped(model, pieces)) {
        mt_memory_pieces_free(pieces);
        return mt_no_memory(error, "the map of the memory");
    }
    return true;
}

void mt_memory_pieces_free(struct mt_memory_pieces *pieces)
{
    free(pieces->items);
    memset(pieces, 0, sizeof *pieces);
}

/* --- mappings by their names --- */

static bool begins(const char *path, const char *text)
{
    return strncmp(path, text, strlen(text)) == 0;
}

bool mt_memory_is_file_of_memory(const char *path)
{
    return begins(path, "/dev/shm/") || begins(path, "/memfd:") ||
           begins(path, "/SYSV") || begins(path, "/dev/zero");
}

static const struct mt_module *module_of(const struct mt_source *source,
                                         const struct mt_mapping *m)
{
    const struct mt_module *module = mt_source_module(source, m->start);

    return module && m->end <= module->end ? module : NULL;
}

/* Anonymous memory, private or shared. */
static enum mt_memory_kind kind_by_name(const struct mt_source *source,
                                        const struct mt_mapping *m,
                                        const char **name)
{
    const struct mt_module *module = module_of(source, m);

    if (m->path && strcmp(m->path, "[stack]") == 0)
        return MT_MEMORY_STACKS;
    if (m->path && strcmp(m->path, "[heap]") == 0)
        return MT_MEMORY_BREAK;
    if (m->path && begins(m->path, "[anon_shmem:"))
        return MT_MEMORY_SHARED;
    if (m->path && begins(m->path, "[anon:"))
        return MT_MEMORY_ANONYMOUS;
    if (m->path) /* [vdso] and its kind */
        return MT_MEMORY_DEVICES;
    if (module) {
        *name = module->path;
        return MT_MEMORY_DATA;
    }
    return m->flags & MT_MAP_PRIVATE || m->flags & MT_MAP_ASSUMED ||
                   source->process.kind == MT_SOURCE_CORE
               ? MT_MEMORY_UNKNOWN
               : MT_MEMORY_SHARED;
}

enum mt_memory_kind mt_memory_kind_of(const struct mt_source *source,
                                      const struct mt_mapping *m, bool device,
                                      bool file, const char **name)
{
    bool core = source->process.kind == MT_SOURCE_CORE;

    *name = m->path;
    if (!m->path || m->path[0] == '[')
        return device ? MT_MEMORY_DEVICES : kind_by_name(source, m, name);
    if (mt_memory_is_file_of_memory(m->path))
        return MT_MEMORY_SHARED;
    if (device || begins(m->path, "/dev/"))
        return MT_MEMORY_DEVICES;
    /* A core does not say which pages were written to. */
    if (core)
        return m->flags & MT_MAP_WRITE ? MT_MEMORY_DATA : MT_MEMORY_FILES;
    return file ? MT_MEMORY_FILES : MT_MEMORY_DATA;
}
