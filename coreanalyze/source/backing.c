/* SPDX-License-Identifier: BSD-2-Clause
 *
 * backing.c - finds the file of a mapping: by map_files, which takes privilege
 * and finds it in any case, by a descriptor that the process still has, or by
 * its path.  The last two must be the same file, by device and inode.
 */
#include "coreanalyze/source/backing.h"
#include "coreanalyze/source/proc_task.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define MAX_DESCRIPTORS 65536u

static bool is_file_of(const struct stat *status, const struct mt_mapping *m)
{
    return S_ISREG(status->st_mode) && status->st_ino == m->inode &&
           makedev(m->device_major, m->device_minor) == status->st_dev;
}

/* Only what is the file is opened: opening others may do something. */
static int open_same(const char *path, const struct mt_mapping *m)
{
    struct stat status;
    int file;

    if (stat(path, &status) != 0 || !is_file_of(&status, m))
        return -1;
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file >= 0 && (fstat(file, &status) != 0 || !is_file_of(&status, m))) {
        close(file);
        file = -1;
    }
    return file;
}

static int open_descriptor(pid_t tid, const struct mt_mapping *m)
{
    const struct dirent *entry;
    char path[64], one[352];
    unsigned n = 0;
    int file = -1;
    DIR *folder;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)tid);
    folder = opendir(path);
    while (folder && file < 0 && n++ < MAX_DESCRIPTORS &&
           (entry = readdir(folder))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(one, sizeof one, "%s/%s", path, entry->d_name);
        file = open_same(one, m);
    }
    if (folder)
        closedir(folder);
    return file;
}

static int open_file(pid_t tid, const struct mt_mapping *m)
{
    char path[4352];
    struct stat status;
    int file;

    snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
             (int)tid, m->start, m->end);
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
        (file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) >= 0)
        return file;
    if (m->path && m->path[0] == '/' &&
        snprintf(path, sizeof path, "/proc/%d/root%s", (int)tid, m->path) <
            (int)sizeof path &&
        (file = open_same(path, m)) >= 0)
        return file;
    return open_descriptor(tid, m);
}

struct mt_backing mt_backing_open(pid_t tid, const struct mt_mapping *mapping)
{
    struct mt_backing backing = {.file = open_file(tid, mapping)};
    struct statfs system;
    struct stat status;

    if (backing.file < 0)
        return backing;
    if (fstat(backing.file, &status) != 0 ||
        fstatfs(backing.file, &system) != 0) {
        mt_backing_close(&backing);
        return backing;
    }
    backing.bytes = status.st_size > 0 ? (uint64_t)status.st_size : 0;
    backing.kind = (uint32_t)system.f_type == TMPFS_MAGIC ? MT_BACKING_MEMORY
                   : (uint32_t)system.f_type == HUGETLBFS_MAGIC
                       ? MT_BACKING_HUGE
                       : MT_BACKING_DISK;
    return backing;
}

void mt_backing_close(struct mt_backing *backing)
{
    if (backing->file >= 0)
        close(backing->file);
    *backing = (struct mt_backing){.file = -1};
}

void mt_backing_data(const struct mt_backing *backing, uint64_t start,
                     uint64_t end,
                     bool (*visit)(void *context, uint64_t start, uint64_t end),
                     void *context)
{
    if (end > backing->bytes)
        end = backing->bytes;
    while (start < end) {
        off_t data = lseek(backing->file, (off_t)start, SEEK_DATA), hole;
        if (data < 0 || (uint64_t)data >= end)
            return;
        hole = lseek(backing->file, data, SEEK_HOLE);
        if (hole <= data || (uint64_t)hole > end)
            hole = (off_t)end;
        if (!visit(context, (uint64_t)data, (uint64_t)hole))
            return;
        start = (uint64_t)hole;
    }
}
