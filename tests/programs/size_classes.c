/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A heap "sizes" with known blocks, for tests/e2e/classes.  Prints what the
 * heap says of its own classes, then "ready", and waits for a line.
 */
#include "heap/memtrace.h"

#include <stdio.h>
#include <stdlib.h>

#pragma weak memtrace_alloc
#pragma weak memtrace_free
#pragma weak memtrace_heap_class_stats
#pragma weak memtrace_heap_create

/* Number of blocks of a size, of which every third is freed again. */
static const struct {
    size_t size, count;
} plan[] = {{16, 3000}, {100, 300}, {1000, 30}, {20000, 6}, {100000, 3}};

int main(void)
{
    struct memtrace_heap_options options = {.name = "sizes",
                                            .flags = MEMTRACE_HEAP_TRACE};
    memtrace_heap *heap =
        memtrace_heap_create ? memtrace_heap_create(&options) : NULL;
    if (heap == NULL)
        return puts("no heap"), 1;
    for (size_t i = 0; i < sizeof plan / sizeof *plan; i++) {
        void **blocks = calloc(plan[i].count, sizeof *blocks);
        for (size_t n = 0; n < plan[i].count; n++)
            blocks[n] = memtrace_alloc(heap, plan[i].size);
        for (size_t n = 0; n < plan[i].count; n += 3)
            memtrace_free(blocks[n]);
        free(blocks);
    }
    struct memtrace_class_stats stats[100];
    int n = memtrace_heap_class_stats(heap, stats, 100);
    for (int c = 0; c < n; c++)
        if (stats[c].span_bytes)
            printf("%zu %zu %zu %zu %zu\n", stats[c].size, stats[c].blocks,
                   stats[c].used, stats[c].free_blocks, stats[c].span_bytes);
    puts("ready");
    fflush(stdout);
    return getchar() == EOF;
}
