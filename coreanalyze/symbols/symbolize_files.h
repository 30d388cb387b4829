/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MT_SYMBOLIZE_FILES_H
#define MT_SYMBOLIZE_FILES_H

/*
 * symbolize_files.h: finds the file of a module, its separate debug file and
 * the supplementary file of that.
 */
#include "coreanalyze/base/elf_file.h"
#include "coreanalyze/symbols/symbolize.h"

struct mt_files_options {
    const char *const *debug_dirs; /* ended by NULL */
    const char *sysroot;           /* or NULL */
    bool no_debuginfod;
    /* Called while a server is waited for; false ends that.  May be NULL. */
    bool (*waiting)(void *context, const char *step, uint64_t done,
                    uint64_t total);
    void *waiting_context;
    bool *no_memory; /* set when memory runs out; may be NULL */
};
struct mt_files {
    enum mt_symbol_match match;
    struct mt_elf *module; /* or NULL */
    struct mt_elf *debug;  /* a separate file, or NULL */
    struct mt_elf *supplement;
    char *debug_path; /* of `debug`, or NULL */
    char note[256];   /* what is missing, or "" */
};

void mt_files_find(const struct mt_symbol_module *,
                   const struct mt_files_options *, struct mt_files *out);
void mt_files_close(struct mt_files *); /* what it holds */
/* False if memory ran out for something of these files. */
bool mt_files_are_whole(const struct mt_files *);
bool mt_files_unchanged(const struct mt_files *); /* since they were opened */
/* A path below the sysroot, malloc'ed. */
char *mt_files_path(const struct mt_files_options *, const char *path);

/* The file of a build-id from the servers that DEBUGINFOD_URLS names, opened
 * and checked; NULL without servers (symbolize_debuginfod.c). */
struct mt_elf *mt_debuginfod_find(const struct mt_files_options *,
                                  const uint8_t *build_id, size_t bytes,
                                  bool debug, char **path, char note[256]);

#endif
