/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbolize_debuginfod.c - asks a debuginfod server for the files of a
 * build-id.
 */
#include "config.h"
#include "coreanalyze/symbols/symbolize_files.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 5 /* for a server that says nothing */
#define MOST_WAIT_S 3600

typedef struct debuginfod_client client;
typedef int progress_fn(client *, long, long);

/* One question to the servers. */
struct query {
    const struct mt_files_options *options;
    struct timespec since; /* the servers said something last */
    long at;               /* what they had said then */
    bool gave_up, late;
};

/* libdebuginfod, loaded when it is first needed and kept; it pulls in libcurl
 * and much more, which nobody should pay for who has no server.  A server that
 * did not answer once is not asked again. */
static struct {
    bool tried, silent;
    client *(*begin)(void);
    int (*find_debuginfo)(client *, const unsigned char *, int, char **);
    int (*find_executable)(client *, const unsigned char *, int, char **);
    void (*set_progress)(client *, progress_fn *);
    void (*set_data)(client *, void *);
    void *(*get_data)(client *);
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
    *(void **)&library.set_progress =
        dlsym(handle, "debuginfod_set_progressfn");
    *(void **)&library.set_data = dlsym(handle, "debuginfod_set_user_data");
    *(void **)&library.get_data = dlsym(handle, "debuginfod_get_user_data");
    if (library.begin == NULL || library.find_debuginfo == NULL ||
        library.find_executable == NULL || library.set_progress == NULL ||
        library.set_data == NULL || library.get_data == NULL)
        return false;
    *(void **)&library.end = dlsym(handle, "debuginfod_end");
    return library.end != NULL;
}

/* Seconds to wait: DEBUGINFOD_TIMEOUT, as other programs take it. */
static long debuginfod_wait(void)
{
    const char *text = getenv("DEBUGINFOD_TIMEOUT");
    long seconds = text != NULL ? strtol(text, NULL, 10) : 0;

    return seconds > 0 && seconds <= MOST_WAIT_S ? seconds : WAIT_S;
}

/* Called all the time while the library waits; anything but 0 ends that. */
static int debuginfod_progress(client *session, long done, long total)
{
    struct query *query = library.get_data(session);
    const struct mt_files_options *options = query->options;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    /* Without a size, `done` may count these calls. */
    if (total > 0 && done != query->at) {
        query->at = done;
        query->since = now;
    }
    query->late = now.tv_sec - query->since.tv_sec > debuginfod_wait();
    if (query->late || (options->waiting != NULL &&
                        !options->waiting(options->waiting_context,
                                          "asking the debuginfod servers",
                                          done > 0 ? (uint64_t)done : 0,
                                          total > 0 ? (uint64_t)total : 0)))
        query->gave_up = true;
    return query->gave_up;
}

static int debuginfod_ask(const struct mt_files_options *options,
                          const uint8_t *build_id, int bytes, bool debug,
                          char **path)
{
    struct query query = {.options = options};
    client *session = library.begin();
    int fd;

    if (session == NULL)
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &query.since);
    library.set_data(session, &query);
    library.set_progress(session, debuginfod_progress);
    fd = debug ? library.find_debuginfo(session, build_id, bytes, path)
               : library.find_executable(session, build_id, bytes, path);
    library.end(session);
    library.silent = fd < 0 && query.gave_up;
    if (library.silent && query.late)
        fprintf(stderr,
                "memtrace: the debuginfod servers did not answer for %ld s and "
                "are not asked again\n",
                debuginfod_wait());
    return fd;
}

struct mt_elf *mt_debuginfod_find(const struct mt_files_options *options,
                                  const uint8_t *build_id, size_t bytes,
                                  bool debug, char **path, char note[256])
{
    const char *urls = getenv("DEBUGINFOD_URLS");
    struct mt_elf *elf = NULL;
    struct mt_error error;
    const uint8_t *id;
    size_t id_bytes;
    int fd = -1;

    *path = NULL;
    if (urls == NULL || urls[0] == 0 || bytes > 64 || !debuginfod_load())
        return NULL;
    if (!library.silent)
        fd = debuginfod_ask(options, build_id, (int)bytes, debug, path);
    if (library.silent)
        snprintf(note, 256, "the debuginfod servers did not answer");
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
