/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_keep.h - the directory that mini-cores of crashed processes are kept
 * in.
 */
#ifndef MT_CORE_KEEP_H
#define MT_CORE_KEEP_H

#include "coreanalyze/base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct mt_core_keep {
    const char *pattern; /* of the names, with its directory */
    const char *base;    /* the pattern without its directory */
    char *folder_name;
    int folder;
    uint64_t keep; /* files of one owner; 0: all */
};

/* Opens the directory of a pattern.  False with `error` filled, also if others
 * than root could put another in the place of a file that root writes. */
bool mt_core_keep_open(struct mt_core_keep *kept, struct mt_error *error);
void mt_core_keep_close(struct mt_core_keep *kept);

/* A new file without a name in the directory, of mode 0600; -1 with `error`
 * filled. */
int mt_core_keep_file(const struct mt_core_keep *kept, struct mt_error *error);

/* Gives a file of `owner` its name, which no file has yet, and removes that
 * owner's oldest.  `name` is the process' name, which may hold anything.  The
 * file's name, which the caller frees; NULL with `error` filled. */
char *mt_core_keep_name(const struct mt_core_keep *kept, int file, uid_t owner,
                        uint32_t pid, const char *name, struct mt_error *error);

#endif
