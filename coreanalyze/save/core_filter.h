/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_filter.h - which pages of a core a mini-core is made of, when they come
 * by once, in the order of their addresses.
 */
#ifndef MT_CORE_FILTER_H
#define MT_CORE_FILTER_H

#include "coreanalyze/base/error.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MT_FILTER_PAGE 4096u
#define MT_FILTER_ROOTS 8u

/* An ELF file, or another one, that is mapped. */
struct mt_filter_file {
    uint64_t start, end; /* of all its mappings */
    const char *path;
};

struct mt_core_filter {
    struct mt_filter_file *files; /* by address */
    size_t n_files, capacity;
    char *text; /* the note that the paths are in */
    uint64_t vdso;
    /* The segment that comes by. */
    uint64_t start;
    bool writable, module, data;
    uint64_t data_end;   /* where the writable data of a file ended so far */
    uint64_t data_left;  /* bytes of it that may still be kept */
    uint64_t found_left; /* of pages that are kept for what they hold */
    /* Traces: where they begin and end. */
    struct {
        uint64_t start, end;
    } roots[MT_FILTER_ROOTS];
    unsigned n_roots;
};

/* Takes the notes of the core from a file that has them.  False with `error`
 * filled when out of memory. */
bool mt_core_filter_begin(struct mt_core_filter *filter, int file,
                          uint64_t offset, uint64_t bytes,
                          struct mt_error *error);
void mt_core_filter_free(struct mt_core_filter *filter);

/* A segment begins: its pages follow. */
void mt_core_filter_segment(struct mt_core_filter *filter,
                            const Elf64_Phdr *program);
/* Must the page at `address` be kept?  It is not all zeros. */
bool mt_core_filter_page(struct mt_core_filter *filter, uint64_t address,
                         const uint8_t *page, size_t bytes);

#endif
