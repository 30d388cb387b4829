/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fail.c - the filling of errors.
 */
#include "coreanalyze/base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

bool mt_fail(struct mt_error *error, const char *format, ...)
{
    va_list args;

    if (error == NULL)
        return false;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *p = error->text; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    error->status = 1;
    error->no_memory = error->untraced = false;
    return false;
}

bool mt_no_memory(struct mt_error *error, const char *what)
{
    mt_fail(error, "out of memory for %s", what);
    if (error)
        error->no_memory = true;
    return false;
}
