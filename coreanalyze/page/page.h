/* SPDX-License-Identifier: BSD-2-Clause
 *
 * page.h - a report as one HTML file: the page's own text, and data as JSON.
 *
 * The page loads nothing: its policy (Content-Security-Policy) allows only the
 * style and the script that it has itself, by a random word.  Data cannot end
 * its element: `<` is written as an escape of JSON.
 */
#ifndef MT_PAGE_H
#define MT_PAGE_H

#include "coreanalyze/base/error.h"

#include <stdio.h>

struct mt_page {
    FILE *out;
    const char *path; /* for errors */
    char nonce[33];
};

/* The head of the file; `title` may hold any bytes. */
bool mt_page_begin(struct mt_page *page, FILE *out, const char *path,
                   const char *title, struct mt_error *error);
/* A stream for one JSON value, which the page finds as `id`; NULL with `error`
 * filled when out of memory. */
FILE *mt_page_data(struct mt_page *page, const char *id,
                   struct mt_error *error);
/* Closes that stream.  False with `error` filled if it is not whole. */
bool mt_page_data_end(struct mt_page *page, FILE *data, struct mt_error *error);
void mt_page_end(struct mt_page *page);

#endif
