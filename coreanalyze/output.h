/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output.h - files that are complete or not there.
 */
#ifndef MT_OUTPUT_H
#define MT_OUTPUT_H

#include "coreanalyze/error.h"

#include <stdio.h>

struct mt_output {
    FILE *file;
    const char *path;
    char *temporary; /* NULL: written in place, as devices and pipes are */
};

/* Opens a file beside `path` that close gives this name.  False with `error`
 * filled. */
bool mt_output_open(struct mt_output *output, const char *path,
                    struct mt_error *error);
/* False with `error` filled if not all could be written, or `ok` is false
 * (`error` is then kept); nothing is left then. */
bool mt_output_close(struct mt_output *output, bool ok, struct mt_error *error);

#endif
