/* SPDX-License-Identifier: BSD-2-Clause
 *
 * elf_file.c - an ELF file in memory: its sections, inflated when they are
 * asked for, notes and links to debug files. It believes no offset and no
 * size in the file.
 */
#include "config.h"
#include "coreanalyze/base/elf_file.h"
#include "coreanalyze/base/elf_note.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* Deflate cannot grow data more than this; zstd can, but no compiler's
 * output does. */
#define MAX_INFLATION 1032u
#define MAX_INFLATED ((uint64_t)8 << 30)
#define MAX_SECTIONS 1000000u
#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2
#endif

static bool elf_within(const struct mt_elf *elf, uint64_t offset,
                       uint64_t bytes)
{
    return offset <= elf->bytes && bytes <= elf->bytes - offset;
}

/* A string that ends inside its table, or NULL. */
static const char *string_in(const uint8_t *table, uint64_t table_bytes,
                             uint64_t offset)
{
    if (offset >= table_bytes)
        return NULL;
    if (memchr(table + offset, 0, table_bytes - offset) == NULL)
        return NULL;
    return (const char *)table + offset;
}

static Elf64_Shdr section_header(const struct mt_elf *elf, uint64_t table,
                                 size_t index)
{
    Elf64_Shdr header;

    memcpy(&header, elf->data + table + index * sizeof(header), sizeof(header));
    return header;
}

static bool elf_check_header(const struct mt_elf *elf, Elf64_Ehdr *header,
                             struct mt_error *error)
{
    if (elf->bytes < sizeof(*header) || memcmp(elf->data, ELFMAG, SELFMAG) != 0)
        return mt_fail(error, "not an ELF file");
    memcpy(header, elf->data, sizeof(*header));
    if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64)
        return mt_fail(error, "not an ELF file for x86-64");
    return true;
}

static void fill_section(struct mt_elf *elf, struct mt_elf_section *section,
                         const Elf64_Shdr *raw, const Elf64_Shdr *names)
{
    const char *name = NULL;

    if (names != NULL)
        name = string_in(elf->data + names->sh_offset, names->sh_size,
                         raw->sh_name);
    section->name = name != NULL ? name : "";
    section->type = raw->sh_type;
    section->flags = raw->sh_flags;
    section->address = raw->sh_addr;
    section->offset = raw->sh_offset;
    section->bytes = section->memory_bytes = raw->sh_size;
    section->link = raw->sh_link;
    section->entry_bytes = raw->sh_entsize;
    /* A debug file keeps the headers of what it left out. */
    if (raw->sh_type == SHT_NOBITS ||
        !elf_within(elf, raw->sh_offset, raw->sh_size))
        section->bytes = 0;
}

/* A file without usable section headers is fine: it has no sections. */
static bool read_sections(struct mt_elf *elf, const Elf64_Ehdr *header,
                          struct mt_error *error)
{
    uint64_t table = header->e_shoff, count = header->e_shnum;
    uint64_t names_index = header->e_shstrndx;
    Elf64_Shdr names;
    const Elf64_Shdr *names_or_null = NULL;

    if (table == 0 || header->e_shentsize != sizeof(Elf64_Shdr) ||
        !elf_within(elf, table, sizeof(Elf64_Shdr)))
        return true;
    Elf64_Shdr first = section_header(elf, table, 0);
    if (count == 0)
        count = first.sh_size;
    if (names_index == SHN_XINDEX)
        names_index = first.sh_link;
    if (count > MAX_SECTIONS ||
        !elf_within(elf, table, count * sizeof(Elf64_Shdr)))
        return true;
    elf->sections = calloc(count + 1, sizeof(*elf->sections));
    elf->inflated = calloc(count + 1, sizeof(*elf->inflated));
    elf->inflated_bytes = calloc(count + 1, sizeof(*elf->inflated_bytes));
    if (elf->sections == NULL || elf->inflated == NULL ||
        elf->inflated_bytes == NULL)
        return mt_no_memory(error, "the sections");
    if (names_index < count) {
        names = section_header(elf, table, names_index);
        if (names.sh_type == SHT_STRTAB &&
            elf_within(elf, names.sh_offset, names.sh_size))
            names_or_null = &names;
    }
    for (size_t i = 0; i < count; i++) {
        Elf64_Shdr raw = section_header(elf, table, i);

        fill_section(elf, &elf->sections[i], &raw, names_or_null);
    }
    elf->n_sections = count;
    return true;
}

static struct mt_elf *open_elf(struct mt_elf *elf, struct mt_error *error)
{
    Elf64_Ehdr header = {0};

    if (!elf_check_header(elf, &header, error) ||
        !read_sections(elf, &header, error)) {
        mt_elf_close(elf);
        return NULL;
    }
    elf->type = header.e_type;
    return elf;
}

