/* SPDX-License-Identifier: BSD-2-Clause
 *
 * heap_model.h - a heap's random life beside a model of what it should be.
 */
#ifndef MT_HEAP_MODEL_H
#define MT_HEAP_MODEL_H

#include "heap/memtrace.h"

#include <stdint.h>

#define MODEL_SLOTS 3000

/* The model: every live block, its size, and its contents.  One thread uses it
 * at a time. */
struct model {
    memtrace_heap *heap;
    uint64_t random;
    uint64_t operations;
    uint64_t failures; /* allocations that got no memory */
    uint64_t wrong;    /* disagreements, each printed */
    struct model_block {
        unsigned char *p;
        size_t size;
    } blocks[MODEL_SLOTS];
};

void model_init(struct model *, memtrace_heap *, uint64_t seed);
uint64_t model_random(struct model *);
/* n random operations: alloc, aligned, calloc, realloc, free. */
void model_run(struct model *, uint64_t n);
/* Compares every block with what it should hold. */
void model_verify(struct model *);
/* Frees all. */
void model_clear(struct model *);

#endif
