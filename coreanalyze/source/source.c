/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source.c - what all sources have in common.
 */
#include "coreanalyze/source/source.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/source/module_files.h"
#include "coreanalyze/source/word_copy.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reg.h>

_Static_assert(MT_REG_ORIG_RAX == ORIG_RAX && MT_REG_RIP == RIP &&
                   MT_REG_RSP == RSP && MT_REG_FS_BASE == FS_BASE,
               "registers are in the kernel's order");

void mt_source_free(struct mt_source *source)
{
    if (source == NULL)
        return;
    free(source->mappings);
    free(source->threads);
    free(source->modules);
    free(source->present);
    free(source->kernel_words);
    mt_strings_free(source->strings);
    mt_word_copy_free(source->word_copy);
    mt_module_files_free(source->own_files);
    source->ops->destroy(source);
}

size_t mt_source_read_part(struct mt_source *source, uint64_t address,
                           void *buffer, size_t bytes)
{
    if (bytes == 0 || address + bytes < address)
        return 0;
    return source->ops->read(source, address, buffer, bytes);
}

bool mt_source_read(struct mt_source *source, uint64_t address, void *buffer,
                    size_t bytes)
{
    size_t got = mt_source_read_part(source, address, buffer, bytes);

    if (got < bytes)
        memset((char *)buffer + got, 0, bytes - got);
    return got == bytes;
}

bool mt_source_read_string(struct mt_source *source, uint64_t address,
                           char *buffer, size_t bytes)
{
    size_t got = mt_source_read_part(source, address, buffer, bytes);

    return got > 0 && memchr(buffer, '\0', got) != NULL;
}

const struct mt_mapping *mt_source_mapping(const struct mt_source *source,
                                           uint64_t address)
{
    size_t i =
        mt_count_up_to(source->mappings, source->n_mappings, end, address);

    return i < source->n_mappings && source->mappings[i].start <= address
               ? &source->mappings[i]
               : NULL;
}

/* Modules may be nested in each other's holes: the closest start wins. */
const struct mt_module *mt_source_module(const struct mt_source *source,
                                         uint64_t address)
{
    size_t i =
        mt_count_up_to(source->modules, source->n_modules, start, address);

    while (i-- > 0)
        if (address < source->modules[i].end)
            return &source->modules[i];
    return NULL;
}

bool mt_mapping_is_shared_memory(const struct mt_mapping *m)
{
    static const char *const starts[] = {"/dev/zero", "/memfd:", "/SYSV",
                                         "/dev/shm/"};

    for (size_t i = 0; m->path && i < sizeof starts / sizeof *starts; i++)
        if (strncmp(m->path, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

const struct mt_present *mt_source_present(const struct mt_source *source,
                                           uint64_t address)
{
    size_t i = mt_count_up_to(source->present, source->n_present, end, address);

    return i < source->n_present ? &source->present[i] : NULL;
}

uint64_t mt_source_skip_empty(const struct mt_source *source, uint64_t address,
                              uint64_t end)
{
    const struct mt_present *next;
    const struct mt_mapping *m;
    uint64_t stop;

    if (!source->present_known)
        return address;
    next = mt_source_present(source, address);
    m = mt_source_mapping(source, address);
    if (!m || !(m->flags & MT_MAP_READ) || !(m->flags & MT_MAP_WRITE) ||
        (next && next->start <= address))
        return address;
    stop = next && next->start < m->end ? next->start : m->end;
    return stop < end ? stop : end;
}

uint64_t mt_source_auxv(const struct mt_source *source, uint64_t type)
{
    Elf64_auxv_t entry;

    for (size_t at = 0; at + sizeof entry <= source->auxv_bytes;
         at += sizeof entry) {
        memcpy(&entry, source->auxv + at, sizeof entry);
        if (entry.a_type == type)
            return entry.a_un.a_val;
    }
    return 0;
}
