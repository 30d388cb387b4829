/* SPDX-License-Identifier: BSD-2-Clause
 *
 * string_set.h - each text once, kept until all are freed.
 */
#ifndef MT_STRING_SET_H
#define MT_STRING_SET_H

#include "coreanalyze/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct mt_strings;

struct mt_strings *mt_strings_new(void);
void mt_strings_free(struct mt_strings *); /* takes NULL */
/* The one copy of a text; NULL for NULL, or when out of memory. */
const char *mt_strings_keep(struct mt_strings *, const char *text);
/* Adds `length` bytes of any value; the copy ends in NUL. */
const char *mt_strings_add(struct mt_strings *, const char *text,
                           size_t length);
/* False, with the error, if a text is missing for want of memory. */
bool mt_strings_are_whole(const struct mt_strings *, struct mt_error *error);
/* A text could not even be made, for want of memory: the set lacks it. */
void mt_strings_lack(struct mt_strings *);
/* What the set lacks is no longer asked for. */
void mt_strings_forget_lack(struct mt_strings *);
/* Takes over `text`, which is malloc'ed, or NULL. */
const char *mt_strings_take(struct mt_strings *, char *text);
/* Bytes as hexadecimal digits; NULL when out of memory. */
const char *mt_strings_hexadecimal(struct mt_strings *, const uint8_t *bytes,
                                   size_t n);

#endif
