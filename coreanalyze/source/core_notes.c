/* SPDX-License-Identifier: BSD-2-Clause
 *
 * core_notes.c - the notes of a core: process, threads, files, auxiliary
 * vector; and the merge of the files into the mappings.
 */
#include "coreanalyze/source/core.h"
#include "coreanalyze/base/elf_note.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/source/segments.h"
#include "coreanalyze/source/vector_words.h"
#include "heap/corenote.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(MT_N_SAVED_KINDS == MT_N_LIMIT_KINDS, "kinds of limits");
_Static_assert(MT_SAVED_GROWN == MT_LIMIT_GROWN, "kinds of limits");

#define AUXV_SYSINFO_EHDR 33
#define AUXV_PHDR 3

/* Offsets in struct elf_prstatus and struct elf_prpsinfo of x86-64. */
enum {
    PRSTATUS_SIGNAL = 12,
    PRSTATUS_PID = 32,
    PRSTATUS_REGISTERS = 112,
    PRSTATUS_BYTES = 336,
    PRPSINFO_PID = 24,
    PRPSINFO_COMMAND = 40,
    PRPSINFO_ARGUMENTS = 56,
    PRPSINFO_BYTES = 136,
};

static uint64_t core_notes_get64(const uint8_t *p)
{
    uint64_t value;

    memcpy(&value, p, sizeof value);
    return value;
}

static uint32_t core_notes_get32(const uint8_t *p)
{
    uint32_t value;

    memcpy(&value, p, sizeof value);
    return value;
}

/* --- mappings --- */

static void mapping_skip(void *item, uint64_t bytes)
{
    struct mt_mapping *m = item;

    m->present = m->present > bytes ? m->present - bytes : 0;
    m->file_offset += bytes;
}

static void sort_mappings(struct mt_source *source)
{
    source->n_mappings =
        mt_segments_sort(source->mappings, source->n_mappings,
                         sizeof *source->mappings, mapping_skip);
}

static struct mt_mapping *mapping_at(struct mt_source *source, uint64_t address)
{
    return (struct mt_mapping *)(uintptr_t)mt_source_mapping(source, address);
}

bool mt_core_merge_mappings(struct core *core, struct mt_mapping *files,
                            size_t n_files, struct mt_error *error)
{
    struct mt_source *source = &core->source;
    size_t capacity = source->n_mappings, more = 0, known;

    sort_mappings(source);
    known = source->n_mappings;
    /* Files name the segments at their address; those that have no segment
     * come after the others until all are sorted again. */
    for (size_t i = 0; i < n_files; i++) {
        struct mt_mapping *m = mapping_at(source, files[i].start);
        if (m == NULL) {
            files[more++] = files[i];
            continue;
        }
        /* A mini-core cuts a mapping in parts. */
        for (size_t at = (size_t)(m - source->mappings);
             at < known && m->path == NULL && m->start < files[i].end;
             at++, m++) {
            m->path = files[i].path;
            m->file_offset = files[i].file_offset + (m->start - files[i].start);
        }
    }
    if (more == 0)
        return true;
    if (!mt_grow(&source->mappings, &capacity, source->n_mappings + more,
                 sizeof *source->mappings))
        return mt_no_memory(error, "the mappings");
    memcpy(source->mappings + source->n_mappings, files,
           more * sizeof *source->mappings);
    source->n_mappings += more;
    sort_mappings(source);
    return true;
}

/* --- notes --- */

static bool note_files(struct core *core, const uint8_t *data, size_t bytes,
                       struct mt_error *error)
{
    struct mt_source *source = &core->source;
    uint64_t count, page;
    const uint8_t *entry = data + 16;
    const char *text, *end = (const char *)data + bytes;
    struct mt_mapping *files = NULL;
    size_t n = 0, capacity = 0;
    bool ok = true;

