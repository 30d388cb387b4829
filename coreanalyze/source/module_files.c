/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_files.c - a few files that stay open and mapped.  One that was written
 * to, or replaced, is opened anew.
 */
#include "coreanalyze/source/module_files.h"

#include <stdlib.h>
#include <string.h>

#define MOST_FILES 256u
#define MOST_NAME 32u

struct noted {
    char name[MOST_NAME]; /* of a symbol, or "" */
    uint64_t value;
    uint64_t lacks; /* hash of a set of names, or 0 */
};

struct mt_module_files {
    size_t n;
    struct mt_elf *items[MOST_FILES];
    bool seen[MOST_FILES]; /* by the target, with no change */
    struct noted noted[MOST_FILES];
    bool targets; /* that one target sees no change */
};

struct mt_module_files *mt_module_files_new(void)
{
    return calloc(1, sizeof(struct mt_module_files));
}

void mt_module_files_free(struct mt_module_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->n; i++)
        mt_elf_close(files->items[i]);
    free(files);
}

void mt_module_files_next_target(struct mt_module_files *files)
{
    files->targets = true;
    memset(files->seen, 0, sizeof files->seen);
}

/* The place of a path's file, or the number of files. */
static size_t files_place(const struct mt_module_files *files, const char *path)
{
    size_t i = 0;

    while (i < files->n && strcmp(files->items[i]->path, path) != 0)
        i++;
    return i;
}

struct mt_elf *mt_module_files_open(struct mt_module_files *files,
                                    const char *path, struct mt_error *error)
{
    struct mt_elf *elf;
    size_t i;

    if (!files)
        return mt_elf_open(path, error);
    i = files_place(files, path);
    elf = i < files->n ? files->items[i] : NULL;
    if (elf && ((files->targets && files->seen[i]) || mt_elf_unchanged(elf))) {
        files->seen[i] = true;
        return elf;
    }
    /* Its place is taken by the last one. */
    if (elf) {
        files->items[i] = files->items[--files->n];
        files->seen[i] = files->seen[files->n];
        files->noted[i] = files->noted[files->n];
    }
    mt_elf_close(elf);
    elf = mt_elf_open(path, error);
    if (elf && elf->path && files->n < MOST_FILES) {
        files->seen[files->n] = true;
        files->noted[files->n] = (struct noted){.value = 0};
        files->items[files->n++] = elf;
    }
    return elf;
}

/* The place of an open file, or the number of files. */
static size_t files_place_of(const struct mt_module_files *files,
                             const struct mt_elf *elf)
{
    size_t i = 0;

    while (i < files->n && files->items[i] != elf)
        i++;
    return i;
}

bool mt_module_files_symbol(const struct mt_module_files *files,
                            const struct mt_elf *elf, const char *name,
                            uint64_t *value)
{
    size_t i = files ? files_place_of(files, elf) : 0;

    if (!files || i == files->n || strcmp(files->noted[i].name, name) != 0)
        return false;
    *value = files->noted[i].value;
    return true;
}

void mt_module_files_note(struct mt_module_files *files,
                          const struct mt_elf *elf, const char *name,
                          uint64_t value)
{
    size_t i = files ? files_place_of(files, elf) : 0;

    if (!files || i == files->n || strlen(name) >= MOST_NAME)
        return;
    strcpy(files->noted[i].name, name);
    files->noted[i].value = value;
}

void mt_module_files_note_lack(struct mt_module_files *files,
                               const struct mt_elf *elf, uint64_t names)
{
    size_t i = files ? files_place_of(files, elf) : 0;

    if (files && i < files->n)
        files->noted[i].lacks = names;
}

bool mt_module_files_lacks(const struct mt_module_files *files,
                           const struct mt_elf *elf, uint64_t names)
{
    size_t i = files ? files_place_of(files, elf) : 0;

    return files && i < files->n && names != 0 &&
           files->noted[i].lacks == names;
}

void mt_module_files_close(const struct mt_module_files *files,
                           struct mt_elf *elf)
{
    if (!files || files_place_of(files, elf) == files->n)
        mt_elf_close(elf);
}