struct mt_elf *mt_elf_open_memory(const uint8_t *data, size_t bytes,
                                  struct mt_error *error)
{
    struct mt_elf *elf = calloc(1, sizeof(*elf));

    if (elf == NULL) {
        mt_no_memory(error, "the sections");
        return NULL;
    }
    elf->data = data;
    elf->bytes = bytes;
    return open_elf(elf, error);
}

static struct mt_elf_version file_version(const struct stat *status)
{
    return (struct mt_elf_version){
        .device = status->st_dev,
        .inode = status->st_ino,
        .seconds = status->st_mtim.tv_sec,
        .nanoseconds = status->st_mtim.tv_nsec,
    };
}

/* After a system call that failed, by the errno that it left. */
static void elf_refuse(struct mt_error *error, const char *what)
{
    bool no_memory = errno == ENOMEM;

    mt_fail(error, "%s%s", what, strerror(errno));
    if (error)
        error->no_memory = no_memory;
}

struct mt_elf *mt_elf_open(const char *path, struct mt_error *error)
{
    /* A module's path comes from the target: never block on a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    struct mt_elf *elf = NULL;

    if (fd < 0) {
        elf_refuse(error, "");
        return NULL;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size < (off_t)sizeof(Elf64_Ehdr)) {
        mt_fail(error, "not an ELF file");
        close(fd);
        return NULL;
    }
    void *map =
        mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        elf_refuse(error, "mmap: ");
        close(fd);
        return NULL;
    }
    close(fd);
    elf = calloc(1, sizeof(*elf));
    if (elf == NULL) {
        munmap(map, (size_t)status.st_size);
        mt_no_memory(error, "the sections");
        return NULL;
    }
    elf->data = map;
    elf->bytes = (size_t)status.st_size;
    elf->mapped = true;
    elf->path = strdup(path);
    elf->version = file_version(&status);
    return open_elf(elf, error);
}

bool mt_elf_version_at(const char *path, struct mt_elf_version *version)
{
    struct stat status;
    bool ok = stat(path, &status) == 0;

    if (ok)
        *version = file_version(&status);
    return ok;
}

bool mt_elf_same_version(const struct mt_elf_version *a,
                         const struct mt_elf_version *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

bool mt_elf_unchanged(const struct mt_elf *elf)
{
    struct stat status;

    if (elf == NULL || !elf->mapped)
        return true;
    if (elf->path == NULL || stat(elf->path, &status) != 0)
        return false;
    struct mt_elf_version now = file_version(&status);
    return mt_elf_same_version(&now, &elf->version) &&
           elf->bytes == (size_t)status.st_size;
}

void mt_elf_close(struct mt_elf *elf)
{
    if (elf == NULL)
        return;
    for (size_t i = 0; elf->inflated != NULL && i < elf->n_sections; i++)
        free(elf->inflated[i]);
    free(elf->inflated);
    free(elf->inflated_bytes);
    free(elf->sections);
    free(elf->path);
    if (elf->mapped)
        munmap((void *)(uintptr_t)elf->data, elf->bytes);
    free(elf);
}

const struct mt_elf_section *mt_elf_find(const struct mt_elf *elf,
                                         const char *name)
{
    for (size_t i = 0; i < elf->n_sections; i++)
        if (strcmp(elf->sections[i].name, name) == 0)
            return &elf->sections[i];
    return NULL;
}

/* What a compressed section says of itself. */
struct compressed {
    const uint8_t *in;
    uint64_t in_bytes, out_bytes;
    uint32_t type;
};

static bool elf_is_compressed(const struct mt_elf_section *section)
{
    return (section->flags & SHF_COMPRESSED) != 0 ||
           strncmp(section->name, ".zdebug", 7) == 0;
}

/* SHF_COMPRESSED, or the older .zdebug_* with "ZLIB" and a size. */
static bool elf_compressed(const struct mt_elf *elf,
                           const struct mt_elf_section *section,
                           struct compressed *found)
{
    const uint8_t *in = elf->data + section->offset;

