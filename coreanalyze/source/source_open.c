/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_open.c - a target by the word that names it: a process or a core.
 */
#include "coreanalyze/source/source.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

struct mt_source *mt_source_open(const char *target, struct mt_error *error)
{
    const char *p = target;

    while (isdigit((unsigned char)*p))
        p++;
    if (p != target && *p == '\0' && p - target < 10 &&
        access(target, F_OK) != 0)
        return mt_source_open_pid((pid_t)atol(target), error);
    return mt_source_open_core(target, error);
}
