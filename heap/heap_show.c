/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memtrace_heap_show(): the table of live memory by stack, printed by the
 * process itself without malloc or stdio.  Its scratch is one mapping of 24
 * bytes per stack; symbols are those that dladdr() knows.
 */
#include "heap/seldom.h"
#include "heap/memtrace.h"
#include "heap/attributes.h"
#include "heap/raw_print.h"
#include "heap/block_walk.h"
#include "heap/kernel.h"
#include "heap/capture/stacks.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct row {
    uint64_t bytes, sample;
    uint32_t count, stack;
};

struct table {
    struct row *rows;
    uint32_t n;
};

static int heap_show_add(mt_span *span, uint32_t index, void *arg)
{
    struct table *table = arg;
    uint64_t tag = mt_block_tag(span, index);
    uint32_t id = MT_TAG_STACK(tag);
    if (id >= table->n)
        return 0; /* newer than the table */
    struct row *row = &table->rows[id];
    uint64_t address = span->base + (uint64_t)index * span->block_bytes;
    if (row->count++ == 0 || address < row->sample)
        row->sample = address;
    row->bytes += mt_block_requested(span, tag);
    row->stack = id;
    return 0;
}

static bool heap_show_before(const struct row *a, const struct row *b)
{
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->stack < b->stack;
}

/* Heap sort: in place, and bounded whatever the rows are. */
static void heap_show_sift(struct row *rows, uint32_t at, uint32_t n)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && heap_show_before(&rows[child], &rows[child + 1]))
            child++;
        if (!heap_show_before(&rows[at], &rows[child]))
            return;
        struct row swap = rows[at];
        rows[at] = rows[child];
        rows[child] = swap;
        at = child;
    }
}

static void heap_show_sort(struct row *rows, uint32_t n)
{
    for (uint32_t i = n / 2; i-- > 0;)
        heap_show_sift(rows, i, n);
    for (uint32_t end = n; end-- > 1;) {
        struct row swap = rows[0];
        rows[0] = rows[end];
        rows[end] = swap;
        heap_show_sift(rows, 0, end);
    }
}

static void print_header(struct mt_print *out, memtrace_heap *heap)
{
    struct memtrace_stats s;
    const struct mt_heap_record *record = heap->record;
    memtrace_heap_stats(heap, &s);
    mt_print(out, "  base ");
    mt_print_hex(out, (uintptr_t)s.base);
    mt_print(out, ", size ");
    mt_print_size(out, s.size);
    if (record->flags & MT_HEAP_LOCKED)
        mt_print(out, ", locked");
    if (record->flags & MT_HEAP_UNMAP_ON_DESTROY)
        mt_print(out, ", unmap-on-destroy");
    mt_print(out, ", name '");
    mt_print(out, s.name);
    mt_print(out, "'\n    total: ");
    mt_print_size(out, s.size);
    mt_print(out, ", used: ");
    mt_print_size(out, s.used);
    mt_print(out, ", free: ");
    mt_print_size(out, s.size - s.used);
    mt_print(out, ", trimmable: ");
    mt_print_size(out, s.trimmable);
    mt_print(out, "\n      free chunks ");
    mt_print_u64(out, s.free_runs);
    mt_print(out, " free blocks ");
    mt_print_u64(out, s.free_blocks);
    mt_print(out, "\n      max total allocated ");
    mt_print_size(out, s.span_peak);
    mt_print(out, "\n\n");
}

static void heap_show_print_frame(struct mt_print *out, uint64_t pc)
{
    Dl_info info;
    /* The call is before the return address. */
    if (dladdr((void *)(uintptr_t)(pc - 1), &info) && info.dli_sname) {
        mt_print(out, info.dli_sname);
        mt_print(out, " + ");
        mt_print_hex(out, pc - (uintptr_t)info.dli_saddr);
    } else if (dladdr((void *)(uintptr_t)(pc - 1), &info) && info.dli_fname) {
        mt_print(out, info.dli_fname);
        mt_print(out, " + ");
        mt_print_hex(out, pc - (uintptr_t)info.dli_fbase);
    } else {
        mt_print_hex(out, pc);
    }
    mt_print(out, "\n");
}

static void print_row(struct mt_print *out, const struct row *row)
{
    mt_print_u64_right(out, row->bytes, 13);
    mt_print_u64_right(out, row->count, 9);
    mt_print(out, " ");
    mt_print_hex(out, row->sample);
    mt_print(out, " ");
    if (row->stack < MT_STACK_FIRST) {
        mt_print(out, row->stack == MT_STACK_UNTRACED    ? "(untraced)\n"
                      : row->stack == MT_STACK_UNSAMPLED ? "(not sampled)\n"
                                                         : "(no stack)\n");
        return;
    }
    const struct mt_stack_record *stack = mt_stacks_record(row->stack);
    uint64_t frames[MT_DEPTH_MAX];
    unsigned n = mt_stacks_frames(row->stack, frames);
    for (unsigned i = 0; i < n; i++) {
        if (i)
            mt_print(out, "                                      ");
        heap_show_print_frame(out, frames[i]);
    }
    if (stack->flags & MT_STACK_TRUNCATED)
        mt_print(out, "                                      (truncated)\n");
}

MT_EXPORT int memtrace_heap_show(memtrace_heap *heap, int fd, unsigned top)
{
    heap = mt_heap_meant(heap);
    if (heap == NULL)
        return -1;
    uint32_t n =
        (uint32_t)(mt_load_acquire(
                       &memtrace_root->sections[MT_SECTION_STACKS].used) /
                   sizeof(struct mt_stack_record));
    if (n < MT_STACK_FIRST)
        n = MT_STACK_FIRST;
    struct table table = {.n = n};
    table.rows = (void *)mt_kernel(SYS_mmap, NULL, n * sizeof(struct row),
                                   PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table.rows == MAP_FAILED) {
        errno = ENOMEM;
        return -1;
    }
    char text[1024];
    struct mt_print out = {.text = text, .size = sizeof text, .fd = fd};
    print_header(&out, heap);
    mt_print(&out, "        Bytes    Count     Sample   Traceback\n");
    mt_blocks_walk(heap, heap_show_add, &table);
    heap_show_sort(table.rows, n);
    for (uint32_t i = 0; i < n && table.rows[i].count; i++)
        if (top == 0 || i < top)
            print_row(&out, &table.rows[i]);
    mt_print_flush(&out);
    mt_kernel(SYS_munmap, table.rows, n * sizeof(struct row));
    return 0;
}
