/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_notes.c - the notes of a core, as the kernel writes them: this thread,
 * the process, the auxiliary vector, the files; and ours.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/corenote.h"
#include "heap/kernel.h"
#include "heap/exit/at_exit.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/reg.h>

static void exit_notes_begin(struct mt_exit *a, const char *name, uint32_t type,
                             size_t bytes)
{
    char text[12] = {0};
    size_t length = strlen(name) + 1;
    Elf64_Nhdr note = {(uint32_t)length, (uint32_t)bytes, type};
    memcpy(text, name, length);
    mt_exit_put(a, &note, sizeof note);
    mt_exit_put(a, text, (length + 3) & ~(size_t)3);
}

static void exit_notes_put(struct mt_exit *a, const char *name, uint32_t type,
                           const void *data, size_t bytes)
{
    exit_notes_begin(a, name, type, bytes);
    mt_exit_put(a, data, bytes);
    mt_exit_put(a, "\0\0\0", -bytes & 3);
}

/* Registers that calls keep are on the stack, in the frames below `sp`. */
static void exit_notes_put_thread(struct mt_exit *a)
{
    struct elf_prstatus status;
    uint64_t fs_base;
    __asm__("mov %%fs:0, %0" : "=r"(fs_base));
    memset(&status, 0, sizeof status);
    status.pr_pid = (pid_t)mt_os_tid();
    status.pr_reg[RIP] = a->pc;
    status.pr_reg[RSP] = a->sp;
    status.pr_reg[CS] = 0x33;
    status.pr_reg[SS] = 0x2b;
    status.pr_reg[FS_BASE] = fs_base;
    exit_notes_put(a, "CORE", NT_PRSTATUS, &status, sizeof status);
}

static void exit_notes_put_process(struct mt_exit *a)
{
    struct elf_prpsinfo info;
    memset(&info, 0, sizeof info);
    info.pr_sname = 'R';
    info.pr_pid = (pid_t)memtrace_root->pid;
    info.pr_ppid = (pid_t)mt_kernel(SYS_getppid);
    size_t n = mt_exit_read_file(MT_EXIT_SELF "comm", info.pr_fname,
                                 sizeof info.pr_fname - 1);
    if (n && info.pr_fname[n - 1] == '\n')
        info.pr_fname[n - 1] = '\0';
    n = mt_exit_read_file(MT_EXIT_SELF "cmdline", info.pr_psargs,
                          sizeof info.pr_psargs - 1);
    for (size_t i = 0; i + 1 < n; i++)
        if (info.pr_psargs[i] == '\0')
            info.pr_psargs[i] = ' ';
    exit_notes_put(a, "CORE", NT_PRPSINFO, &info, sizeof info);
}

static bool exit_notes_is_file(const struct mt_exit_map *map)
{
    return map->path_length && map->path[0] == '/';
}

static void exit_notes_put_files(struct mt_exit *a)
{
    uint64_t head[2] = {0, 4096};
    struct mt_exit_map map;
    size_t text = 0;
    for (size_t at = 0; mt_exit_next_map(a, &at, &map);) {
        if (!exit_notes_is_file(&map))
            continue;
        head[0]++;
        text += map.path_length + 1;
    }
    size_t bytes = sizeof head + head[0] * 24 + text;
    exit_notes_begin(a, "CORE", NT_FILE, bytes);
    mt_exit_put(a, head, sizeof head);
    for (size_t at = 0; mt_exit_next_map(a, &at, &map);) {
        uint64_t entry[3] = {map.start, map.end, map.offset / 4096};
        if (exit_notes_is_file(&map))
            mt_exit_put(a, entry, sizeof entry);
    }
    for (size_t at = 0; mt_exit_next_map(a, &at, &map);) {
        if (!exit_notes_is_file(&map))
            continue;
        mt_exit_put(a, map.path, map.path_length);
        mt_exit_put(a, "", 1);
    }
    mt_exit_put(a, "\0\0\0", -bytes & 3);
}

/* The other threads, which have no registers here. */
static uint32_t other_threads(struct mt_exit *a)
{
    struct entry {
        uint64_t inode, offset;
        uint16_t bytes;
        uint8_t type;
        char name[];
    };
    uint32_t n = 0;
    int folder = mt_exit_open("/proc/self/task", O_RDONLY | O_DIRECTORY);
    long got;
    while (folder >= 0 && (got = mt_kernel(SYS_getdents64, folder, a->chunk,
                                           sizeof a->chunk)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const void *)(a->chunk + at);
            n += entry->name[0] != '.';
            at += entry->bytes;
        }
    }
    if (folder >= 0)
        mt_kernel(SYS_close, folder);
    return n > 0 ? n - 1 : 0;
}

void mt_exit_notes(struct mt_exit *a)
{
    exit_notes_put_thread(a);
    exit_notes_put_process(a);
    size_t n =
        mt_exit_read_file(MT_EXIT_SELF "auxv", a->chunk, sizeof a->chunk);
    if (n)
        exit_notes_put(a, "CORE", NT_AUXV, a->chunk, n);
    exit_notes_put_files(a);
    if (a->box) /* has that note in its header */
        return;
    struct mt_self_note note = {.version = 1,
                                .mini = !a->core,
                                .threads_missing = other_threads(a),
                                .limit_kind = a->why.kind,
                                .missing_bytes = a->missing_bytes,
                                .limit = a->why.limit,
                                .usage = a->why.usage,
                                .resident_bytes = a->why.resident,
                                .realtime_ns = a->why.realtime_ns};
    exit_notes_put(a, MT_NOTE_NAME, MT_NOTE_SELF, &note, sizeof note);
}
