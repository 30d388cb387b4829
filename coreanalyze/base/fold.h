/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fold.h - lines that fit a terminal: a longer one is broken at a space.
 */
#ifndef MT_FOLD_H
#define MT_FOLD_H

#include <stddef.h>
#include <stdio.h>

struct mt_fold {
    FILE *real, *kept; /* kept: NULL if lines are not folded */
    char *text;
    size_t bytes;
    unsigned width;
};

/* Returns the stream to write to until mt_fold_end(): lines that are longer
 * than `width` columns are then continued two columns further in.  A word that
 * is longer stays whole.  With width 0, or without memory, it is `out`. */
FILE *mt_fold_begin(struct mt_fold *fold, FILE *out, unsigned width);
/* Returns the stream that mt_fold_begin() was given; `out`, if it was not. */
FILE *mt_fold_end(struct mt_fold *fold, FILE *out);

#endif
