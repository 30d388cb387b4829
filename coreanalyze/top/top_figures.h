/* SPDX-License-Identifier: BSD-2-Clause
 *
 * top_figures.h - amounts, changes and ages in a few columns.
 */
#ifndef MT_TOP_FIGURES_H
#define MT_TOP_FIGURES_H

#include "coreanalyze/reports/print.h"

#include <stdbool.h>
#include <stdint.h>

#define MT_TOP_FIGURE 32

/* Bytes as mt_figure() has them, or with a sign. */
const char *mt_top_bytes(const struct mt_style *style, uint64_t bytes,
                         char text[MT_TOP_FIGURE]);
const char *mt_top_signed_bytes(const struct mt_style *style, int64_t bytes,
                                char text[MT_TOP_FIGURE]);
/* A number in at most seven columns, or with a sign in eight: 1234567, 12M. */
const char *mt_top_count(const struct mt_style *style, uint64_t n,
                         char text[MT_TOP_FIGURE]);
const char *mt_top_signed_count(const struct mt_style *style, int64_t n,
                                char text[MT_TOP_FIGURE]);
/* Eight parts of the time, the oldest first: blocks or, without UTF-8, the
 * digits of show. */
const char *mt_top_ages(const uint64_t ages[MT_SHOW_AGES], bool utf8,
                        char text[MT_TOP_FIGURE]);
/* The rate as a whole number; small ones are not 0. */
int64_t mt_top_whole(double rate);

#endif
