/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page_kinds.c - parses pages= and nodes=: the size of a heap's pages, and
 * the NUMA nodes that they come from.
 */
#include "heap/seldom.h"
#include "heap/page_kinds.h"
#include "heap/attributes.h"

#include <errno.h>
#include <string.h>

#define MIB(n) ((uint64_t)(n) << 20)
#define NORMAL 4096u

static bool node_number(const char **text, const char *end, unsigned *node)
{
    unsigned n = 0;
    const char *at = *text;
    for (; at < end && *at >= '0' && *at <= '9' && n < 64; at++)
        n = n * 10 + (unsigned)(*at - '0');
    bool ok = at > *text && n < 64;
    *text = at;
    *node = n;
    return ok;
}

bool mt_memory_nodes(const char *text, size_t length, uint64_t *nodes)
{
    const char *end = text + length;
    *nodes = 0;
    for (;;) {
        unsigned first, last;
        if (!node_number(&text, end, &first))
            return false;
        last = first;
        if (text < end && *text == '-') {
            text++;
            if (!node_number(&text, end, &last) || last < first)
                return false;
        }
        for (unsigned n = first; n <= last; n++)
            *nodes |= UINT64_C(1) << n;
        if (text == end)
            return true;
        if (*text++ != ',')
            return false;
    }
}

uint64_t mt_memory_page(const struct memtrace_heap *heap)
{
    uint64_t page = heap->memory.page_bytes;
    return page > NORMAL ? page : NORMAL;
}

static bool is_huge(const struct memtrace_heap *heap)
{
    return heap->memory.page_bytes > NORMAL;
}

void *mt_memory_reserve(struct memtrace_heap *heap, uint64_t *bytes)
{
    uint64_t page = mt_memory_page(heap);
    uint64_t align = *bytes >= MIB(64) ? MIB(2) : MT_SLICE_BYTES;
    if (align < page)
        align = page;
    *bytes = (*bytes + page - 1) & ~(page - 1);
    return mt_os_reserve(*bytes, align);
}

/* Normal pages, with the heap's policy and advice. */
static bool commit_normal(const struct memtrace_heap *heap, void *at,
                          uint64_t bytes)
{
    const struct mt_memory *m = &heap->memory;
    if (!mt_os_commit(at, bytes))
        return false;
    if (m->thp != MT_THP_SYSTEM)
        mt_os_thp(at, bytes, m->thp == MT_THP_ON);
    if (m->nodes == 0 || mt_os_bind(at, bytes, m->nodes))
        return true;
    int why = errno;
    mt_os_uncommit(at, bytes);
    errno = why;
    return false;
}

bool mt_memory_commit(struct memtrace_heap *heap, void *at, uint64_t bytes)
{
    if (is_huge(heap)) {
        unsigned shift = (unsigned)__builtin_ctzll(heap->memory.page_bytes);
        if (mt_os_commit_huge(at, bytes, shift)) {
            if (heap->memory.nodes)
                mt_os_bind(at, bytes, heap->memory.nodes); /* tried at set-up */
            return true;
        }
        if (!heap->memory.fallback)
            return false;
        heap->record->page_bytes = NORMAL; /* from here on */
    }
    return commit_normal(heap, at, bytes);
}

/* Gets one page and gives it back. */
static bool kinds_probe(struct memtrace_heap *heap)
{
    uint64_t bytes = mt_memory_page(heap);
    bool fallback = heap->memory.fallback;
    heap->memory.fallback = false;
    void *page = mt_memory_reserve(heap, &bytes);
    bool ok = page && mt_memory_commit(heap, page, bytes);
    int why = errno;
    if (ok)
        mt_os_uncommit(page, bytes);
    if (page)
        mt_os_release(page, bytes);
    heap->memory.fallback = fallback;
    errno = why;
    return ok;
}

bool mt_memory_setup(struct memtrace_heap *heap,
                     const struct mt_memory_options *options)
{
    struct mt_memory *m = &heap->memory;
    uint64_t page = options->page_size;
    memset(m, 0, sizeof *m);
    m->page_bytes = page;
    m->thp = page == NORMAL ? MT_THP_OFF : options->thp;
    m->fallback = options->fallback;
    if ((page && page != NORMAL && page != MIB(2) && page != MIB(1024)) ||
        (options->nodes &&
         !mt_memory_nodes(options->nodes, strlen(options->nodes), &m->nodes))) {
        mt_memory_forget(heap);
        errno = EINVAL;
        return false;
    }
    if ((is_huge(heap) || m->nodes) && !kinds_probe(heap)) {
        if (!is_huge(heap) || !m->fallback) {
            mt_memory_forget(heap);
            return false;
        }
        m->page_bytes = 0;
        if (m->nodes && !kinds_probe(heap)) {
            mt_memory_forget(heap);
            return false;
        }
    }
    heap->record->page_bytes = (uint32_t)mt_memory_page(heap);
    heap->record->numa_nodes = m->nodes;
    heap->record->numa_node = m->nodes && !(m->nodes & (m->nodes - 1))
                                  ? __builtin_ctzll(m->nodes)
                                  : -1;
    return true;
}

void mt_memory_forget(struct memtrace_heap *heap)
{
    memset(&heap->memory, 0, sizeof heap->memory);
}
