/* SPDX-License-Identifier: BSD-2-Clause
 *
 * trace_image.h - makes a trace region with planted heaps, blocks and stacks,
 * and an ELF core of it, for tests of the readers.  A test may then change
 * any byte of it.  Running out of room or memory ends the test program.
 */
#ifndef MT_TESTS_TRACE_IMAGE_H
#define MT_TESTS_TRACE_IMAGE_H

#include "heap/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define IMAGE_BASE UINT64_C(0x7f1200000000) /* address of the trace region */
#define IMAGE_HEAP UINT64_C(0x7e0000000000) /* address of the first region */
#define IMAGE_PID 4242u
#define IMAGE_START_NS UINT64_C(1000000000)

struct image {
    uint8_t *bytes; /* the trace region */
    size_t size;
    struct mt_root *root;
    uint32_t pages_before; /* of the mapping, before the root */
    bool no_files;         /* leave out NT_FILE */
    /* Also in the core, if not NULL: bytes at an address. */
    const void *extra;
    uint64_t extra_address;
    size_t extra_bytes;
};

/* Size of every section; set it before image_new(). */
extern uint32_t image_section_bytes;

/* A region with the root, its schema, and empty sections. */
struct image *image_new(void);
void image_free(struct image *);

/* Takes `bytes` of a section; the address in the target. */
uint64_t image_alloc(struct image *, unsigned section, size_t bytes);
/* The bytes at an address of the target in the trace region. */
void *image_at(struct image *, uint64_t address);
void *image_record(struct image *, unsigned section, uint32_t index,
                   size_t bytes);
#define IMAGE_RECORD(image, SECTION, type, index)                              \
    ((struct type *)image_record(image, MT_SECTION_##SECTION, index,           \
                                 sizeof(struct type)))

/* Each returns the id of what it adds. */
uint32_t image_string(struct image *, const char *text); /* its offset */
uint32_t image_heap(struct image *, const char *name, uint32_t trace,
                    uint32_t flags);
uint32_t image_region(struct image *, uint32_t heap, uint64_t base,
                      uint32_t slices);
uint32_t image_node(struct image *, uint32_t parent, uint64_t pc);
uint32_t image_stack(struct image *, unsigned depth, const uint64_t *frames);
uint32_t image_epoch(struct image *, uint64_t ns_since_start, const char *mark);
uint32_t image_module(struct image *, uint64_t start, uint64_t end,
                      const char *path);
uint32_t image_thread(struct image *, uint32_t tid, const char *name);

/* A span after those that the region has; all of its blocks are free. */
uint32_t image_small(struct image *, uint32_t region, uint64_t block_bytes,
                     uint32_t n_blocks);
uint32_t image_large(struct image *, uint32_t region, uint64_t requested);
uint32_t image_free_run(struct image *, uint32_t region, uint32_t slices);

/* Makes a block live; returns its address. */
uint64_t image_block(struct image *, uint32_t span, uint32_t index,
                     uint32_t stack, uint32_t epoch, uint64_t bytes);
/* Frees it, by its owner or from another thread; its tag stays. */
void image_release(struct image *, uint32_t span, uint32_t index, bool remote);

/* Writes the schema anew, after `edit` (may be NULL) has changed a copy of a
 * line; an empty line is left out. */
void image_schema(struct image *, void (*edit)(char *line, size_t bytes));

/* Writes a core to a new temporary file, cut to `limit` bytes if not 0; the
 * path is static and valid until the next call. */
const char *image_core(struct image *, uint64_t limit);
/* Makes the image in memory; the caller frees it. */
uint8_t *image_core_bytes(struct image *, size_t *bytes);

/* A small target for all: a heap with three stacks.
 *   stack 0: 3 blocks of 100 bytes; stack 1: 1 large of 1,000,000 bytes;
 *   stack 2: 2 blocks of 40 bytes, one of them freed; 1 untraced block. */
struct plan {
    uint32_t heap, region, small, large, bits, stacks[3];
    uint64_t blocks[3];
};
struct image *image_planned(struct plan *);

#endif
