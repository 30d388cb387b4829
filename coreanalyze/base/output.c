/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output.c - files that are complete or not there.
 *
 * A file gets its name when it is complete.  Until then it has none
 * (O_TMPFILE), so that whatever ends this process leaves nothing.  To replace a
 * file it gets a temporary name first, for the time of two system calls.  File
 * systems without O_TMPFILE have that name from the start.
 */
#include "coreanalyze/base/output.h"

#include "coreanalyze/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_TRIES 100u

static bool output_cannot_write(const struct mt_output *output,
                                struct mt_error *error)
{
    return mt_fail(error, "cannot write %s: %s", output->path, strerror(errno));
}

static int output_open_unnamed(const char *path, mode_t mode)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode) : -1;

    free(folder);
    return fd;
}

static int output_open_temporary(struct mt_output *output, mode_t mode)
{
    mode_t mask = umask(0);
    int fd;

    umask(mask);
    if (asprintf(&output->temporary, "%s.XXXXXX", output->path) < 0) {
        output->temporary = NULL;
        return -1;
    }
    fd = mkostemp(output->temporary, O_CLOEXEC);
    if (fd >= 0)
        fchmod(fd, mode & ~mask);
    return fd;
}

bool mt_output_open(struct mt_output *output, const char *path, mode_t mode,
                    struct mt_error *error)
{
    struct stat status;
    int fd;

    *output = (struct mt_output){.path = path};
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
        output->real = realpath(path, NULL);
    if (output->real)
        output->path = output->real;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        output->is_new = true;
        fd = output_open_unnamed(output->path, mode);
        if (fd < 0)
            fd = output_open_temporary(output, mode);
    }
    output->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (output->file)
        return true;
    output_cannot_write(output, error);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    free(output->real);
    return false;
}

/* Gives an unnamed file a temporary name, beside the one that it replaces. */
static bool output_name_temporary(struct mt_output *output, const char *link)
{
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (asprintf(&output->temporary, "%s.%06lx", output->path,
                     (unsigned long)(now.tv_nsec ^ getpid()) & 0xffffff) < 0) {
            output->temporary = NULL;
            return false;
        }
        if (linkat(AT_FDCWD, link, AT_FDCWD, output->temporary,
                   AT_SYMLINK_FOLLOW) == 0)
            return true;
        free(output->temporary);
        output->temporary = NULL;
        if (errno != EEXIST)
            return false;
    }
    return false;
}

/* Gives the complete file its name. */
static bool output_name(struct mt_output *output)
{
    char link[64];
    bool ok;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fileno(output->file));
    if (output->temporary == NULL) {
        ok = linkat(AT_FDCWD, link, AT_FDCWD, output->path,
                    AT_SYMLINK_FOLLOW) == 0;
        if (ok || errno != EEXIST)
            return ok;
        if (!output_name_temporary(output, link))
            return false;
    }
    return rename(output->temporary, output->path) == 0;
}

static bool output_finish(struct mt_output *output, struct mt_error *error)
{
    sigset_t all, before;
    int number;
    bool ok;

    if (fflush(output->file) != 0 || ferror(output->file))
        return output_cannot_write(output, error);
    if (!output->is_new)
        return true;
    output->bytes = (uint64_t)ftello(output->file);
    /* No signal but SIGKILL comes between the temporary name and its end. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    ok = output_name(output);
    number = errno;
    if (!ok && output->temporary)
        unlink(output->temporary);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = number;
    return ok || output_cannot_write(output, error);
}

bool mt_output_close(struct mt_output *output, bool ok, struct mt_error *error)
{
    ok = ok && output_finish(output, error);
    if (fclose(output->file) != 0 && ok)
        ok = output_cannot_write(output, error);
    if (!ok && output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    free(output->real);
    return ok;
}

void mt_output_print(const struct mt_output *output, const char *path,
                     FILE *out)
{
    if (!output->is_new)
        return;
    fprintf(out, "%s: ", path);
    mt_put_bytes(out, output->bytes);
    putc('\n', out);
}

char *mt_output_name(const char *pattern, uint32_t pid, const char *name)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    for (; *pattern; pattern++) {
        char key = pattern[0] == '%' ? pattern[1] : '\0';
        if (key == 'p')
            fprintf(out, "%u", pid);
        else if (key == 'n' && name)
            for (const char *n = name; *n; n++)
                putc(*n == '/' ? '_' : *n, out);
        else if (key == 't')
            fprintf(out, "%lld", (long long)time(NULL));
        else
            putc(*pattern, out);
        if (key == 'p' || key == 't' || (key == 'n' && name) || key == '%')
            pattern++;
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
