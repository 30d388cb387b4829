/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbolize_debuginfod.c - asks a debuginfod server for the files of a
 * build-id.
 *
 * A thread asks, and the caller waits for it.  libdebuginfod 0.192 and later
 * say nothing until a server has begun to send, so that they cannot be told to
 * stop waiting for one that does not; the thread is left to itself then.
 */
#include "config.h"
#include "coreanalyze/symbols/symbolize_files.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 5 /* for a server that says nothing */
#define MOST_WAIT_S 3600
#define STEP_NS 100000000 /* between two looks at what came */
#define LEAVE_STEPS 15    /* for a thread that is told to end */

typedef struct debuginfod_client client;
typedef int progress_fn(client *, long, long);

/* One question to the servers, of two threads. */
struct query {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended;       /* the thread has; the caller frees this */
    bool gave_up;     /* the library is to end the question */
    bool left;        /* the caller has; the thread frees this */
    long done, total; /* bytes, as the library has them */
    int fd;
    char *path;
    bool debug;
    int id_bytes;
    uint8_t build_id[64];
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

/* Anything but 0 ends the question. */
static int query_progress(client *session, long done, long total)
{
    struct query *query = library.get_data(session);
    bool gave_up;

    pthread_mutex_lock(&query->lock);
    query->done = done;
    query->total = total;
    gave_up = query->gave_up;
    pthread_mutex_unlock(&query->lock);
    return gave_up;
}

static void query_free(struct query *query)
{
    pthread_cond_destroy(&query->changed);
    pthread_mutex_destroy(&query->lock);
    free(query);
}

static void query_ask(struct query *query)
{
    client *session = library.begin();

    if (session == NULL)
        return;
    library.set_data(session, query);
    library.set_progress(session, query_progress);
    query->fd = query->debug
                    ? library.find_debuginfo(session, query->build_id,
                                             query->id_bytes, &query->path)
                    : library.find_executable(session, query->build_id,
                                              query->id_bytes, &query->path);
    library.end(session);
}

static void *query_main(void *argument)
{
    struct query *query = argument;
    bool left;

    query_ask(query);
    pthread_mutex_lock(&query->lock);
    query->ended = true;
    left = query->left;
    pthread_cond_signal(&query->changed);
    pthread_mutex_unlock(&query->lock);
    if (left) {
        if (query->fd >= 0)
            close(query->fd);
        free(query->path);
        query_free(query);
    }
    return NULL;
}

static struct query *query_new(const uint8_t *build_id, int bytes, bool debug)
{
    struct query *query = calloc(1, sizeof *query);
    pthread_condattr_t attributes;

    if (query == NULL)
        return NULL;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&query->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&query->lock, NULL);
    query->fd = -1;
    query->debug = debug;
    query->id_bytes = bytes;
    memcpy(query->build_id, build_id, (size_t)bytes);
    return query;
}

/* The thread that asks; signals are for the others. */
static bool query_start(struct query *query)
{
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;
    bool ok;

    sigfillset(&all);
    if (pthread_attr_init(&detached) != 0)
        return false;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    ok = pthread_create(&thread, &detached, query_main, query) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return ok;
}

/* Waits for a step at most, with the lock; true if the thread has ended. */
static bool query_step(struct query *query)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += STEP_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (!query->ended)
        pthread_cond_timedwait(&query->changed, &query->lock, &until);
    return query->ended;
}

/* Waits until the thread has ended, the servers have said nothing for too long,
 * or the caller wants no more.  With the lock. */
static void query_wait(struct query *query,
                       const struct mt_files_options *options)
{
    struct timespec since, now; /* the servers said something last */
    long at = 0;                /* what they had said then */
    bool late = false;

    clock_gettime(CLOCK_MONOTONIC, &since);
    while (!query_step(query) && !query->gave_up) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        /* Without a size, `done` may count calls. */
        if (query->total > 0 && query->done != at) {
            at = query->done;
            since = now;
        }
        late = now.tv_sec - since.tv_sec > debuginfod_wait();
        query->gave_up =
            late ||
            (options->waiting != NULL &&
             !options->waiting(options->waiting_context,
                               "asking the debuginfod servers",
                               query->done > 0 ? (uint64_t)query->done : 0,
                               query->total > 0 ? (uint64_t)query->total : 0));
    }
    if (late)
        fprintf(stderr,
                "memtrace: the debuginfod servers did not answer for %ld s and "
                "are not asked again\n",
                debuginfod_wait());
    for (int i = 0; query->gave_up && i < LEAVE_STEPS; i++)
        if (query_step(query))
            break;
}

static int debuginfod_ask(const struct mt_files_options *options,
                          const uint8_t *build_id, int bytes, bool debug,
                          char **path)
{
    struct query *query = query_new(build_id, bytes, debug);
    bool ended;
    int fd;

    if (query == NULL) {
        if (options->no_memory)
            *options->no_memory = true;
        return -1;
    }
    pthread_mutex_lock(&query->lock);
    if (!query_start(query)) {
        pthread_mutex_unlock(&query->lock);
        query_free(query);
        return -1;
    }
    query_wait(query, options);
    ended = query->ended;
    query->left = !ended;
    fd = ended ? query->fd : -1;
    *path = ended ? query->path : NULL;
    library.silent = query->gave_up && fd < 0;
    pthread_mutex_unlock(&query->lock);
    if (ended)
        query_free(query);
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
        if (elf == NULL && error.no_memory && options->no_memory)
            *options->no_memory = true;
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
