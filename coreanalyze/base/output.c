/* SPDX-License-Identifier: BSD-2-Clause */
#include "coreanalyze/base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool output_cannot_write(const struct mt_output *output,
                                struct mt_error *error)
{
    return mt_fail(error, "cannot write %s: %s", output->path, strerror(errno));
}

static int open_temporary(struct mt_output *output, mode_t mode)
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
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        fd = open(path, O_WRONLY | O_CLOEXEC);
    else
        fd = open_temporary(output, mode);
    output->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (output->file)
        return true;
    output_cannot_write(output, error);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    return false;
}

bool mt_output_close(struct mt_output *output, bool ok, struct mt_error *error)
{
    if (ok && (fflush(output->file) != 0 || ferror(output->file)))
        ok = output_cannot_write(output, error);
    if (fclose(output->file) != 0 && ok)
        ok = output_cannot_write(output, error);
    if (ok && output->temporary && rename(output->temporary, output->path) != 0)
        ok = output_cannot_write(output, error);
    if (!ok && output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    return ok;
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
        else
            putc(*pattern, out);
        if (key == 'p' || (key == 'n' && name) || key == '%')
            pattern++;
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
