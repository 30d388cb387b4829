/* SPDX-License-Identifier: BSD-2-Clause
 *
 * preload_env.c - sets LD_PRELOAD.
 */
#include "coreanalyze/check/preload_env.h"
#include "coreanalyze/check/untraced.h"

#include <stdio.h>
#include <stdlib.h>

bool mt_preload_set(const char *path, const char *program)
{
    const char *old = getenv("LD_PRELOAD");
    char *text = NULL;
    bool ok;

    if (mt_untraced_refuses(program))
        return true;
    ok = asprintf(&text, "%s%s%s", path, old && *old ? ":" : "",
                  old ? old : "") > 0 &&
         setenv("LD_PRELOAD", text, 1) == 0;
    free(text);
    return ok;
}
