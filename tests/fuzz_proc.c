/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_proc.c - the readers of /proc and of cgroups' files get any text.
 *
 * The input is cut at bytes 0xff; each part is what one file has.  open and
 * fopen are replaced when the program is linked, so the code that reads is the
 * code that is shipped.  The process that is read is this one: its memory,
 * descriptors and threads are real.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/source/memory_use.h"
#include "coreanalyze/source/proc_task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const names[] = {
    "/maps",           "/smaps",       "/status",     "/stat",    "/comm",
    "/cmdline",        "/auxv",        "/statm",      "/timers",  "/fdinfo/7",
    "/cgroup",         "/mountinfo",   "/limits",     "/meminfo", "/memory.max",
    "/memory.current", "/memory.stat", "/memory.high"};
#define N_NAMES (sizeof names / sizeof *names)

static struct {
    const uint8_t *data;
    size_t bytes;
} parts[N_NAMES];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
FILE *__wrap_fopen(const char *path, const char *mode);

static int file_of(size_t part)
{
    int file = memfd_create("part", MFD_CLOEXEC);

    if (file >= 0 && (write(file, parts[part].data, parts[part].bytes) < 0 ||
                      lseek(file, 0, SEEK_SET) < 0))
        abort();
    return file;
}

static bool ends_with(const char *path, const char *name)
{
    size_t n = strlen(path), m = strlen(name);

    return n >= m && strcmp(path + n - m, name) == 0;
}

/* Files on disk are not there. */
int __wrap_open(const char *path, int flags, ...)
{
    bool proc = strncmp(path, "/proc/", 6) == 0;

    if (!proc && strncmp(path, "/sys/fs/cgroup", 14) != 0)
        return errno = ENOENT, -1;
    for (size_t i = 0; i < N_NAMES; i++)
        if (ends_with(path, names[i]))
            return file_of(i);
    if (proc)
        return __real_open(path, flags);
    return errno = ENOENT, -1;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    int file = __wrap_open(path, O_RDONLY);

    (void)mode;
    return file < 0 ? NULL : fdopen(file, "r");
}

static void read_process(struct live *live)
{
    struct mt_source *source = &live->source;
    struct mt_mapping_use *uses = calloc(source->n_mappings + 1, sizeof *uses);
    struct mt_error error = {0};

    if (uses)
        mt_live_uses(source, uses, &error);
    mt_live_find_lazy(live);
    for (size_t i = 0; i < source->n_mappings; i++)
        mt_live_is_lazy(live, source->mappings[i].start);
    mt_live_find_descriptors(live);
    mt_live_close_queues(live);
    free(live->polls);
    live->polls = calloc(1, sizeof *live->polls);
    if (!uses || !live->polls)
        abort();
    live->polls[0].descriptor = 7;
    live->n_polls = 1;
    mt_live_kernel_words(live);
    free(uses);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct mt_process_limit limit;
    struct mt_memory_use use;
    struct mt_error error = {0};
    struct mt_source *source;
    pid_t pid = getpid();
    char name[16];

    for (size_t i = 0; i < N_NAMES; i++) {
        const uint8_t *end = bytes ? memchr(data, 0xff, bytes) : NULL;
        size_t n = end ? (size_t)(end - data) : bytes;
        parts[i].data = data;
        parts[i].bytes = n;
        data += end ? n + 1 : n;
        bytes -= end ? n + 1 : n;
    }
    source = mt_source_open_pid(pid, &error);
    if (source)
        read_process((struct live *)source);
    mt_source_free(source);
    mt_memory_use_of_process(pid, &use);
    mt_memory_use_of_folder("/sys/fs/cgroup/a/b", &use);
    mt_process_limit(pid, &limit);
    mt_proc_status(pid, "Tgid:");
    mt_proc_name(pid, name);
    mt_proc_living(pid);
    return 0;
}
