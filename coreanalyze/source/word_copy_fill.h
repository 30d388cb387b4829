/* SPDX-License-Identifier: BSD-2-Clause
 *
 * word_copy_fill.h - reads all pieces of a word copy once, by all processors,
 * and keeps what somebody chooses.
 */
#ifndef MT_WORD_COPY_FILL_H
#define MT_WORD_COPY_FILL_H

#include "coreanalyze/source/source.h"
#include "coreanalyze/source/word_copy.h"

#define MT_FILL_PART (UINT64_C(1) << 20)
#define MT_FILL_PAGES (MT_FILL_PART / MT_STORE_PAGE)

struct mt_fill {
    struct mt_word_copy *word_copy;
    const struct mt_word_filter *filter;
    /* Both may be called by many threads at once.  `read` is as the source's;
     * what it cannot read counts as zeros, or ends it all if `strict`. */
    size_t (*read)(void *context, uint64_t address, void *buffer, size_t bytes);
    /* Which of up to MT_FILL_PAGES pages have memory: those of the others are
     * neither read nor wanted.  NULL: all. */
    void (*present)(void *context, uint64_t address, size_t n_pages,
                    bool *present);
    void *context;
    bool strict;
    const struct mt_progress *progress; /* or NULL */
    const char *step;
    uint64_t read_bytes; /* set by mt_word_copy_fill */
    bool stopped;        /* the same: by the progress hook */
};

/* False when the word copy is full, memory ran out, or it was stopped. */
bool mt_word_copy_fill(struct mt_fill *fill);

/* Memory that can be had without pushing others out, in bytes. */
uint64_t mt_available_bytes(void);

#endif
