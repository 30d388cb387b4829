/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_keep.c - names and removes files in a directory that it holds open, so
 * that no path is followed twice.  A file has no name until it is complete;
 * link(2) follows no symbolic link and replaces no file.
 */
#include "coreanalyze/commands/core_keep.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/output.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_TRIES 100u
#define MOST_FILES 100000u

bool mt_core_keep_open(struct mt_core_keep *kept, struct mt_error *error)
{
    const char *slash = strrchr(kept->pattern, '/');
    struct stat status;

    kept->folder = -1;
    kept->base = slash ? slash + 1 : kept->pattern;
    kept->folder_name =
        slash ? strndup(kept->pattern, (size_t)(slash - kept->pattern) + 1)
              : strdup("./");
    if (!kept->folder_name)
        return mt_no_memory(error, "the name of the directory");
    if (strchr(kept->folder_name, '%') || *kept->base == '\0')
        return mt_fail(error,
                       "%s: the directory of a pattern takes no %%, and a "
                       "name follows it",
                       kept->pattern);
    kept->folder = open(kept->folder_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (kept->folder < 0 || fstat(kept->folder, &status) != 0)
        return mt_fail(error, "cannot open the directory %s: %s",
                       kept->folder_name, strerror(errno));
    if (geteuid() == 0 && (status.st_uid != 0 || ((status.st_mode & 022) &&
                                                  !(status.st_mode & S_ISVTX))))
        return mt_fail(error,
                       "the directory %s is not safe: others than root can "
                       "rename files in it; chown root and chmod go-w it",
                       kept->folder_name);
    return true;
}

void mt_core_keep_close(struct mt_core_keep *kept)
{
    if (kept->folder >= 0)
        close(kept->folder);
    free(kept->folder_name);
}

int mt_core_keep_file(const struct mt_core_keep *kept, struct mt_error *error)
{
    int file = openat(kept->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (file >= 0 && fchmod(file, 0600) == 0)
        return file;
    mt_fail(error, "cannot make a file in %s: %s%s", kept->folder_name,
            strerror(errno),
            errno == EOPNOTSUPP || errno == EISDIR
                ? "; a file system with O_TMPFILE is needed, as ext4, xfs, "
                  "btrfs or tmpfs"
                : "");
    if (file >= 0)
        close(file);
    return -1;
}

/* --- the oldest --- */

struct core_keep_file {
    char *name;
    struct timespec time;
};

struct core_keep_files {
    struct core_keep_file *files;
    size_t n, capacity;
};

/* Matches all names that the pattern makes, and those with a number after. */
static char *core_keep_glob(const char *pattern)
{
    char *glob = malloc(2 * strlen(pattern) + 8), *at = glob;

    for (; glob && *pattern; pattern++) {
        if (pattern[0] == '%' && pattern[1] == '%') {
            pattern++;
            *at++ = '%';
        } else if (pattern[0] == '%' && pattern[1]) {
            pattern++;
            *at++ = '*';
        } else {
            if (strchr("*?[\\", *pattern))
                *at++ = '\\';
            *at++ = *pattern;
        }
    }
    if (glob)
        *at = '\0';
    return glob;
}

static bool core_keep_matches(const char *glob, const char *name)
{
    char stem[NAME_MAX + 1];
    char *dot;

    if (fnmatch(glob, name, FNM_PERIOD) == 0)
        return true;
    snprintf(stem, sizeof stem, "%s", name);
    dot = strrchr(stem, '.');
    if (!dot || dot[1] == '\0' || dot[1 + strspn(dot + 1, "0123456789")])
        return false;
    *dot = '\0';
    return fnmatch(glob, stem, FNM_PERIOD) == 0;
}

static int core_keep_newest_first(const void *a, const void *b)
{
    const struct core_keep_file *x = a, *y = b;

    if (x->time.tv_sec != y->time.tv_sec)
        return x->time.tv_sec > y->time.tv_sec ? -1 : 1;
    if (x->time.tv_nsec != y->time.tv_nsec)
        return x->time.tv_nsec > y->time.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void core_keep_list(const struct mt_core_keep *kept, uid_t owner,
                           const char *glob, struct core_keep_files *list)
{
    int again = openat(kept->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = again >= 0 ? fdopendir(again) : NULL;
    const struct dirent *entry;
    struct stat status;

    while (folder && list->n < MOST_FILES && (entry = readdir(folder))) {
        char *name;
        if (!core_keep_matches(glob, entry->d_name) ||
            fstatat(kept->folder, entry->d_name, &status,
                    AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode) || status.st_uid != owner)
            continue;
        name = strdup(entry->d_name);
        if (!name || !mt_grow(&list->files, &list->capacity, list->n + 1,
                              sizeof *list->files)) {
            free(name);
            break;
        }
        list->files[list->n++] = (struct core_keep_file){name, status.st_mtim};
    }
    if (folder)
        closedir(folder);
    else if (again >= 0)
        close(again);
}

static void core_keep_remove(const struct mt_core_keep *kept, uid_t owner)
{
    struct core_keep_files list = {.n = 0};
    char *glob = core_keep_glob(kept->base);

    if (glob)
        core_keep_list(kept, owner, glob, &list);
    if (list.n > 0)
        qsort(list.files, list.n, sizeof *list.files, core_keep_newest_first);
    for (size_t i = 0; i < list.n; i++) {
        if (i >= kept->keep)
            unlinkat(kept->folder, list.files[i].name, 0);
        free(list.files[i].name);
    }
    free(list.files);
    free(glob);
}

/* --- the new one --- */

/* A process names itself: no bytes that a terminal or a shell minds. */
static void core_keep_clean(char *name)
{
    if (*name == '.' || *name == '-')
        *name = '_';
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr(".-_+:@=,%", *name))
            *name = '_';
}

static bool core_keep_link(const struct mt_core_keep *kept, int file,
                           const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return linkat(AT_FDCWD, path, kept->folder, name, AT_SYMLINK_FOLLOW) == 0;
}

char *mt_core_keep_name(const struct mt_core_keep *kept, int file, uid_t owner,
                        uint32_t pid, const char *name, struct mt_error *error)
{
    char clean[64], *base, *full = NULL;
    bool ok;

    snprintf(clean, sizeof clean, "%s", *name ? name : "unknown");
    core_keep_clean(clean);
    base = mt_output_name(kept->base, pid, clean);
    ok = base && core_keep_link(kept, file, base);
    for (unsigned i = 1; base && !ok && errno == EEXIST && i < MOST_TRIES;
         i++) {
        char *other = NULL;
        if (asprintf(&other, "%s.%u", base, i) < 0)
            break;
        ok = core_keep_link(kept, file, other);
        if (ok) {
            free(base);
            base = other;
        } else {
            free(other);
        }
    }
    if (!ok)
        mt_fail(error, "cannot write %s%s: %s", kept->folder_name,
                base ? base : kept->base, strerror(errno));
    else if (asprintf(&full, "%s%s", kept->folder_name, base) < 0)
        full = NULL;
    if (ok && kept->keep > 0)
        core_keep_remove(kept, owner);
    free(base);
    return full;
}
