/* SPDX-License-Identifier: BSD-2-Clause
 *
 * save.c - writes a mini-core.
 *
 * Every mapping of the target is in the program headers, so that addresses can
 * be named; one is cut in parts where its contents are in the file, each part
 * with its contents at its start.
 */
#include "coreanalyze/save/save.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/output.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (1u << 20)

struct writer {
    struct mt_save save;
    Elf64_Phdr *programs; /* the first one is of the notes */
    size_t n_programs, capacity;
    FILE *file;
    const char *path;
    struct mt_error *error;
};

static bool save_cannot_write(struct writer *w)
{
    return mt_fail(w->error, "cannot write %s: %s", w->path, strerror(errno));
}

/* --- program headers --- */

static bool save_add_program(struct writer *w, const struct mt_mapping *m,
                             uint64_t start, uint64_t end, uint64_t bytes)
{
    Elf64_Phdr program = {
        .p_type = PT_LOAD,
        .p_flags = ((m->flags & MT_MAP_READ) ? PF_R : 0) |
                   ((m->flags & MT_MAP_WRITE) ? PF_W : 0) |
                   ((m->flags & MT_MAP_EXEC) ? PF_X : 0),
        .p_vaddr = start,
        .p_filesz = bytes,
        .p_memsz = end - start,
        .p_align = 1,
    };

    if (end <= start)
        return true;
    if (!mt_grow(&w->programs, &w->capacity, w->n_programs + 1,
                 sizeof *w->programs))
        return mt_no_memory(w->error, "the segments");
    w->programs[w->n_programs++] = program;
    return true;
}

/* Cuts a mapping at the ranges from `*next` on that begin in it. */
static bool cut_mapping(struct writer *w, const struct mt_mapping *m,
                        size_t *next)
{
    const struct mt_save *save = &w->save;
    uint64_t at = m->start, bytes = 0, readable = m->start + m->present;
    size_t i = *next;

    for (; i < save->n_ranges && save->ranges[i].address < m->end; i++) {
        uint64_t start = save->ranges[i].address;
        uint64_t end = start + save->ranges[i].bytes;
        start = start > m->start ? start : m->start;
        end = end < readable ? end : readable;
        if (end <= start)
            continue;
        if (!save_add_program(w, m, at, start, bytes))
            return false;
        at = start;
        bytes = end - start;
    }
    /* The last one may continue in the next mapping. */
    while (i > *next &&
           save->ranges[i - 1].address + save->ranges[i - 1].bytes > m->end)
        i--;
    *next = i;
    return save_add_program(w, m, at, m->end, bytes);
}

static bool make_programs(struct writer *w)
{
    const struct mt_source *source = w->save.source;
    size_t next = 0;

    if (!mt_grow(&w->programs, &w->capacity, 1, sizeof *w->programs))
        return mt_no_memory(w->error, "the segments");
    w->programs[w->n_programs++] = (Elf64_Phdr){.p_type = PT_NOTE};
    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        /* The note of files alone knows those. */
        if (!(m->flags & MT_MAP_ASSUMED) && !cut_mapping(w, m, &next))
            return false;
    }
    return true;
}

/* Gives the contents their places after headers and notes.  Offsets are as
 * aligned as addresses: a reader can take words where they are. */
static void save_place(struct writer *w, size_t notes)
{
    bool many = w->n_programs >= PN_XNUM;
    uint64_t offset = sizeof(Elf64_Ehdr) + w->n_programs * sizeof(Elf64_Phdr) +
                      (many ? sizeof(Elf64_Shdr) : 0);

    w->programs[0].p_offset = offset;
    w->programs[0].p_filesz = notes;
    w->programs[0].p_align = 4;
    offset += notes;
    for (size_t i = 1; i < w->n_programs; i++) {
        Elf64_Phdr *p = &w->programs[i];
        offset += (p->p_vaddr - offset) & 7;
        p->p_offset = offset;
        offset += p->p_filesz;
    }
}

/* --- the file --- */

