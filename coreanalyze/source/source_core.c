/* SPDX-License-Identifier: BSD-2-Clause
 *
 * source_core.c - an ELF core file, mapped; or read, where a limit on the
 * address space does not let it be mapped.
 *
 * A core may be cut off (a full disk, a size limit), bigger than memory, or
 * hostile: every offset is checked against the size of the file, and what the
 * segments promise but the file lacks is counted.  A black box is read, too:
 * its process may change it, or cut it off, at any time.
 */
#include "coreanalyze/source/core.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/source/segments.h"
#include "coreanalyze/source/word_copy.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first segment that ends after `address`; n_segments if none does. */
static size_t first_segment(const struct core *core, uint64_t address)
{
    return mt_count_up_to(core->segments, core->n_segments, end, address);
}

static const struct core_segment *find_segment(const struct core *core,
                                               uint64_t address)
{
    size_t i = first_segment(core, address);

    if (i < core->n_segments && core->segments[i].start <= address)
        return &core->segments[i];
    return NULL;
}

static size_t core_source_read(struct mt_source *source, uint64_t address,
                               void *buffer, size_t bytes)
{
    struct core *core = (struct core *)source;
    size_t done = 0, kept;

    while (done < bytes) {
        if (source->word_copy &&
            (kept = mt_word_copy_read(source->word_copy, address + done,
                                      (char *)buffer + done, bytes - done)) >
                0) {
            done += kept;
            continue;
        }
        const struct core_segment *s = find_segment(core, address + done);
        if (s == NULL)
            break;
        uint64_t skip = address + done - s->start;
        size_t n = bytes - done;
        if (n > s->end - s->start - skip)
            n = (size_t)(s->end - s->start - skip);
        if (source->word_copy) {
            uint64_t gap = mt_word_copy_gap(source->word_copy, address + done);
            n = n < gap ? n : (size_t)gap;
        }
        if (!mt_core_read(core, s->offset + skip, (char *)buffer + done, &n))
            return done + n;
        done += n;
    }
    return done;
}

static const void *core_source_view(struct mt_source *source, uint64_t address,
                                    size_t bytes)
{
    struct core *core = (struct core *)source;
    const struct core_segment *s = find_segment(core, address);

    if (s == NULL || bytes > s->end - address)
        return NULL;
    return core->data + s->offset + (address - s->start);
}

static void core_source_forget(struct mt_source *source, uint64_t address,
                               uint64_t bytes)
{
    struct core *core = (struct core *)source;
    const struct core_segment *s = find_segment(core, address);
    uint64_t page = 4096, start, end;

    if (s == NULL || bytes > s->end - address)
        return;
    start = s->offset + (address - s->start);
    end = (start + bytes) & ~(page - 1);
    start = (start + page - 1) & ~(page - 1);
    if (start < end)
        madvise((void *)(uintptr_t)(core->data + start), end - start,
                MADV_DONTNEED);
}

static const void *source_core_core_extent(struct mt_source *source,
                                           uint64_t address, uint64_t *start,
                                           uint64_t *bytes)
{
    struct core *core = (struct core *)source;
    const struct core_segment *s = find_segment(core, address);

    if (s == NULL)
        return NULL;
    *start = s->start;
    *bytes = s->end - s->start;
    return core->data + s->offset;
}

static void core_pages(struct mt_source *source, uint64_t start, uint64_t end,
                       struct mt_page_stats *stats)
{
    struct core *core = (struct core *)source;
    uint64_t bytes = 0;

    if (stats->page_bytes == 0)
        stats->page_bytes = 4096;
    for (size_t i = first_segment(core, start); i < core->n_segments; i++) {
        const struct core_segment *s = &core->segments[i];
        if (s->start >= end)
            break;
        uint64_t from = s->start > start ? s->start : start;
        uint64_t to = s->end < end ? s->end : end;
        if (from < to)
            bytes += to - from;
    }
    stats->populated += bytes / stats->page_bytes;
    stats->known = true;
}

static bool core_resident(struct mt_source *source, uint64_t start,
                          uint64_t end, mt_visit_pages *visit, void *context)
{
    struct core *core = (struct core *)source;

    for (size_t i = first_segment(core, start); i < core->n_segments; i++) {
        const struct core_segment *s = &core->segments[i];
        struct mt_page_run run = {.start = s->start > start ? s->start : start};
        if (s->start >= end)
            break;
        run.end = s->end < end ? s->end : end;
        if (run.start < run.end && !visit(context, &run))
            break;
    }
    return true;
}

static void core_destroy(struct mt_source *source)
{
    struct core *core = (struct core *)source;

    if (core->data)
        munmap((void *)(uintptr_t)core->data, core->bytes);
    if (core->file >= 0)
        close(core->file);
    for (size_t i = 0; i < core->n_pieces; i++)
        free(core->pieces[i]);
    free(core->pieces);
    free(core->segments);
    free(core);
}

static const struct mt_source_ops unmapped_core_ops;

