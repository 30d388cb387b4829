/* SPDX-License-Identifier: BSD-2-Clause
 *
 * save_notes.c - the notes of a mini-core, as the kernel writes them.
 */
#include "heap/corenote.h"
#include "coreanalyze/save/save.h"

#include <elf.h>
#include <string.h>
#include <sys/procfs.h>

#define PAGE UINT64_C(4096)

_Static_assert(sizeof(prgregset_t) == MT_N_REGISTERS * 8, "registers");

static void save_notes_begin(FILE *out, const char *name, uint32_t type,
                             size_t bytes)
{
    static const char zeros[4];
    size_t length = strlen(name) + 1;
    Elf64_Nhdr note = {(uint32_t)length, (uint32_t)bytes, type};

    fwrite(&note, sizeof note, 1, out);
    fwrite(name, 1, length, out);
    fwrite(zeros, 1, -length & 3, out);
}

static void save_notes_put(FILE *out, const char *name, uint32_t type,
                           const void *data, size_t bytes)
{
    static const char zeros[4];

    save_notes_begin(out, name, type, bytes);
    fwrite(data, 1, bytes, out);
    fwrite(zeros, 1, -bytes & 3, out);
}

static void save_notes_put_thread(const struct mt_source *source,
                                  const struct mt_thread *thread, FILE *out)
{
    struct elf_prstatus status = {.pr_pid = (pid_t)thread->tid};

    if (thread == source->threads) {
        status.pr_cursig = (short)source->process.signal;
        status.pr_info.si_signo = source->process.signal;
    }
    memcpy(status.pr_reg, thread->registers, sizeof status.pr_reg);
    save_notes_put(out, "CORE", NT_PRSTATUS, &status, sizeof status);
}

static void save_notes_put_process(const struct mt_save *save, FILE *out)
{
    const struct mt_process *process = &save->source->process;
    uint32_t pid =
        process->namespace_pid ? process->namespace_pid : process->pid;
    struct elf_prpsinfo info = {
        .pr_sname = 'R',
        .pr_pid = (pid_t)(pid ? pid : save->model->pid),
        .pr_ppid = (pid_t)save->model->parent_pid,
    };

    memcpy(info.pr_fname, process->name,
           strnlen(process->name, sizeof info.pr_fname - 1));
    if (process->command)
        memcpy(info.pr_psargs, process->command,
               strnlen(process->command, sizeof info.pr_psargs - 1));
    save_notes_put(out, "CORE", NT_PRPSINFO, &info, sizeof info);
}

static bool save_notes_is_file(const struct mt_mapping *m)
{
    return m->path && m->path[0] == '/';
}

static void save_notes_put_files(const struct mt_source *source, FILE *out)
{
    uint64_t head[2] = {0, PAGE};
    size_t bytes = sizeof head, text = 0;

    for (size_t i = 0; i < source->n_mappings; i++) {
        if (!save_notes_is_file(&source->mappings[i]))
            continue;
        head[0]++;
        text += strlen(source->mappings[i].path) + 1;
    }
    bytes += head[0] * 24 + text;
    save_notes_begin(out, "CORE", NT_FILE, bytes);
    fwrite(head, sizeof head, 1, out);
    for (size_t i = 0; i < source->n_mappings; i++) {
        const struct mt_mapping *m = &source->mappings[i];
        uint64_t entry[3] = {m->start, m->end, m->file_offset / PAGE};
        if (save_notes_is_file(m))
            fwrite(entry, sizeof entry, 1, out);
    }
    for (size_t i = 0; i < source->n_mappings; i++)
        if (save_notes_is_file(&source->mappings[i]))
            fwrite(source->mappings[i].path, 1,
                   strlen(source->mappings[i].path) + 1, out);
    while (bytes++ % 4)
        putc(0, out);
}

static bool is_named(const struct mt_thread *thread)
{
    return thread->has_registers && thread->name[0];
}

/* GDB shows only a thread's number; its name is for our reader. */
static void put_names(const struct mt_source *source, FILE *out)
{
    size_t n = 0;

    for (size_t i = 0; i < source->n_threads; i++)
        n += is_named(&source->threads[i]);
    if (n == 0)
        return;
    save_notes_begin(out, MT_NOTE_NAME, MT_NOTE_THREADS,
                     n * sizeof(struct mt_thread_note));
    for (size_t i = 0; i < source->n_threads; i++) {
        const struct mt_thread *t = &source->threads[i];
        struct mt_thread_note thread = {.tid = t->tid};
        memcpy(thread.name, t->name, sizeof thread.name);
        if (is_named(t))
            fwrite(&thread, sizeof thread, 1, out);
    }
}

void mt_save_notes(const struct mt_save *save, FILE *out)
{
    const struct mt_source *source = save->source;
    struct mt_saved_note note = {
        .version = 1,
        .tables_incomplete = source->coverage.tables_incomplete,
        .missing_bytes =
            source->coverage.missing_bytes + source->coverage.box_bytes,
        .bad_notes = source->coverage.bad_notes,
    };
    bool any = false;

    /* A debugger reads the process from the note after the first thread. */
    for (size_t i = 0; i < source->n_threads; i++) {
        if (!source->threads[i].has_registers)
            continue;
        save_notes_put_thread(source, &source->threads[i], out);
        if (!any)
            save_notes_put_process(save, out);
        any = true;
    }
    if (!any)
        save_notes_put_process(save, out);
    if (source->auxv_bytes > 0)
        save_notes_put(out, "CORE", NT_AUXV, source->auxv, source->auxv_bytes);
    save_notes_put_files(source, out);
    save_notes_put(out, MT_NOTE_NAME, MT_NOTE_SAVED, &note, sizeof note);
    put_names(source, out);
}
