/* SPDX-License-Identifier: BSD-2-Clause
 *
 * system_library.c - which modules are libraries of the system, by their paths.
 */
#include "coreanalyze/names/system_library.h"
#include "coreanalyze/base/text.h"

#include <stddef.h>
#include <string.h>

static const char *const libraries[] = {
    "libc.so",  "libc-2",      "ld-linux",   "ld-2",      "libpthread",
    "libdl.so", "libdl-2",     "librt.so",   "librt-2",   "libm.so",
    "libm-2",   "libstdc++.",  "libc++.",    "libc++abi", "libgcc_s",
    "ld-musl",  "libmemtrace", "libasan.so", NULL};

bool mt_module_is_library(const char *path)
{
    const char *name = mt_base_name(path);

    for (size_t i = 0; libraries[i]; i++)
        if (strncmp(name, libraries[i], strlen(libraries[i])) == 0)
            return true;
    return false;
}