/* Captured memory is no longer read in place. */
static bool core_capture(struct mt_source *source,
                         const struct mt_word_filter *filter, bool stop,
                         struct mt_error *error)
{
    (void)stop;
    if (!mt_core_capture((struct core *)source, filter, error))
        return false;
    if (source->captured.copied)
        source->ops = &unmapped_core_ops;
    return true;
}

static const struct mt_source_ops core_ops = {
    .read = core_source_read,
    .view = core_source_view,
    .forget = core_source_forget,
    .extent = source_core_core_extent,
    .pages = core_pages,
    .resident = core_resident,
    .capture = core_capture,
    .destroy = core_destroy,
};

/* For memory that is not mapped here. */
static const struct mt_source_ops unmapped_core_ops = {
    .read = core_source_read,
    .pages = core_pages,
    .resident = core_resident,
    .capture = core_capture,
    .destroy = core_destroy,
};

static bool map_file(struct core *core, const char *path,
                     struct mt_error *error)
{
    struct stat status;
    bool damaged = false;
    int file = mt_core_open_file(path, &damaged, error);
    void *map;

    core->source.coverage.damaged = damaged;

    if (file < 0)
        return false;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file);
        return mt_fail(error, "%s is not a file", path);
    }
    if (status.st_size < (off_t)sizeof(Elf64_Ehdr)) {
        close(file);
        return mt_fail(error, "%s is not an ELF core: it has %lld bytes", path,
                       (long long)status.st_size);
    }
    core->bytes = (uint64_t)status.st_size;
    if (mt_file_is_box(file)) {
        core->file = file;
        core->source.process.box_use = mt_box_use(file);
        core->source.ops = &unmapped_core_ops;
        return true;
    }
    map = mmap(NULL, core->bytes, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, file,
               0);
    if (map == MAP_FAILED) {
        core->file = file;
        core->source.ops = &unmapped_core_ops;
        return true;
    }
    close(file);
    core->data = map;
    return true;
}

static bool core_check_header(const struct core *core, const char *path,
                              Elf64_Ehdr *header, struct mt_error *error)
{
    size_t bytes = sizeof *header;

    if (!mt_core_read(core, 0, header, &bytes))
        return mt_fail(error, "cannot read %s: %s", path, strerror(errno));
    if (memcmp(header->e_ident, "\x1f\x8b", 2) == 0 ||
        memcmp(header->e_ident, "BZh", 3) == 0)
        return mt_fail(error,
                       "%s is compressed in a way that is not read; "
                       "decompress it, or pipe it into `memtrace ... -`",
                       path);
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return mt_fail(error, "%s is not an ELF file", path);
    if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64)
        return mt_fail(error, "%s is not an x86-64 file", path);
    if (header->e_type != ET_CORE)
        return mt_fail(error, "%s is not a core file (it is %s)", path,
                       header->e_type == ET_EXEC || header->e_type == ET_DYN
                           ? "a program or library"
                           : "another kind of ELF file");
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0)
        return mt_fail(error, "%s has no program headers", path);
    return true;
}

static uint64_t count_headers(const struct core *core, const Elf64_Ehdr *header)
{
    Elf64_Shdr first;
    uint64_t n = header->e_phnum, room;
    size_t bytes = sizeof first;

    if (n == PN_XNUM && header->e_shoff <= core->bytes - sizeof first &&
        mt_core_read(core, header->e_shoff, &first, &bytes))
        n = first.sh_info;
    if (header->e_phoff > core->bytes)
        return 0;
    room = (core->bytes - header->e_phoff) / sizeof(Elf64_Phdr);
    return n < room ? n : room;
}

/* The part of a segment that the file has; 0 if it is cut off before. */
static uint64_t core_clip(const struct core *core, const Elf64_Phdr *program)
{
    uint64_t bytes = program->p_filesz;

    if (program->p_offset >= core->bytes)
        return 0;
    if (bytes > core->bytes - program->p_offset)
        bytes = core->bytes - program->p_offset;
    if (bytes > program->p_memsz)
        bytes = program->p_memsz;
    return bytes;
}

static bool core_add_segment(struct core *core, const Elf64_Phdr *program,
                             size_t *mappings, size_t *segments)
{
    struct mt_source *source = &core->source;
    uint64_t bytes = core_clip(core, program);
    struct mt_mapping mapping = {
        .start = program->p_vaddr,
        .end = program->p_vaddr + program->p_memsz,
        .present = bytes,
        .flags = ((program->p_flags & PF_R) ? MT_MAP_READ : 0) |
                 ((program->p_flags & PF_W) ? MT_MAP_WRITE : 0) |
                 ((program->p_flags & PF_X) ? MT_MAP_EXEC : 0) | MT_MAP_PRIVATE,
    };

    if (mapping.end <= mapping.start)
        return true;
    if (program->p_filesz <= program->p_memsz)
        source->coverage.missing_bytes += program->p_filesz - bytes;
    if (!mt_grow(&source->mappings, mappings, source->n_mappings + 1,
                 sizeof *source->mappings) ||
        !mt_grow(&core->segments, segments, core->n_segments + 1,
                 sizeof *core->segments))
        return false;
    source->mappings[source->n_mappings++] = mapping;
    if (bytes > 0)
        core->segments[core->n_segments++] = (struct core_segment){
            program->p_vaddr, program->p_vaddr + bytes, program->p_offset};
    return true;
}

