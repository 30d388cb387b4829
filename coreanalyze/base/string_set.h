/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SYMBOLIZE_STRINGS_H
#define MT_SYMBOLIZE_STRINGS_H

/* symbolize_strings.h: each text once, kept until all are freed. */
#include <stddef.h>

struct mt_strings;

struct mt_strings *mt_strings_new(void);
void mt_strings_free(struct mt_strings *); /* takes NULL */
/* The one copy of TEXT; NULL for NULL, or when out of memory. */
const char *mt_strings_keep(struct mt_strings *, const char *text);
/* Takes over TEXT, which is malloc'ed, or NULL. */
const char *mt_strings_take(struct mt_strings *, char *text);

#endif
