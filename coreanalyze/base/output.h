/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output.h - files that are complete or not there.
 */
#ifndef MT_OUTPUT_H
#define MT_OUTPUT_H

#include "coreanalyze/base/error.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct mt_output {
    FILE *file;
    const char *path;
    char *real;      /* where its link leads, or NULL; it keeps the link */
    bool is_new;     /* false: written in place, as devices and pipes are */
    char *temporary; /* its name until it is complete; NULL: it has none */
    uint64_t bytes;  /* of a closed file, 0 of devices and pipes */
};

/* Opens a file that close gives the name `path`; its permissions are `mode`,
 * less the umask.  Nothing is left if this process is killed before, where the
 * file system has O_TMPFILE.  False with `error` filled. */
bool mt_output_open(struct mt_output *output, const char *path, mode_t mode,
                    struct mt_error *error);
/* False with `error` filled if not all could be written, or `ok` is false
 * (`error` is then kept); nothing is left then. */
bool mt_output_close(struct mt_output *output, bool ok, struct mt_error *error);
/* Prints the size of a closed file to `out`, unless it is a device or pipe. */
void mt_output_print(const struct mt_output *output, const char *path,
                     FILE *out);

/* The pattern with `pid` for every %p, the time in seconds for every %t, `name`
 * for every %n (unless NULL; with
 * `_` for slashes) and % for %%.  NULL when out of memory; the caller frees
 * it. */
char *mt_output_name(const char *pattern, uint32_t pid, const char *name);

#endif