static bool write_headers(struct writer *w)
{
    bool many = w->n_programs >= PN_XNUM;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                    EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof header,
        .e_ehsize = sizeof header,
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (Elf64_Half)(many ? PN_XNUM : w->n_programs),
    };
    Elf64_Shdr section = {.sh_info = (Elf64_Word)w->n_programs};

    if (many) {
        header.e_shoff = sizeof header + w->n_programs * sizeof(Elf64_Phdr);
        header.e_shentsize = sizeof section;
        header.e_shnum = 1;
    }
    return fwrite(&header, sizeof header, 1, w->file) == 1 &&
           fwrite(w->programs, sizeof *w->programs, w->n_programs, w->file) ==
               w->n_programs &&
           (!many || fwrite(&section, sizeof section, 1, w->file) == 1);
}

static bool save_write_contents(struct writer *w, uint8_t *buffer)
{
    struct mt_source *source = w->save.source;

    for (size_t i = 1; i < w->n_programs; i++) {
        const Elf64_Phdr *p = &w->programs[i];
        if (p->p_filesz && fseeko(w->file, (off_t)p->p_offset, SEEK_SET) != 0)
            return save_cannot_write(w);
        for (uint64_t at = 0; at < p->p_filesz; at += CHUNK) {
            size_t n =
                p->p_filesz - at < CHUNK ? (size_t)(p->p_filesz - at) : CHUNK;
            if (!mt_source_read(source, p->p_vaddr + at, buffer, n))
                return mt_fail(w->error,
                               "save: memory at 0x%llx cannot be read",
                               (unsigned long long)(p->p_vaddr + at));
            if (fwrite(buffer, 1, n, w->file) != n)
                return save_cannot_write(w);
        }
    }
    return true;
}

static bool save_write_all(struct writer *w, uint64_t *size)
{
    char *notes = NULL;
    size_t n_notes = 0;
    FILE *text = open_memstream(&notes, &n_notes);
    uint8_t *buffer = malloc(CHUNK);
    bool ok = false;

    if (text)
        mt_save_notes(&w->save, text);
    if (text == NULL || fclose(text) != 0 || buffer == NULL) {
        mt_no_memory(w->error, "the notes");
    } else {
        save_place(w, n_notes);
        ok = (write_headers(w) && fwrite(notes, 1, n_notes, w->file) == n_notes)
                 ? save_write_contents(w, buffer)
                 : save_cannot_write(w);
    }
    free(buffer);
    free(notes);
    if (ok)
        *size = (uint64_t)ftello(w->file);
    return ok;
}

/* Mode 0600, like a core file. */
static bool save_write_file(struct writer *w, uint64_t *size)
{
    struct mt_output output;
    bool ok;

    if (!mt_output_open(&output, w->path, 0600, w->error))
        return false;
    w->file = output.file;
    ok = save_write_all(w, size);
    if (ok && output.is_new &&
        (fflush(w->file) != 0 || fsync(fileno(w->file)) != 0))
        ok = save_cannot_write(w);
    return mt_output_close(&output, ok, w->error);
}

/* Into `file`, or if that is NULL into a new file. */
static bool save_model(const struct mt_model *model, FILE *file,
                       const char *path, uint64_t *bytes,
                       struct mt_error *error)
{
    struct writer w = {.save = {.model = model, .source = model->source},
                       .file = file,
                       .path = path,
                       .error = error};
    bool ok = mt_save_find_ranges(&w.save) ||
              mt_no_memory(error, "the parts of the trace");

    ok = ok && make_programs(&w) &&
         (file ? save_write_all(&w, bytes) : save_write_file(&w, bytes));
    free(w.save.ranges);
    free(w.programs);
    return ok;
}

bool mt_save_write(const struct mt_model *model, const char *path,
                   uint64_t *bytes, struct mt_error *error)
{
    return save_model(model, NULL, path, bytes, error);
}

bool mt_save_stream(const struct mt_model *model, FILE *file, const char *name,
                    uint64_t *bytes, struct mt_error *error)
{
    return save_model(model, file, name, bytes, error) &&
           (fflush(file) == 0 ||
            mt_fail(error, "cannot write %s: %s", name, strerror(errno)));
}