static void segment_skip(void *item, uint64_t bytes)
{
    struct core_segment *s = item;

    s->offset += bytes;
}

static bool core_read_headers(struct core *core, const Elf64_Ehdr *header,
                              struct mt_error *error)
{
    uint64_t n = count_headers(core, header);
    const uint8_t *table;
    uint64_t budget = core->bytes;
    size_t mappings = 0, segments = 0;
    Elf64_Phdr program;

    /* The kernel writes no sections; one, if there are many segments. */
    core->source.coverage.by_debugger = header->e_shnum > 1;
    if (n > MT_CORE_MAX_MAPPINGS) {
        n = MT_CORE_MAX_MAPPINGS;
        core->source.coverage.tables_incomplete = true;
    }
    if (n < header->e_phnum)
        core->source.coverage.tables_incomplete = true;
    table = mt_core_piece(core, n ? header->e_phoff : 0, n * sizeof program);
    if (table == NULL)
        return mt_no_memory(error, "the segments");
    for (uint64_t i = 0; i < n; i++) {
        memcpy(&program, table + i * sizeof program, sizeof program);
        if (program.p_type == PT_LOAD &&
            !core_add_segment(core, &program, &mappings, &segments))
            return mt_no_memory(error, "the segments");
    }
    core->n_segments = mt_segments_sort(core->segments, core->n_segments,
                                        sizeof *core->segments, segment_skip);
    if (!mt_core_merge_mappings(core, NULL, 0, error))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        memcpy(&program, table + i * sizeof program, sizeof program);
        if (program.p_type == PT_NOTE && program.p_offset < core->bytes) {
            uint64_t room = core->bytes - program.p_offset;
            uint64_t bytes = program.p_filesz < room ? program.p_filesz : room;
            /* Honest segments share no bytes of the file. */
            if (bytes > budget) {
                core->source.coverage.bad_notes++;
                continue;
            }
            budget -= bytes;
            core->source.coverage.missing_bytes += program.p_filesz - bytes;
            if (!mt_core_notes(core, program.p_offset, bytes, error))
                return false;
        }
    }
    return true;
}

#define HOLE_MOST (UINT64_C(1) << 30) /* that is measured */

static bool core_page_is_zero(const uint8_t page[4096])
{
    return page[0] == 0 && memcmp(page, page + 1, 4095) == 0;
}

/* A core that was cut off, and made as long as before, ends with a hole.  Near
 * the end lies the first stack, in whose last page the kernel has put the
 * program's name. */
static void core_find_hole(struct core *core)
{
    struct mt_source *source = &core->source;
    uint64_t name = mt_source_auxv(source, AT_EXECFN), hole = 0;
    uint8_t page[4096];

    if (source->coverage.missing_bytes > 0 || name == 0 ||
        !mt_source_read(source, name & ~UINT64_C(4095), page, sizeof page) ||
        !core_page_is_zero(page))
        return;
    for (uint64_t left = core->bytes / sizeof page;
         left-- > 0 && hole < HOLE_MOST;) {
        size_t bytes = sizeof page;
        if (!mt_core_read(core, left * sizeof page, page, &bytes) ||
            !core_page_is_zero(page))
            break;
        hole += sizeof page;
    }
    source->coverage.missing_bytes = hole ? hole : sizeof page;
}

struct mt_source *mt_source_open_core(const char *path, struct mt_error *error)
{
    struct mt_source *source = mt_source_open_core_part(path, error);

    if (source)
        core_find_hole((struct core *)source);
    return source;
}

struct mt_source *mt_source_open_core_part(const char *path,
                                           struct mt_error *error)
{
    struct core *core = calloc(1, sizeof *core);
    struct mt_source *source = &core->source;
    Elf64_Ehdr header;
    char *absolute;
    bool no_memory;

    if (core == NULL)
        return mt_no_memory(error, "the core"), NULL;
    core->file = -1;
    source->ops = &core_ops;
    source->process.kind = MT_SOURCE_CORE;
    source->strings = mt_strings_new();
    absolute = realpath(path, NULL);
    no_memory = !absolute && errno == ENOMEM;
    if (source->strings && absolute)
        source->process.path =
            mt_strings_add(source->strings, absolute, strlen(absolute));
    free(absolute);
    if (no_memory) {
        mt_fail(error, "out of memory for the path of the core");
        mt_source_free(source);
        return NULL;
    }
    if (mt_strings_are_whole(source->strings, error) &&
        map_file(core, path, error) &&
        core_check_header(core, path, &header, error) &&
        core_read_headers(core, &header, error) &&
        mt_modules_scan(source, error) &&
        mt_strings_are_whole(source->strings, error))
        return source;
    mt_source_free(source);
    return NULL;
}
