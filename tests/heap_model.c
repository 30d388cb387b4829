/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heap_model.c - random operations on a heap beside a list of what must be
 * live; each step is compared.
 */
#include "tests/heap_model.h"

#include <stdio.h>
#include <string.h>

#define EDGE 64 /* bytes looked at on both ends of a block */

void model_init(struct model *m, memtrace_heap *heap, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->heap = heap;
    m->random = seed * 2654435761u + 88172645463325252u;
}

uint64_t model_random(struct model *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static void disagree(struct model *m, const char *what, size_t slot)
{
    if (m->wrong++ < 10)
        printf("  model: %s: slot %zu, %p, %zu bytes\n", what, slot,
               (void *)m->blocks[slot].p, m->blocks[slot].size);
}

static unsigned char pattern(const struct model_block *b, size_t slot)
{
    return (unsigned char)(slot * 31 + b->size);
}

static void fill(struct model *m, size_t slot)
{
    struct model_block *b = &m->blocks[slot];
    size_t n = b->size < EDGE ? b->size : EDGE;
    memset(b->p, pattern(b, slot), n);
    memset(b->p + b->size - n, pattern(b, slot), n);
}

static void verify_upto(struct model *m, size_t slot, size_t size,
                        unsigned char expected)
{
    const struct model_block *b = &m->blocks[slot];
    size_t n = size < EDGE ? size : EDGE;
    for (size_t i = 0; i < n; i++)
        if (b->p[i] != expected) {
            disagree(m, "contents changed", slot);
            return;
        }
}

static void verify(struct model *m, size_t slot)
{
    const struct model_block *b = &m->blocks[slot];
    if (b->p == NULL)
        return;
    unsigned char expected = pattern(b, slot);
    verify_upto(m, slot, b->size, expected);
    size_t n = b->size < EDGE ? b->size : EDGE;
    for (size_t i = b->size - n; i < b->size; i++)
        if (b->p[i] != expected) {
            disagree(m, "end changed", slot);
            return;
        }
}

static size_t random_size(struct model *m)
{
    uint64_t r = model_random(m), kind = r % 1000;
    r >>= 16;
    if (kind < 700)
        return r % 400;
    if (kind < 950)
        return r % 9000;
    if (kind < 995)
        return r % 70000;
    return r % 2000000;
}

static void drop(struct model *m, size_t slot)
{
    verify(m, slot);
    memtrace_free(m->blocks[slot].p);
    m->blocks[slot].p = NULL;
}

static void keep(struct model *m, size_t slot, void *p, size_t size)
{
    struct model_block *b = &m->blocks[slot];
    b->p = p;
    b->size = size;
    if (p == NULL) {
        m->failures++;
        return;
    }
    if (memtrace_usable_size(p) < size)
        disagree(m, "usable size too small", slot);
    if ((uintptr_t)p % 16)
        disagree(m, "misaligned", slot);
    fill(m, slot);
}

static void resize(struct model *m, size_t slot)
{
    struct model_block *b = &m->blocks[slot];
    verify(m, slot);
    size_t size = random_size(m) + 1, old = b->p ? b->size : 0;
    unsigned char expected = old ? pattern(b, slot) : 0;
    unsigned char *p = memtrace_realloc(m->heap, b->p, size);
    if (p == NULL) {
        m->failures++;
        return; /* the old block must be as it was */
    }
    b->p = p;
    b->size = size;
    verify_upto(m, slot, old < size ? old : size, expected);
    keep(m, slot, p, size);
}

static void clear_alloc(struct model *m, size_t slot)
{
    size_t size = random_size(m);
    unsigned char *p = memtrace_calloc(m->heap, 1, size);
    for (size_t i = 0; p && i < size; i += i < EDGE ? 1 : 509)
        if (p[i]) {
            disagree(m, "calloc not zero", slot);
            break;
        }
    keep(m, slot, p, size);
}

static void aligned(struct model *m, size_t slot)
{
    size_t size = random_size(m), align = (size_t)16 << (model_random(m) % 14);
    void *p = memtrace_alloc_aligned(m->heap, align, size);
    if ((uintptr_t)p % align)
        disagree(m, "alignment", slot);
    keep(m, slot, p, size);
}

void model_run(struct model *m, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t r = model_random(m);
        size_t slot = (r >> 32) % MODEL_SLOTS;
        unsigned op = r % 16;
        if (op < 3) {
            resize(m, slot);
            continue;
        }
        drop(m, slot);
        if (op < 10) {
            size_t size = random_size(m);
            keep(m, slot, memtrace_alloc(m->heap, size), size);
        } else if (op < 12) {
            clear_alloc(m, slot);
        } else if (op < 13) {
            aligned(m, slot);
        }
    }
    m->operations += n;
}

void model_verify(struct model *m)
{
    for (size_t slot = 0; slot < MODEL_SLOTS; slot++)
        verify(m, slot);
}

void model_clear(struct model *m)
{
    for (size_t slot = 0; slot < MODEL_SLOTS; slot++)
        drop(m, slot);
}
