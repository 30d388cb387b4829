/* SPDX-License-Identifier: BSD-2-Clause
 *
 * installed.c - finds the preload library and GDB's script: beside the
 * command in a build tree, or where they are installed.
 */
#include "coreanalyze/commands/installed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRELOAD "libmemtrace-preload.so"
#define SCRIPT "memtrace.py"

static bool installed_readable(const char *path)
{
    return access(path, R_OK) == 0;
}

/* The first of `places`, relative to the command's folder, that exists; the
 * last one is absolute. `path` is the last one if none exists. */
static bool installed_find(const char *const places[], char path[PATH_MAX])
{
    char self[PATH_MAX], place[2 * PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    self[length > 0 ? length : 0] = '\0';
    if (strrchr(self, '/'))
        *strrchr(self, '/') = '\0';
    for (; places[1]; places++) {
        snprintf(place, sizeof place, "%s%s", self, places[0]);
        if (realpath(place, path) && installed_readable(path))
            return true;
    }
    snprintf(path, PATH_MAX, "%s", places[0]);
    return installed_readable(path);
}

bool mt_installed_preload(const char *command, char path[PATH_MAX],
                          struct mt_error *error)
{
    static const char *const places[] = {
        "/../preload/.libs/" PRELOAD,
        "/../../preload/.libs/" PRELOAD,
        "/../lib/" PRELOAD,
        "/../lib64/" PRELOAD,
        "/../lib/x86_64-linux-gnu/" PRELOAD,
        MT_LIBDIR "/" PRELOAD,
        NULL,
    };
    const char *set = getenv("MEMTRACE_PRELOAD");

    if (set && *set) {
        if (realpath(set, path) && installed_readable(path))
            return true;
        return mt_fail(error, "%s: MEMTRACE_PRELOAD names %s: %s", command, set,
                       strerror(errno));
    }
    return installed_find(places, path) ||
           mt_fail(error, "%s: %s is not found; MEMTRACE_PRELOAD can name it",
                   command, path);
}

bool mt_installed_gdb_script(const char *command, char path[PATH_MAX],
                             struct mt_error *error)
{
    static const char *const places[] = {
        "/../gdb/" SCRIPT,
        "/../../gdb/" SCRIPT,
        "/../share/memtrace/gdb/" SCRIPT,
        MT_GDBDIR "/" SCRIPT,
        NULL,
    };

    return installed_find(places, path) ||
           mt_fail(error, "%s: %s is not found", command, path);
}

void mt_installed_suppressions(char path[PATH_MAX])
{
    static const char *const places[] = {
        "/suppressions",
        "/../suppressions",
        "/../share/memtrace/suppressions",
        MT_SUPPRESSIONSDIR,
        NULL,
    };

    if (!installed_find(places, path))
        path[0] = '\0';
}
