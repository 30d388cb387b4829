/* SPDX-License-Identifier: BSD-2-Clause
 *
 * symbolize_files.c - finds a module's file and its separate debug files, and
 * checks that they are the ones that ran.
 */
#include "config.h"
#include "coreanalyze/symbols/symbolize_files.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer ones are not build-ids: they are 20 bytes, or 16, or 8. */
#define MAX_BUILD_ID 64u

static void files_lack(const struct mt_files_options *options)
{
    if (options->no_memory)
        *options->no_memory = true;
}

static struct mt_elf *files_open(const struct mt_files_options *options,
                                 const char *path, struct mt_error *error)
{
    struct mt_elf *elf = mt_elf_open(path, error);

    if (elf == NULL && error->no_memory)
        files_lack(options);
    return elf;
}

/* asprintf() for a path that is looked for. */
static bool files_name(const struct mt_files_options *options, char **path,
                       const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool files_name(const struct mt_files_options *options, char **path,
                       const char *format, ...)
{
    va_list values;
    int length;

    va_start(values, format);
    length = vasprintf(path, format, values);
    va_end(values);
    if (length >= 0)
        return true;
    files_lack(options);
    *path = NULL;
    return false;
}

char *mt_files_path(const struct mt_files_options *options, const char *path)
{
    char *full = NULL;

    if (!files_name(options, &full, "%s%s",
                    options->sysroot != NULL ? options->sysroot : "", path))
        return NULL;
    return full;
}

static bool same_id(const struct mt_elf *elf, const uint8_t *id, size_t bytes)
{
    const uint8_t *found;
    size_t found_bytes;

    return mt_elf_build_id(elf, &found, &found_bytes) && found_bytes == bytes &&
           memcmp(found, id, bytes) == 0;
}

/* Opens PATH below the sysroot; takes over PATH. */
static struct mt_elf *open_below(const struct mt_files_options *options,
                                 char *path, char **opened)
{
    struct mt_error error;
    char *full = path != NULL ? mt_files_path(options, path) : NULL;
    struct mt_elf *elf =
        full != NULL ? files_open(options, full, &error) : NULL;

    free(path);
    *opened = elf != NULL ? full : NULL;
    if (elf == NULL)
        free(full);
    return elf;
}

/* DIR/.build-id/ab/cdef.debug, or without .debug the module itself. */
static struct mt_elf *find_by_id(const struct mt_files_options *options,
                                 const uint8_t *id, size_t bytes,
                                 const char *suffix, char **opened)
{
    char hex[2 * MAX_BUILD_ID + 1];

    *opened = NULL;
    if (bytes < 2 || bytes > MAX_BUILD_ID)
        return NULL;
    for (size_t i = 0; i < bytes; i++)
        sprintf(hex + 2 * i, "%02x", id[i]);
    for (size_t i = 0; options->debug_dirs[i] != NULL; i++) {
        char *path = NULL;

        if (!files_name(options, &path, "%s/.build-id/%.2s/%s%s",
                        options->debug_dirs[i], hex, hex + 2, suffix))
            return NULL;
        struct mt_elf *elf = open_below(options, path, opened);
        if (elf != NULL && same_id(elf, id, bytes))
            return elf;
        mt_elf_close(elf);
        free(*opened);
        *opened = NULL;
    }
    return NULL;
}

/* One candidate of a debuglink; takes over PATH. */
static struct mt_elf *try_link(const struct mt_files_options *options,
                               const struct mt_elf *module, char *path,
                               uint32_t crc, char **opened)
{
    struct mt_elf *elf = open_below(options, path, opened);
    const uint8_t *id;
    size_t bytes;

    if (elf == NULL)
        return NULL;
    /* Build-ids are as sure as the CRC, and need not read the file. */
    bool fits = mt_elf_build_id(module, &id, &bytes) ? same_id(elf, id, bytes)
                                                     : mt_elf_crc(elf) == crc;
    if (elf->bytes == module->bytes &&
        memcmp(elf->data, module->data, elf->bytes) == 0)
        fits = false; /* a link to itself */
    if (!fits) {
        mt_elf_close(elf);
        free(*opened);
        *opened = NULL;
        return NULL;
    }
    return elf;
}

static struct mt_elf *find_by_link(const struct mt_files_options *options,
                                   const struct mt_elf *module,
                                   const char *path, char **opened)
{
    const char *name, *slash = strrchr(path, '/');
    int in = slash != NULL ? (int)(slash - path) : 0;
    struct mt_elf *elf = NULL;
    char *candidate = NULL;
    uint32_t crc;

    *opened = NULL;
    if (!mt_elf_debuglink(module, &name, &crc) || strchr(name, '/') != NULL)
        return NULL;
    if (files_name(options, &candidate, "%.*s/%s", in, path, name))
        elf = try_link(options, module, candidate, crc, opened);
    if (elf == NULL &&
        files_name(options, &candidate, "%.*s/.debug/%s", in, path, name))
        elf = try_link(options, module, candidate, crc, opened);
    for (size_t i = 0; elf == NULL && options->debug_dirs[i] != NULL; i++)
        if (files_name(options, &candidate, "%s%.*s/%s", options->debug_dirs[i],
                       in, path, name))
            elf = try_link(options, module, candidate, crc, opened);
    return elf;
}

/* Is this the file that ran? */
static enum mt_symbol_match match_of(const struct mt_symbol_module *module,
                                     const struct mt_elf *elf)
{
    if (module->build_id != NULL && module->build_id_bytes != 0)
        return same_id(elf, module->build_id, module->build_id_bytes)
                   ? MT_MATCH_BUILD_ID
                   : MT_MATCH_MISMATCH;
    if (module->fingerprint != 0)
        return mt_elf_fingerprint(elf) == module->fingerprint
                   ? MT_MATCH_BUILD_ID
                   : MT_MATCH_MISMATCH;
    return MT_MATCH_UNVERIFIED;
}

/* The file that a live process runs, if it is not the one at its path. */
static struct mt_elf *open_running(const struct mt_symbol_module *module,
                                   const struct mt_files_options *options,
                                   struct mt_files *out)
{
    struct mt_error error;
    const char *path = module->running ? module->running(module->context) : "";
    struct mt_elf *elf =
        path[0] != '\0' ? files_open(options, path, &error) : NULL;

    if (elf != NULL && match_of(module, elf) == MT_MATCH_MISMATCH) {
        mt_elf_close(elf);
        elf = NULL;
    }
    if (elf != NULL) {
        out->match = MT_MATCH_BUILD_ID;
        out->note[0] = '\0';
    }
    return elf;
}

/* The module's file at its path, or NULL with `match` saying why. */
static struct mt_elf *open_module(const struct mt_symbol_module *module,
                                  const struct mt_files_options *options,
                                  struct mt_files *out)
{
    struct mt_error error;

    out->match = MT_MATCH_MISSING;
    if (module->path == NULL || module->path[0] != '/') {
        snprintf(out->note, sizeof(out->note), "no path recorded");
        return NULL;
    }
    char *full = mt_files_path(options, module->path);
    if (full == NULL)
        return NULL;
    struct mt_elf *elf = files_open(options, full, &error);
    if (elf == NULL) {
        if (access(full, F_OK) == 0)
            out->match = MT_MATCH_UNREADABLE;
        snprintf(out->note, sizeof(out->note), "%.255s", error.text);
    } else {
        out->match = match_of(module, elf);
    }
    if (out->match == MT_MATCH_MISMATCH) {
        snprintf(out->note, sizeof(out->note),
                 "the file on disk is not the one that ran");
        mt_elf_close(elf);
        elf = NULL;
    }
    free(full);
    return elf != NULL ? elf : open_running(module, options, out);
}

static bool has_dwarf(const struct mt_elf *elf)
{
    const struct mt_elf_section *info =
        elf != NULL ? mt_elf_find(elf, ".debug_info") : NULL;

    if (info == NULL && elf != NULL)
        info = mt_elf_find(elf, ".zdebug_info");
    return info != NULL && info->bytes != 0;
}

/* The file of the parts that dwz moved out of `with`, which lies at PATH. */
static void find_supplement(const struct mt_files_options *options,
                            const struct mt_elf *with, const char *path,
                            struct mt_files *out)
{
    const char *name, *slash = strrchr(path, '/');
    const uint8_t *id;
    size_t bytes;
    char *opened = NULL, *candidate = NULL;

    if (!mt_elf_debugaltlink(with, &name, &id, &bytes))
        return;
    out->supplement = find_by_id(options, id, bytes, ".debug", &opened);
    free(opened);
    if (out->supplement == NULL) {
        /* The name is absolute, or relative to the file with the link. */
        int in = name[0] == '/' ? 0 : slash != NULL ? (int)(slash - path) : 0;
        struct mt_error error;

        if (!files_name(options, &candidate, "%s%.*s%s%s",
                        name[0] == '/' && options->sysroot != NULL
                            ? options->sysroot
                            : "",
                        in, path, in != 0 ? "/" : "", name))
            return;
        out->supplement = files_open(options, candidate, &error);
        free(candidate);
        if (out->supplement != NULL && !same_id(out->supplement, id, bytes)) {
            mt_elf_close(out->supplement);
            out->supplement = NULL;
        }
    }
    if (out->supplement == NULL && !options->no_debuginfod) {
        out->supplement =
            mt_debuginfod_find(options, id, bytes, true, &opened, out->note);
        free(opened);
    }
    if (out->supplement == NULL)
        snprintf(out->note, sizeof(out->note),
                 "its supplementary debug file %.200s is missing", name);
}

/* The build-id to look for debug files by: that of the program that ran, or
 * else that of the file. */
static bool wanted_id(const struct mt_symbol_module *module,
                      const struct mt_files *out, const uint8_t **id,
                      size_t *bytes)
{
    *id = module->build_id;
    *bytes = module->build_id_bytes;
    if (*id != NULL && *bytes != 0)
        return true;
    return out->module != NULL && mt_elf_build_id(out->module, id, bytes);
}

void mt_files_find(const struct mt_symbol_module *module,
                   const struct mt_files_options *options, struct mt_files *out)
{
    const uint8_t *id;
    size_t bytes;

    memset(out, 0, sizeof(*out));
    out->module = open_module(module, options, out);
    bool known = wanted_id(module, out, &id, &bytes);
    if (known && !has_dwarf(out->module))
        out->debug = find_by_id(options, id, bytes, ".debug", &out->debug_path);
    if (out->debug == NULL && out->module != NULL && !has_dwarf(out->module))
        out->debug =
            find_by_link(options, out->module, module->path, &out->debug_path);
    if (out->debug == NULL && known && !has_dwarf(out->module) &&
        !options->no_debuginfod)
        out->debug = mt_debuginfod_find(options, id, bytes, true,
                                        &out->debug_path, out->note);
    if (out->module == NULL && out->debug != NULL)
        out->match = MT_MATCH_DEBUG_ONLY;
    if (has_dwarf(out->debug))
        find_supplement(options, out->debug, out->debug_path, out);
    else if (has_dwarf(out->module)) {
        char *full = mt_files_path(options, module->path);

        if (full != NULL)
            find_supplement(options, out->module, full, out);
        free(full);
    }
}

bool mt_files_are_whole(const struct mt_files *files)
{
    const struct mt_elf *all[] = {files->module, files->debug,
                                  files->supplement};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] != NULL && all[i]->no_memory)
            return false;
    return true;
}

bool mt_files_unchanged(const struct mt_files *files)
{
    return mt_elf_unchanged(files->module) && mt_elf_unchanged(files->debug) &&
           mt_elf_unchanged(files->supplement);
}

void mt_files_close(struct mt_files *files)
{
    mt_elf_close(files->module);
    mt_elf_close(files->debug);
    mt_elf_close(files->supplement);
    free(files->debug_path);
    files->module = files->debug = files->supplement = NULL;
    files->debug_path = NULL;
}
