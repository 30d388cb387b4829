/* SPDX-License-Identifier: BSD-2-Clause
 *
 * error.h - errors of the reader: one line of text that the caller owns.
 */
#ifndef MT_ERROR_H
#define MT_ERROR_H

#include <stdbool.h>

struct mt_error {
    char text[512]; /* one line, no newline; "" when nothing failed */
    int status;     /* exit status it stands for; 0 when nothing failed */
    bool no_memory; /* memory ran out */
    bool untraced;  /* the process is not on the traced heap */
};

/* Fills `error` (may be NULL) with status 1; always returns false. */
bool mt_fail(struct mt_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Fails with "out of memory" for `what`, such as "the leaks". */
bool mt_no_memory(struct mt_error *error, const char *what);

#endif
