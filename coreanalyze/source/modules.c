/* SPDX-License-Identifier: BSD-2-Clause
 *
 * modules.c - which ELF files are mapped where.
 *
 * A module starts where a file's offset 0 is mapped and an ELF header can be
 * read there; further mappings of that file belong to it.  A core may lack the
 * header's page.  The load bias then comes from the file on disk, and the
 * build-id stays unknown, since nothing shows that the file is the one that
 * ran.
 */
#include "coreanalyze/source/modules.h"
#include "coreanalyze/base/elf_note.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/source/module_files.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PROGRAM_HEADERS 64
#define PAGE 4096u

/* The place that the headers of a module are read from. */
struct image {
    struct mt_source *source;
    uint64_t start; /* address of the file's offset 0 */
    int file;       /* or the file on disk, if not -1 */
};

static bool image_read(struct image *image, uint64_t offset, void *buffer,
                       size_t bytes)
{
    if (image->file >= 0)
        return pread(image->file, buffer, bytes, (off_t)offset) ==
               (ssize_t)bytes;
    return mt_source_read(image->source, image->start + offset, buffer, bytes);
}

static bool modules_read_header(struct image *image, Elf64_Ehdr *header)
{
    return image_read(image, 0, header, sizeof *header) &&
           memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == ELFCLASS64 &&
           (header->e_type == ET_DYN || header->e_type == ET_EXEC) &&
           header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phnum > 0;
}

/* The build-id in a module's notes, which start at `address` in memory. */
static void read_build_id(struct mt_source *source, uint64_t address,
                          uint64_t bytes, struct mt_module *module)
{
    uint8_t notes[2048];
    size_t size = bytes < sizeof notes ? bytes : sizeof notes;
    struct mt_elf_note note;
    size_t at = 0;

    size = mt_source_read_part(source, address, notes, size);
    while (mt_elf_note_next(notes, size, 4, &at, &note))
        if (mt_elf_note_is_build_id(&note) &&
            note.bytes <= sizeof module->build_id) {
            memcpy(module->build_id, note.data, note.bytes);
            module->build_id_bytes = note.bytes;
            return;
        }
}

/* The first address after all segments, at least `end`. */
static uint64_t segments_end(const struct mt_module *module,
                             const Elf64_Phdr *program, size_t n, uint64_t end)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t last;
        if (program[i].p_type == PT_LOAD &&
            !__builtin_add_overflow(program[i].p_vaddr, program[i].p_memsz,
                                    &last) &&
            last + module->load_bias > end)
            end = last + module->load_bias;
    }
    return end;
}

/* Fills all of the module but its end; `end` is the address where its memory
 * should end by its headers. */
static bool modules_describe(struct mt_source *source,
                             const struct mt_mapping *mapping,
                             struct mt_module *module, uint64_t *end)
{
    struct image image = {source, mapping->start, -1};
    Elf64_Ehdr header;
    Elf64_Phdr program[MAX_PROGRAM_HEADERS];
    size_t n;
    bool ok, biased = false;

    if (!modules_read_header(&image, &header)) {
        /* Only code is worth a look at the disk. */
        if (mapping->present >= sizeof header || mapping->path[0] != '/')
            return false;
        image.file = open(mapping->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (image.file < 0)
            return false;
    }
    n = image.file < 0 || modules_read_header(&image, &header) ? header.e_phnum
                                                               : 0;
    n = n < MAX_PROGRAM_HEADERS ? n : MAX_PROGRAM_HEADERS;
    ok = n > 0 &&
         image_read(&image, header.e_phoff, program, n * sizeof *program);
    for (size_t i = 0; ok && i < n && !biased; i++) {
        if (program[i].p_type != PT_LOAD)
            continue;
        module->load_bias = mapping->start - (program[i].p_vaddr & -PAGE) +
                            (program[i].p_offset & -PAGE);
        biased = true;
    }
    if (biased)
        *end = segments_end(module, program, n, mapping->end);
    for (size_t i = 0; biased && image.file < 0 && i < n; i++)
        if (program[i].p_type == PT_NOTE && module->build_id_bytes == 0)
            read_build_id(source, module->load_bias + program[i].p_vaddr,
                          program[i].p_filesz, module);
    if (image.file >= 0)
        close(image.file);
    return biased;
}

static bool same_file(const struct mt_mapping *a, const struct mt_mapping *b)
{
    return a->path && b->path && strcmp(a->path, b->path) == 0;
}

bool mt_modules_scan(struct mt_source *source, struct mt_error *error)
{
    size_t capacity = 0;

    /* Those who look at one process after another have files for all. */
    if (!source->files && !source->still)
        source->files = source->own_files = mt_module_files_new();
    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *mapping = &source->mappings[i];
        struct mt_module module = {.start = mapping->start,
                                   .end = mapping->end,
                                   .path = mapping->path};
        uint64_t end;
        if (mapping->path == NULL || mapping->file_offset != 0 ||
            !modules_describe(source, mapping, &module, &end))
            continue;
        /* The module's other mappings follow.  A hole or .bss may lie between
         * them, and .bss after them. */
        for (size_t j = i + 1; j < source->n_mappings; j++) {
            const struct mt_mapping *next = &source->mappings[j];
            if (same_file(mapping, next) && next->file_offset != 0)
                module.end = next->end;
            else if (next->path != NULL)
                break;
            else if (next->start == module.end && next->start < end)
                module.end = next->end < end ? next->end : end;
        }
        if (!mt_grow(&source->modules, &capacity, source->n_modules + 1,
                     sizeof *source->modules))
            return mt_no_memory(error, "the table of modules");
        source->modules[source->n_modules++] = module;
    }
    return true;
}
