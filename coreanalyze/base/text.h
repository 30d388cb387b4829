/* SPDX-License-Identifier: BSD-2-Clause
 *
 * text.h - pieces of text that all printers need.  Text from the target may
 * hold any bytes.
 */
#ifndef MT_TEXT_H
#define MT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Length of the UTF-8 character at `text` (printable or not), 0 if its bytes
 * are none. */
size_t mt_utf8_length(const char *text);

/* Text for a terminal: control characters and bytes that are not valid UTF-8
 * come out as '?'. */
void mt_put_text(FILE *out, const char *text);

/* "1.50M", "16K", "123": up to two decimals, units of 1024. */
void mt_put_size(FILE *out, uint64_t bytes);
/* The same in a sentence: "123 bytes". */
void mt_put_bytes(FILE *out, uint64_t bytes);

/* The ending of a noun: "" for 1 of them, otherwise "s". */
const char *mt_plural(uint64_t n);

/* Writes a text about n things: "%s" becomes n, and "{one|many}" the word for
 * n: "%s block{|s} {is|are} damaged". */
void mt_put_count(FILE *out, const char *text, uint64_t n);
/* The same; "%b" becomes n bytes, as mt_put_size() writes them or exactly. */
void mt_put_count_as(FILE *out, const char *text, uint64_t n, bool exact);

/* A number at *AT in hexadecimal digits, or in decimal ones; 0 without digits.
 * Moves *AT after them.  Files of /proc have thousands of these, for which
 * sscanf takes some hundred instructions each. */
uint64_t mt_scan_hex(const char **at);
uint64_t mt_scan_decimal(const char **at);

/* Can `word` be a misspelling of `name`: a letter or two missing, wrong, too
 * many or changed about? */
bool mt_is_near(const char *word, const char *name);

/* A copy of a list of texts that NULL ends; NULL when out of memory. */
char **mt_text_list_copy(const char *const *texts);
void mt_text_list_free(char **texts); /* takes NULL */

/* The last part of a path. */
const char *mt_base_name(const char *path);

#endif
