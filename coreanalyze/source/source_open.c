/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_open.c - a target by the word that names it: a process or a core.
 */
#include "coreanalyze/source/process_name.h"
#include "coreanalyze/source/source.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file, unless it is a folder, which may be a cgroup. */
static bool names_file(const char *target)
{
    struct stat status;

    return stat(target, &status) == 0 && !S_ISDIR(status.st_mode);
}

struct mt_source *mt_source_open(const char *target, struct mt_error *error)
{
    const char *p = target;
    pid_t pid = 0;

    if (names_file(target))
        return mt_source_open_core(target, error);
    while (isdigit((unsigned char)*p))
        p++;
    if (p != target && *p == '\0' && p - target < 10)
        return mt_source_open_pid((pid_t)atol(target), error);
    if (!mt_process_by_name(target, &pid, error))
        return NULL;
    return pid ? mt_source_open_pid(pid, error)
               : mt_source_open_core(target, error);
}