    if (bytes < 16 || (count = core_notes_get64(data)) > (bytes - 16) / 24) {
        source->coverage.bad_notes++;
        return true;
    }
    page = core_notes_get64(data + 8);
    text = (const char *)data + 16 + count * 24;
    for (uint64_t i = 0; ok && i < count; i++, entry += 24) {
        const char *stop = memchr(text, '\0', (size_t)(end - text));
        struct mt_mapping m = {
            .start = core_notes_get64(entry),
            .end = core_notes_get64(entry + 8),
            .file_offset = core_notes_get64(entry + 16) * page,
            .flags = MT_MAP_READ | MT_MAP_PRIVATE | MT_MAP_ASSUMED};
        if (stop == NULL) {
            source->coverage.bad_notes++;
            break;
        }
        m.path = mt_strings_add(source->strings, text, (size_t)(stop - text));
        text = stop + 1;
        if (m.end <= m.start)
            continue;
        ok = m.path && mt_grow(&files, &capacity, n + 1, sizeof *files);
        if (ok)
            files[n++] = m;
    }
    ok = ok ? mt_core_merge_mappings(core, files, n, error)
            : mt_no_memory(error, "the files of the core");
    free(files);
    return ok;
}

static bool note_thread(struct core *core, const uint8_t *data,
                        size_t *capacity)
{
    struct mt_source *source = &core->source;
    struct mt_thread thread = {.tid = core_notes_get32(data + PRSTATUS_PID),
                               .has_registers = true};

    if (source->n_threads >= MT_CORE_MAX_THREADS) {
        source->coverage.tables_incomplete = true;
        return true;
    }
    if (source->n_threads == 0)
        source->process.signal = data[PRSTATUS_SIGNAL];
    memcpy(thread.registers, data + PRSTATUS_REGISTERS,
           sizeof thread.registers);
    thread.fs_base = thread.registers[MT_REG_FS_BASE];
    if (!mt_grow(&source->threads, capacity, source->n_threads + 1,
                 sizeof *source->threads))
        return false;
    source->threads[source->n_threads++] = thread;
    return true;
}

/* Notes of a thread's registers follow the one that names it. */
static bool note_vectors(struct core *core, const struct mt_elf_note *note,
                         size_t from, size_t to)
{
    struct mt_source *source = &core->source;
    const struct mt_thread *thread;
    size_t most;

    if (to > note->bytes)
        to = note->bytes;
    if (source->n_threads == 0 || to < from)
        return true;
    thread = &source->threads[source->n_threads - 1];
    if (!mt_thread_in_user_code(thread->registers))
        return true;
    most = (to - from) / 8;
    if (source->n_kernel_words + most > MT_CORE_MAX_WORDS) {
        source->coverage.tables_incomplete = true;
        return true;
    }
    if (!mt_grow(&source->kernel_words, &core->kernel_words_capacity,
                 source->n_kernel_words + most, sizeof *source->kernel_words))
        return false;
    source->n_kernel_words +=
        mt_vector_words(note->data, from, to, thread->tid,
                        source->kernel_words + source->n_kernel_words, most);
    return true;
}

static void note_process(struct core *core, const uint8_t *data)
{
    struct mt_process *process = &core->source.process;
    const char *arguments = (const char *)data + PRPSINFO_ARGUMENTS;
    size_t length = strnlen(arguments, 80);

    process->pid = process->namespace_pid =
        core_notes_get32(data + PRPSINFO_PID);
    while (length > 0 && arguments[length - 1] == ' ')
        length--;
    process->command = mt_strings_add(core->source.strings, arguments, length);
    memcpy(process->name, data + PRPSINFO_COMMAND, sizeof process->name - 1);
}

static void note_minicore(struct core *core, const uint8_t *data, size_t bytes)
{
    struct mt_source *source = &core->source;
    struct mt_saved_note note;

    source->process.mini = true;
    if (bytes < sizeof note) {
        source->coverage.bad_notes++;
        return;
    }
    memcpy(&note, data, sizeof note);
    source->coverage.missing_bytes += note.missing_bytes;
    source->coverage.bad_notes += note.bad_notes;
    source->coverage.tables_incomplete |= note.tables_incomplete != 0;
}

/* The process wrote the core itself: of other threads it knows how many. */
static void note_self(struct core *core, const uint8_t *data, size_t bytes)
{
    struct mt_source *source = &core->source;
    struct mt_self_note note = {0};

    if (bytes < MT_SELF_NOTE_LEAST) {
        source->coverage.bad_notes++;
        return;
    }
    memcpy(&note, data, bytes < sizeof note ? bytes : sizeof note);
    source->process.saved_at = (struct mt_saved_at){
        note.limit_kind < MT_N_LIMIT_KINDS ? note.limit_kind : 0, note.limit,
        note.usage, note.resident_bytes, note.realtime_ns};
    source->process.mini = note.mini != 0;
    source->process.box = note.box != 0;
    source->coverage.box_ended = note.box == MT_BOX_ENDED;
    if (note.box)
        source->coverage.box_bytes += note.missing_bytes;
    else
        source->coverage.missing_bytes += note.missing_bytes;
    source->coverage.threads_missing = note.threads_missing;
}

