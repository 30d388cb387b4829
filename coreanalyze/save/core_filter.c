/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_filter.c - which pages of a core a mini-core is made of.
 *
 * A trace is known by its root, the first page of its region.  Of a module its
 * headers are kept, and its writable data: the word that points to the root
 * and ld.so's list of modules are in it.  The list's nodes may lie anywhere in
 * memory that comes by before ld.so's data, and are known by what they hold:
 * the address of a module and of its dynamic section, or the path of a module.
 */
#include "coreanalyze/save/core_filter.h"
#include "coreanalyze/base/elf_note.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/snapshot/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_PAGES 2u                  /* of a module */
#define VDSO_BYTES (64u << 10)           /* it has no file to read it from */
#define DATA_BYTES (UINT64_C(16) << 20)  /* of one module */
#define FOUND_BYTES (UINT64_C(64) << 20) /* of list nodes, at most */
#define NOTE_BYTES (UINT64_C(64) << 20)  /* of the table of files */
#define LINK_DYNAMIC 16u /* offset of l_ld in ld.so's struct link_map */

/* --- the table of files --- */

static uint64_t core_filter_word(const uint8_t *p)
{
    uint64_t value;

    memcpy(&value, p, sizeof value);
    return value;
}

static int core_filter_by_address(const void *a, const void *b)
{
    const struct mt_filter_file *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

/* Mappings of one file that follow each other become one entry. */
static bool core_filter_add_file(struct mt_core_filter *filter,
                                 const uint8_t *entry, const char *path)
{
    struct mt_filter_file *last =
        filter->n_files ? &filter->files[filter->n_files - 1] : NULL;
    uint64_t start = core_filter_word(entry), end = core_filter_word(entry + 8);

    if (end <= start)
        return true;
    if (last && strcmp(last->path, path) == 0 && start >= last->start) {
        last->end = end > last->end ? end : last->end;
        return true;
    }
    if (!mt_grow(&filter->files, &filter->capacity, filter->n_files + 1,
                 sizeof *filter->files))
        return false;
    filter->files[filter->n_files++] =
        (struct mt_filter_file){start, end, path};
    return true;
}

/* The note's text is the filter's from now on. */
static bool core_filter_take_files(struct mt_core_filter *filter, char *note,
                                   size_t bytes)
{
    const char *text, *end = note + bytes;
    uint64_t count;
    bool ok = true;

    free(filter->text);
    free(filter->files);
    filter->files = NULL;
    filter->n_files = filter->capacity = 0;
    filter->text = note;
    if (bytes < 16 ||
        (count = core_filter_word((uint8_t *)note)) > (bytes - 16) / 24)
        return true;
    text = note + 16 + count * 24;
    for (uint64_t i = 0; ok && i < count; i++) {
        const char *stop = memchr(text, '\0', (size_t)(end - text));
        if (!stop)
            break;
        ok = core_filter_add_file(filter, (uint8_t *)note + 16 + i * 24, text);
        text = stop + 1;
    }
    if (filter->n_files > 0)
        qsort(filter->files, filter->n_files, sizeof *filter->files,
              core_filter_by_address);
    return ok;
}

static void core_filter_take_vector(struct mt_core_filter *filter,
                                    const uint8_t *note, size_t bytes)
{
    for (size_t at = 0; at + 16 <= bytes; at += 16)
        if (core_filter_word(note + at) == AT_SYSINFO_EHDR)
            filter->vdso = core_filter_word(note + at + 8);
}

/* Reads the contents of a note of interest; false when out of memory. */
static bool core_filter_take_note(struct mt_core_filter *filter, int file,
                                  uint64_t offset, const Elf64_Nhdr *header)
{
    size_t bytes = header->n_descsz;
    char *note;
    ssize_t got;

    if ((header->n_type != NT_FILE && header->n_type != NT_AUXV) ||
        bytes > NOTE_BYTES)
        return true;
    note = malloc(bytes + 1);
    if (!note)
        return false;
    got = pread(file, note, bytes, (off_t)offset);
    bytes = got > 0 ? (size_t)got : 0;
    note[bytes] = '\0';
    if (header->n_type == NT_FILE)
        return core_filter_take_files(filter, note, bytes);
    core_filter_take_vector(filter, (uint8_t *)note, bytes);
    free(note);
    return true;
}

bool mt_core_filter_begin(struct mt_core_filter *filter, int file,
                          uint64_t offset, uint64_t bytes,
                          struct mt_error *error)
{
    struct {
        Elf64_Nhdr header;
        char name[4];
    } note;
    uint64_t at = 0;

    *filter = (struct mt_core_filter){.found_left = FOUND_BYTES};
    while (at + sizeof note <= bytes &&
           pread(file, &note, sizeof note, (off_t)(offset + at)) ==
               sizeof note) {
        uint64_t name = ((uint64_t)note.header.n_namesz + 3) & ~UINT64_C(3);
        uint64_t body = at + sizeof note.header + name;
        if (memcmp(note.name, "CORE", 4) == 0 &&
            !core_filter_take_note(filter, file, offset + body, &note.header))
            return mt_no_memory(error, "the files of the core");
        at = body + (((uint64_t)note.header.n_descsz + 3) & ~UINT64_C(3));
    }
    return true;
}

void mt_core_filter_free(struct mt_core_filter *filter)
{
    free(filter->files);
    free(filter->text);
}

/* --- segments --- */

static const struct mt_filter_file *
core_filter_file(const struct mt_core_filter *filter, uint64_t address)
{
    size_t low = 0, high = filter->n_files;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (filter->files[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && address < filter->files[low - 1].end
               ? &filter->files[low - 1]
               : NULL;
}

void mt_core_filter_segment(struct mt_core_filter *filter,
                            const Elf64_Phdr *program)
{
    const struct mt_filter_file *f = core_filter_file(filter, program->p_vaddr);
    bool follows = program->p_vaddr == filter->data_end;

    filter->start = program->p_vaddr;
    filter->writable = program->p_flags & PF_W;
    filter->module = f && f->start == program->p_vaddr;
    /* What is relocated, the data, and the .bss after it. */
    filter->data = (f || (follows && filter->writable)) &&
                   !(program->p_flags & PF_X) && !filter->module;
    if (filter->module || (f && !follows))
        filter->data_left = DATA_BYTES;
    if (f || filter->data)
        filter->data_end = program->p_vaddr + program->p_memsz;
}

/* --- pages --- */

static bool core_filter_in_trace(struct mt_core_filter *filter,
                                 uint64_t address, const uint8_t *page,
                                 size_t bytes)
{
    uint64_t end;

    for (unsigned i = 0; i < filter->n_roots; i++)
        if (address >= filter->roots[i].start && address < filter->roots[i].end)
            return true;
    if (!filter->writable || filter->n_roots == MT_FILTER_ROOTS ||
        !mt_snapshot_is_root(page, bytes, address, &end))
        return false;
    filter->roots[filter->n_roots].start = address;
    filter->roots[filter->n_roots++].end = end;
    return true;
}

/* The path of a module as ld.so has it, perhaps through symbolic links: the
 * last part is the same, up to a version. */
static bool core_filter_is_path(const struct mt_core_filter *filter,
                                const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    const char *base, *version;

    if (n == room)
        return false;
    base = mt_base_name(text);
    version = strstr(base, ".so.");
    n = version ? (size_t)(version - base) + 3 : strlen(base) + 1;
    for (size_t i = 0; *base && i < filter->n_files; i++)
        if (strncmp(base, mt_base_name(filter->files[i].path), n) == 0)
            return true;
    return false;
}

/* A node of ld.so's list, or the path that one points to. */
static bool core_filter_holds_node(const struct mt_core_filter *filter,
                                   const uint8_t *page, size_t bytes)
{
    uint64_t low, high;

    if (filter->n_files == 0)
        return false;
    low = filter->files[0].start;
    high = filter->files[filter->n_files - 1].start;
    for (size_t at = 0; at + 8 <= bytes; at += 8) {
        uint64_t word = core_filter_word(page + at);
        const struct mt_filter_file *f;
        if (page[at] == '/' && at % 16 == 0 &&
            core_filter_is_path(filter, (const char *)page + at, bytes - at))
            return true;
        if (word % MT_FILTER_PAGE != 0 || word < low || word > high)
            continue;
        f = core_filter_file(filter, word);
        if (!f || f->start != word)
            continue;
        if (at + LINK_DYNAMIC + 8 > bytes)
            return true;
        word = core_filter_word(page + at + LINK_DYNAMIC);
        if (word > f->start && word < f->end)
            return true;
    }
    return false;
}

bool mt_core_filter_page(struct mt_core_filter *filter, uint64_t address,
                         const uint8_t *page, size_t bytes)
{
    uint64_t at = address - filter->start;

    if (core_filter_in_trace(filter, address, page, bytes))
        return true;
    if (filter->start == filter->vdso)
        return at < VDSO_BYTES;
    if (filter->module && at < (uint64_t)HEADER_PAGES * MT_FILTER_PAGE)
        return true;
    if (filter->data && filter->data_left >= bytes) {
        filter->data_left -= bytes;
        return true;
    }
    if (filter->writable && filter->found_left >= bytes &&
        core_filter_holds_node(filter, page, bytes)) {
        filter->found_left -= bytes;
        return true;
    }
    return false;
}