    *found = (struct compressed){in, section->bytes, 0, ELFCOMPRESS_ZLIB};
    if (section->flags & SHF_COMPRESSED) {
        Elf64_Chdr header;

        if (found->in_bytes < sizeof(header))
            return false;
        memcpy(&header, in, sizeof(header));
        found->type = header.ch_type;
        found->out_bytes = header.ch_size;
        found->in += sizeof(header);
        found->in_bytes -= sizeof(header);
    } else {
        if (found->in_bytes < 12 || memcmp(in, "ZLIB", 4) != 0)
            return false;
        for (int i = 4; i < 12; i++)
            found->out_bytes = found->out_bytes << 8 | in[i];
        found->in += 12;
        found->in_bytes -= 12;
    }
    return found->out_bytes != 0 &&
           found->out_bytes / MAX_INFLATION <= found->in_bytes &&
           found->out_bytes <= MAX_INFLATED;
}

static bool elf_decompress(const struct compressed *from, uint8_t *out,
                           bool *no_memory)
{
    if (from->type == ELFCOMPRESS_ZLIB) {
        uLongf got = from->out_bytes;
        int result = uncompress(out, &got, from->in, from->in_bytes);

        *no_memory |= result == Z_MEM_ERROR;
        return result == Z_OK && got == from->out_bytes;
    }
    if (from->type == ELFCOMPRESS_ZSTD) {
        size_t got =
            ZSTD_decompress(out, from->out_bytes, from->in, from->in_bytes);

        *no_memory |= ZSTD_isError(got) &&
                      ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation;
        return got == from->out_bytes;
    }
    return false;
}

size_t mt_elf_section_bytes(const struct mt_elf *elf,
                            const struct mt_elf_section *section)
{
    struct compressed found;

    if (section->bytes == 0 || !elf_is_compressed(section))
        return section->bytes;
    return elf_compressed(elf, section, &found) ? found.out_bytes : 0;
}

static bool inflate_section(struct mt_elf *elf, size_t index)
{
    struct compressed from;

    if (!elf_compressed(elf, &elf->sections[index], &from))
        return false;
    uint8_t *out = malloc(from.out_bytes);
    if (out == NULL) {
        elf->no_memory = true;
        return false;
    }
    if (!elf_decompress(&from, out, &elf->no_memory)) {
        free(out);
        return false;
    }
    elf->inflated[index] = out;
    elf->inflated_bytes[index] = from.out_bytes;
    elf->inflated_total += from.out_bytes;
    return true;
}

bool mt_elf_section_data(struct mt_elf *elf,
                         const struct mt_elf_section *section,
                         const uint8_t **data, size_t *bytes)
{
    size_t index = (size_t)(section - elf->sections);

    if (section->bytes == 0)
        return false;
    if (!elf_is_compressed(section)) {
        *data = elf->data + section->offset;
        *bytes = section->bytes;
        return true;
    }
    /* One that cannot be inflated has its length, and is not tried again. */
    if (elf->inflated[index] == NULL && elf->inflated_bytes[index] == 0 &&
        !inflate_section(elf, index))
        elf->inflated_bytes[index] = section->bytes;
    if (elf->inflated[index] == NULL)
        return false;
    *data = elf->inflated[index];
    *bytes = elf->inflated_bytes[index];
    return true;
}

/* The GNU build-id among notes, which are aligned to 4 bytes, or to 8. */
static bool build_id_in_notes(const uint8_t *notes, uint64_t bytes,
                              uint64_t align, const uint8_t **id,
                              size_t *id_bytes)
{
    struct mt_elf_note note;
    size_t at = 0;

    while (mt_elf_note_next(notes, bytes, align, &at, &note))
        if (mt_elf_note_is_build_id(&note)) {
            *id = note.data;
            *id_bytes = note.bytes;
            return true;
        }
    return false;
}

/* The i-th program header; false when there are no more, or no table of them
 * in the file. */
static bool elf_segment(const struct mt_elf *elf, size_t i, Elf64_Phdr *segment)
{
    Elf64_Ehdr header;

    memcpy(&header, elf->data, sizeof(header));
    if (i >= header.e_phnum || header.e_phentsize != sizeof(*segment) ||
        !elf_within(elf, header.e_phoff, header.e_phnum * sizeof(*segment)))
        return false;
    memcpy(segment, elf->data + header.e_phoff + i * sizeof(*segment),
           sizeof(*segment));
    return true;
}

static bool build_id_in_segments(const struct mt_elf *elf, const uint8_t **id,
                                 size_t *bytes)
{
    Elf64_Phdr segment;

    for (size_t i = 0; elf_segment(elf, i, &segment); i++) {
        if (segment.p_type == PT_NOTE &&
            elf_within(elf, segment.p_offset, segment.p_filesz) &&
            build_id_in_notes(elf->data + segment.p_offset, segment.p_filesz,
                              segment.p_align == 8 ? 8 : 4, id, bytes))
            return true;
    }
    return false;
}

bool mt_elf_build_id(const struct mt_elf *elf, const uint8_t **id,
                     size_t *bytes)
{
    for (size_t i = 0; i < elf->n_sections; i++) {
        const struct mt_elf_section *section = &elf->sections[i];
        uint64_t align =
            strcmp(section->name, ".note.gnu.property") == 0 ? 8 : 4;

        if (section->type == SHT_NOTE && section->bytes != 0 &&
            build_id_in_notes(elf->data + section->offset, section->bytes,
                              align, id, bytes))
            return true;
    }
    return elf->n_sections == 0 && build_id_in_segments(elf, id, bytes);
}

bool mt_elf_debuglink(const struct mt_elf *elf, const char **name,
                      uint32_t *crc)
{
    const struct mt_elf_section *link = mt_elf_find(elf, ".gnu_debuglink");
    const char *text;

    if (link == NULL || link->bytes == 0)
        return false;
    text = string_in(elf->data + link->offset, link->bytes, 0);
    if (text == NULL || *text == 0)
        return false;
    uint64_t at = (strlen(text) + 1 + 3) & ~(uint64_t)3;
    if (at + 4 > link->bytes)
        return false;
    memcpy(crc, elf->data + link->offset + at, 4);
    *name = text;
    return true;
}

bool mt_elf_debugaltlink(const struct mt_elf *elf, const char **name,
                         const uint8_t **id, size_t *id_bytes)
{
    const struct mt_elf_section *link = mt_elf_find(elf, ".gnu_debugaltlink");
    const char *text;

    if (link == NULL || link->bytes == 0)
        return false;
    text = string_in(elf->data + link->offset, link->bytes, 0);
    if (text == NULL || *text == 0)
        return false;
    uint64_t at = strlen(text) + 1;
    if (at >= link->bytes)
        return false;
    *name = text;
    *id = elf->data + link->offset + at;
    *id_bytes = link->bytes - at;
    return true;
}

uint32_t mt_elf_crc(const struct mt_elf *elf)
{
    uLong crc = crc32(0, NULL, 0);
    const uint8_t *data = elf->data;

    for (size_t left = elf->bytes; left > 0;) {
        uInt chunk = left > 1u << 30 ? 1u << 30 : (uInt)left;

        crc = crc32(crc, data, chunk);
        data += chunk;
        left -= chunk;
    }
    return (uint32_t)crc;
}

bool mt_elf_code(struct mt_elf *elf, uint64_t address, void *buffer,
                 size_t bytes)
{
    for (size_t i = 0; i < elf->n_sections; i++) {
        const struct mt_elf_section *s = &elf->sections[i];
        const uint8_t *data;
        size_t all;

        if (!(s->flags & SHF_EXECINSTR) || address < s->address ||
            address - s->address >= s->bytes ||
            !mt_elf_section_data(elf, s, &data, &all) ||
            bytes > all - (address - s->address))
            continue;
        memcpy(buffer, data + (address - s->address), bytes);
        return true;
    }
    return false;
}

bool mt_elf_loaded(const struct mt_elf *elf, uint64_t address, void *buffer,
                   size_t bytes)
{
    Elf64_Phdr segment;

    for (size_t i = 0; elf_segment(elf, i, &segment); i++) {
        uint64_t at = address - segment.p_vaddr;
        if (segment.p_type != PT_LOAD || at > segment.p_filesz ||
            bytes > segment.p_filesz - at ||
            !elf_within(elf, segment.p_offset, segment.p_filesz))
            continue;
        memcpy(buffer, elf->data + segment.p_offset + at, bytes);
        return true;
    }
    return false;
}

/* The part of a file that is loaded for unwinding: the header of .eh_frame_hdr
 * and its sorted table. */
static const uint8_t *elf_unwind_table(const struct mt_elf *elf, size_t *bytes)
{
    Elf64_Phdr segment;

    *bytes = 0;
    for (size_t i = 0; elf_segment(elf, i, &segment); i++) {
        if (segment.p_type != PT_GNU_EH_FRAME ||
            !elf_within(elf, segment.p_offset, 12))
            continue;
        const uint8_t *table = elf->data + segment.p_offset;
        size_t n = table[8] | (size_t)table[9] << 8 | (size_t)table[10] << 16;

        n = (8 * n + 12) & ~(size_t)7;
        if (table[2] == 3 && elf_within(elf, segment.p_offset, n))
            *bytes = n;
        return table;
    }
    return NULL;
}

uint64_t mt_elf_fingerprint(const struct mt_elf *elf)
{
    const size_t page = 4096;
    size_t bytes;
    const uint8_t *table = elf_unwind_table(elf, &bytes);
    uint64_t hash = 0;

    for (size_t i = 0; i < page + bytes; i += 8) {
        uint64_t word = 0;

        if (i >= page)
            memcpy(&word, table + (i - page), sizeof(word));
        else if (elf_within(elf, i, sizeof(word)))
            memcpy(&word, elf->data + i, sizeof(word));
        hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
    }
    return hash;
}