/* Needs the threads, which come before it. */
static void note_names(struct core *core, const uint8_t *data, size_t bytes)
{
    struct mt_source *source = &core->source;
    struct mt_thread_note thread;
    size_t next = 0;

    /* In the order of the threads, of which some may have no name. */
    for (size_t at = 0; bytes - at >= sizeof thread; at += sizeof thread) {
        memcpy(&thread, data + at, sizeof thread);
        while (next < source->n_threads &&
               source->threads[next].tid != thread.tid)
            next++;
        if (next == source->n_threads)
            break;
        memcpy(source->threads[next].name, thread.name, sizeof thread.name - 1);
    }
}

/* The program is the file that holds its program headers. */
static void note_auxv(struct core *core, const uint8_t *data, size_t bytes)
{
    struct mt_source *source = &core->source;

    source->auxv = data;
    source->auxv_bytes = bytes;
    for (size_t at = 0; at + 16 <= bytes; at += 16) {
        uint64_t type = core_notes_get64(data + at),
                 value = core_notes_get64(data + at + 8);
        struct mt_mapping *m = mapping_at(source, value);
        if (m == NULL)
            continue;
        if (type == AUXV_PHDR && m->path)
            source->process.exe = m->path;
        else if (type == AUXV_SYSINFO_EHDR && m->path == NULL)
            m->path = mt_strings_add(source->strings, "[vdso]", 6);
    }
}

static bool one_note(struct core *core, const struct mt_elf_note *note,
                     size_t *threads, struct mt_error *error)
{
    bool ok = true;

    if (note->type == NT_PRSTATUS && note->bytes >= PRSTATUS_BYTES)
        ok = note_thread(core, note->data, threads) ||
             mt_no_memory(error, "the threads");
    else if (note->type == NT_PRPSINFO && note->bytes >= PRPSINFO_BYTES)
        note_process(core, note->data);
    else if (note->type == NT_FPREGSET)
        ok = note_vectors(core, note, MT_XSAVE_XMM, MT_XSAVE_XMM_END) ||
             mt_no_memory(error, "the registers");
    else if (note->type == NT_FILE)
        ok = note_files(core, note->data, note->bytes, error);
    else if (note->type == NT_PRSTATUS || note->type == NT_PRPSINFO)
        core->source.coverage.bad_notes++;
    return ok;
}

static void note_of_ours(struct core *core, const struct mt_elf_note *note)
{
    if (note->type == MT_NOTE_SAVED)
        note_minicore(core, note->data, note->bytes);
    else if (note->type == MT_NOTE_SELF)
        note_self(core, note->data, note->bytes);
    else if (note->type == MT_NOTE_THREADS)
        note_names(core, note->data, note->bytes);
}

bool mt_core_notes(struct core *core, uint64_t offset, uint64_t bytes,
                   struct mt_error *error)
{
    const uint8_t *notes = mt_core_piece(core, offset, bytes), *auxv = NULL;
    size_t at = 0, auxv_bytes = 0, threads = core->source.n_threads;
    struct mt_elf_note note;

    if (notes == NULL)
        return mt_no_memory(error, "the notes of the core");
    while (mt_elf_note_next(notes, bytes, 4, &at, &note)) {
        bool is_core =
            note.name_bytes >= 4 && memcmp(note.name, "CORE", 4) == 0;
        if (is_core && note.type == NT_AUXV) {
            auxv = note.data;
            auxv_bytes = note.bytes;
        } else if (is_core && !one_note(core, &note, &threads, error)) {
            return false;
        } else if (mt_elf_note_is(&note, "LINUX") &&
                   note.type == NT_X86_XSTATE) {
            if (!note_vectors(core, &note, MT_XSAVE_REST, MT_XSAVE_MOST))
                return mt_no_memory(error, "the registers");
        } else if (mt_elf_note_is(&note, MT_NOTE_NAME)) {
            note_of_ours(core, &note);
        }
    }
    core->source.coverage.bad_notes += bytes - at >= sizeof(Elf64_Nhdr);
    /* Needs the files, whose note may come later. */
    if (auxv)
        note_auxv(core, auxv, auxv_bytes);
    return true;
}
