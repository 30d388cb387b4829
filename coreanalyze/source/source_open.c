/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_open.c - a target by the word that names it: a process or a core.
 */
#include "coreanalyze/source/process_name.h"
#include "coreanalyze/source/source.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file, unless it is a folder, which may be a cgroup. */
static bool names_file(const char *target)
{
    struct stat status;

    return stat(target, &status) == 0 && !S_ISDIR(status.st_mode);
}

/* Is the file a program or library?  Its name may mean its process. */
static bool names_program(const char *target)
{
    Elf64_Ehdr header = {.e_type = ET_NONE};
    int file = open(target, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool read_it =
        file >= 0 && pread(file, &header, sizeof header, 0) == sizeof header;

    if (file >= 0)
        close(file);
    return read_it && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           (header.e_type == ET_EXEC || header.e_type == ET_DYN);
}

/* Copies standard input, which may be a pipe, into a file without a name.
 * Returns the file, or -1 with `error` filled. */
static int copy_input(struct mt_error *error)
{
    const char *folder = getenv("TMPDIR");
    char buffer[65536];
    ssize_t n = 0, written = 0;
    int file = open(folder && *folder ? folder : "/var/tmp",
                    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (file < 0)
        file = memfd_create("core", MFD_CLOEXEC);
    while (file >= 0 && written >= 0 &&
           (n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < n && written >= 0; at += written)
            written = write(file, buffer + at, (size_t)(n - at));
    if (file >= 0 && n >= 0 && written >= 0)
        return file;
    mt_fail(error, "cannot copy the core on standard input: %s",
            strerror(errno));
    if (file >= 0)
        close(file);
    return -1;
}

/* Who gave the core knows no such path. */
static void input_rename(struct mt_error *error, const char *path)
{
    const struct mt_error said = *error;
    const char *at = strstr(said.text, path);

    if (at)
        mt_fail(error, "%.*sstandard input%s", (int)(at - said.text), said.text,
                at + strlen(path));
}

static struct mt_source *open_input(struct mt_error *error)
{
    struct mt_source *source;
    struct stat status;
    char path[40];
    bool file = fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    int fd = file ? STDIN_FILENO : copy_input(error);

    if (fd < 0)
        return NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    source = mt_source_open_core(path, error);
    if (!file)
        close(fd);
    if (source)
        source->process.path = "on standard input";
    else
        input_rename(error, path);
    return source;
}

struct mt_source *mt_source_open(const char *target, struct mt_error *error)
{
    const char *p = target;
    pid_t pid = 0;

    if (strcmp(target, "-") == 0)
        return open_input(error);
    if (names_file(target) && !names_program(target))
        return mt_source_open_core(target, error);
    while (isdigit((unsigned char)*p))
        p++;
    if (p != target && *p == '\0' && p - target < 10)
        return mt_source_open_pid((pid_t)atol(target), error);
    if (!mt_process_by_name(target, &pid, error))
        return NULL;
    if (pid)
        return mt_source_open_pid(pid, error);
    if (names_program(target)) {
        mt_fail(error,
                "%s is a program or library, not a core: give a process id, "
                "or start it with `memtrace run`",
                target);
        return NULL;
    }
    if (!strchr(target, '/') && access(target, F_OK) != 0 && errno == ENOENT) {
        mt_fail(error, "no process or file '%s'", target);
        return NULL;
    }
    return mt_source_open_core(target, error);
}
