/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbolize_debuginfod.c - asks a debuginfod server for the files of a
 * build-id.
 */
#include "config.h"
#include "coreanalyze/symbols/symbolize_files.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct debuginfod_client client;

/* libdebuginfod, loaded when it is first needed and kept; it pulls in libcurl
 * and much more, which nobody should pay for who has no server. */
static struct {
    bool tried;
    client *(*begin)(void);
    int (*find_debuginfo)(client *, const unsigned char *, int, char **);
    int (*find_executable)(client *, const unsigned char *, int, char **);
    void (*end)(client *);
} library;

static bool debuginfod_load(void)
{
    void *handle;

    if (library.tried)
        return library.end != NULL;
    library.tried = true;
    handle = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return false;
    *(void **)&library.begin = dlsym(handle, "debuginfod_begin");
    *(void **)&library.find_debuginfo =
        dlsym(handle, "debuginfod_find_debuginfo");
    *(void **)&library.find_executable =
        dlsym(handle, "debuginfod_find_executable");
    if (library.begin == NULL || library.find_debuginfo == NULL ||
        library.find_executable == NULL)
        return false;
    *(void **)&library.end = dlsym(handle, "debuginfod_end");
    return library.end != NULL;
}

struct mt_elf *mt_debuginfod_find(const uint8_t *build_id, size_t bytes,
                                  bool debug, char **path)
{
    const char *urls = getenv("DEBUGINFOD_URLS");
    struct mt_elf *elf = NULL;
    struct mt_error error;
    const uint8_t *id;
    size_t id_bytes;

    *path = NULL;
    if (urls == NULL || urls[0] == 0 || bytes > 64 || !debuginfod_load())
        return NULL;
    client *session = library.begin();
    if (session == NULL)
        return NULL;
    int fd = debug
                 ? library.find_debuginfo(session, build_id, (int)bytes, path)
                 : library.find_executable(session, build_id, (int)bytes, path);
    library.end(session);
    if (fd >= 0) {
        close(fd);
        elf = mt_elf_open(*path, &error);
    }
    if (elf == NULL || !mt_elf_build_id(elf, &id, &id_bytes) ||
        id_bytes != bytes || memcmp(id, build_id, bytes) != 0) {
        mt_elf_close(elf);
        free(*path);
        *path = NULL;
        return NULL;
    }
    return elf;
}
