/* SPDX-License-Identifier: BSD-2-Clause
 *
 * coredump_store.c - finds a process' core among the files of
 * systemd-coredump.
 *
 * A file says whose core it is by the extended attributes user.coredump.pid
 * and user.coredump.timestamp.  A file system or a copy may lack them: its
 * name, core.COMM.UID.BOOT.PID.TIMESTAMP and perhaps .zst, .lz4 or .xz, says
 * the same.  A dot in COMM is written as \x2e.
 */
#include "coreanalyze/source/coredump_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define COREDUMP_STORE "/var/lib/systemd/coredump"
#define COREDUMP_FIELD 32u

/* What a file says of itself; "" where it does not. */
struct coredump_file {
    char pid[COREDUMP_FIELD], time[COREDUMP_FIELD];
};

struct coredump_search {
    const char *pid;
    DIR *folder;
    char *newest;             /* the name of a file, or NULL */
    unsigned long long time;  /* of it, in microseconds */
    unsigned cores, nameless; /* that were seen; that say no pid */
    bool out_of_memory;
};

static void coredump_attribute(int file, const char *name, char *text)
{
    ssize_t n = fgetxattr(file, name, text, COREDUMP_FIELD - 1);

    text[n > 0 ? n : 0] = '\0';
}

/* Field `index` of a name whose fields end in dots. */
static void coredump_name_field(const char *name, unsigned index, char *text)
{
    size_t n;

    for (; index > 0 && name; index--) {
        name = strchr(name, '.');
        name = name ? name + 1 : NULL;
    }
    n = name ? strcspn(name, ".") : 0;
    n = n < COREDUMP_FIELD ? n : 0;
    memcpy(text, name ? name : "", n);
    text[n] = '\0';
}

/* A file that may not be read has its name alone. */
static bool coredump_describe(const struct coredump_search *search,
                              const char *name, struct coredump_file *f)
{
    struct stat status;
    int file;

    *f = (struct coredump_file){.pid = ""};
    if (fstatat(dirfd(search->folder), name, &status, AT_SYMLINK_NOFOLLOW) !=
            0 ||
        !S_ISREG(status.st_mode))
        return false;
    file = openat(dirfd(search->folder), name,
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file >= 0) {
        coredump_attribute(file, "user.coredump.pid", f->pid);
        coredump_attribute(file, "user.coredump.timestamp", f->time);
        close(file);
    }
    if (f->pid[0] == '\0')
        coredump_name_field(name, 4, f->pid);
    if (f->time[0] == '\0')
        coredump_name_field(name, 5, f->time);
    return true;
}

static void coredump_consider(struct coredump_search *search, const char *name)
{
    struct coredump_file f;
    unsigned long long time;

    if (strncmp(name, "core.", 5) != 0 || !coredump_describe(search, name, &f))
        return;
    search->cores++;
    search->nameless += f.pid[0] == '\0';
    if (strcmp(f.pid, search->pid) != 0)
        return;
    time = strtoull(f.time, NULL, 10);
    if (search->newest && time <= search->time)
        return;
    free(search->newest);
    search->newest = strdup(name);
    search->time = time;
    search->out_of_memory |= !search->newest;
}

static char *coredump_result(const struct coredump_search *search,
                             const char *folder, struct mt_error *error)
{
    char *path = NULL;

    if (search->out_of_memory ||
        (search->newest &&
         asprintf(&path, "%s/%s", folder, search->newest) < 0)) {
        mt_no_memory(error, "the names of cores");
        return NULL;
    }
    if (!path)
        mt_fail(error,
                "%s has no core of process %s (it has %u cores%s); "
                "`coredumpctl list` shows what the journal keeps",
                folder, search->pid, search->cores,
                search->nameless ? ", and some do not say whose they are" : "");
    return path;
}

char *mt_coredump_find(const char *root, const char *pid,
                       struct mt_error *error)
{
    struct coredump_search search = {.pid = pid};
    const struct dirent *entry;
    char *folder = NULL, *path = NULL;

    if (pid[strspn(pid, "0123456789")] != '\0' || pid[0] == '\0' ||
        pid[0] == '0' || strlen(pid) >= COREDUMP_FIELD) {
        mt_fail(error, "--coredump takes a process id, not '%s'", pid);
        return NULL;
    }
    if (asprintf(&folder, "%s%s", root ? root : "", COREDUMP_STORE) < 0) {
        mt_no_memory(error, "the store of cores");
        return NULL;
    }
    search.folder = opendir(folder);
    if (search.folder) {
        while ((entry = readdir(search.folder)))
            coredump_consider(&search, entry->d_name);
        closedir(search.folder);
        path = coredump_result(&search, folder, error);
    } else {
        mt_fail(error, "cannot read the store of systemd-coredump: %s: %s",
                folder, strerror(errno));
    }
    free(search.newest);
    free(folder);
    return path;
}
