/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_proc.c - what /proc and the kernel know of a process: mappings, pages
 * and their nodes, threads.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/source/modules.h"
#include "coreanalyze/source/page_walk.h"
#include "coreanalyze/source/proc_task.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Undoes the kernel's \ooo of newlines and cuts its " (deleted)". */
static size_t clean_path(char *path)
{
    static const char deleted[] = " (deleted)";
    char *to = path;
    size_t length;

    for (char *from = path; *from; from++) {
        if (strncmp(from, "\\012", 4) == 0) {
            *to++ = '\n';
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    length = (size_t)(to - path);
    if (length > sizeof deleted - 1 &&
        strcmp(to - (sizeof deleted - 1), deleted) == 0)
        length -= sizeof deleted - 1;
    path[length] = '\0';
    return length;
}

/* All but the path, whose place in the line is returned; NULL: not a line of
 * maps. */
static char *live_proc_parse_fields(char *line, struct mt_mapping *mapping)
{
    const char *at = line, *flags;

    mapping->start = mt_scan_hex(&at);
    if (at == line || *at++ != '-')
        return NULL;
    mapping->end = mt_scan_hex(&at);
    flags = at + 1;
    if (*at != ' ' || strcspn(flags, " \n") < 4 || flags[4] != ' ' ||
        mapping->end <= mapping->start)
        return NULL;
    at = flags + 5;
    mapping->file_offset = mt_scan_hex(&at);
    at += *at == ' ';
    mapping->device_major = (uint32_t)mt_scan_hex(&at);
    if (*at++ != ':')
        return NULL;
    mapping->device_minor = (uint32_t)mt_scan_hex(&at);
    if (*at++ != ' ')
        return NULL;
    mapping->inode = mt_scan_decimal(&at);
    mapping->flags = (flags[0] == 'r' ? MT_MAP_READ : 0) |
                     (flags[1] == 'w' ? MT_MAP_WRITE : 0) |
                     (flags[2] == 'x' ? MT_MAP_EXEC : 0) |
                     (flags[3] == 'p' ? MT_MAP_PRIVATE : 0);
    if (mapping->flags & MT_MAP_READ)
        mapping->present = mapping->end - mapping->start;
    return line + (at - line) + strspn(at, " ");
}

static bool live_proc_parse_line(struct mt_source *source, char *line,
                                 struct mt_mapping *mapping)
{
    char *path = live_proc_parse_fields(line, mapping);

    if (path == NULL)
        return false;
    path[strcspn(path, "\n")] = '\0';
    if (*path != '\0')
        mapping->path = mt_strings_add(source->strings, path, clean_path(path));
    return true;
}

bool mt_live_maps(struct mt_source *source, pid_t pid, struct mt_error *error)
{
    char path[64], buffer[MT_PROC_BUFFER], *line = NULL;
    size_t line_bytes = 0, capacity = 0;
    bool ok = true;
    FILE *file;

    free(source->mappings);
    source->mappings = NULL;
    source->n_mappings = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return mt_fail(error, "cannot read %s", path);
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    while (ok && getline(&line, &line_bytes, file) > 0) {
        struct mt_mapping mapping = {0};
        if (!live_proc_parse_line(source, line, &mapping))
            continue;
        /* The file changes while it is read: keep the order. */
        if (source->n_mappings > 0 &&
            mapping.start < source->mappings[source->n_mappings - 1].end)
            continue;
        ok = mt_grow(&source->mappings, &capacity, source->n_mappings + 1,
                     sizeof *source->mappings);
        if (ok)
            source->mappings[source->n_mappings++] = mapping;
    }
    free(line);
    fclose(file);
    return ok || mt_no_memory(error, "the table of mappings");
}

bool mt_live_mapping_now(pid_t tid, uint64_t address,
                         struct mt_mapping *mapping)
{
    char path[64], buffer[MT_PROC_BUFFER], *line = NULL;
    size_t line_bytes = 0;
    bool found = false, past = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)tid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    while (!found && !past && getline(&line, &line_bytes, file) > 0) {
        *mapping = (struct mt_mapping){0};
        if (!live_proc_parse_fields(line, mapping))
            continue;
        found = address >= mapping->start && address < mapping->end;
        past = address < mapping->start;
    }
    free(line);
    fclose(file);
    return found;
}

#define PAGES_AT_ONCE 1024

/* How many NUMA nodes the machine has; 0 if that is not known. */
static unsigned count_nodes(void)
{
    unsigned n = 0, node;
    char path[64];

    for (node = 0; node < MT_MAX_NUMA_NODES; node++) {
        snprintf(path, sizeof path, "/sys/devices/system/node/node%u", node);
        n += access(path, F_OK) == 0;
    }
    return n;
}

static void add_page(struct mt_page_stats *stats, int node)
{
    if (node < 0 || node >= MT_MAX_NUMA_NODES)
        return;
    stats->node[node]++;
    if (stats->n_nodes <= (unsigned)node)
        stats->n_nodes = (unsigned)node + 1;
}

/* Asks on which nodes pages are; false if the kernel does not answer. */
static bool ask_nodes(pid_t pid, void **pages, size_t n,
                      struct mt_page_stats *stats)
{
    int status[PAGES_AT_ONCE];

    if (n == 0)
        return true;
    if (syscall(SYS_move_pages, pid, n, pages, NULL, status, 0) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        add_page(stats, status[i]);
    return true;
}

struct page_count {
    pid_t tid;
    unsigned n_nodes;
    bool numa;
    struct mt_page_stats *stats;
};

static bool count_pages(void *context, const struct mt_page_run *run)
{
    struct page_count *count = context;
    struct mt_page_stats *stats = count->stats;
    uint64_t n = (run->end - run->start) / stats->page_bytes;
    void *pages[PAGES_AT_ONCE];

    if (run->swapped) {
        stats->swapped += n;
        return true;
    }
    stats->populated += n;
    if (count->n_nodes == 1) {
        stats->node[0] += n;
        stats->n_nodes = stats->n_nodes ? stats->n_nodes : 1;
    }
    for (uint64_t i = 0; count->n_nodes > 1 && i < n; i += PAGES_AT_ONCE) {
        size_t some = n - i < PAGES_AT_ONCE ? (size_t)(n - i) : PAGES_AT_ONCE;
        for (size_t j = 0; j < some; j++)
            pages[j] =
                (void *)(uintptr_t)(run->start + (i + j) * stats->page_bytes);
        count->numa &= ask_nodes(count->tid, pages, some, stats);
    }
    return true;
}

void mt_proc_pages(pid_t tid, int pagemap, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats)
{
    struct page_count count = {tid, count_nodes(), true, stats};
    bool first = stats->page_bytes == 0, scan = true;

    stats->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (first)
        stats->known = stats->numa_known = true;
    if (!mt_page_walk(pagemap, &scan, start, end, count_pages, &count))
        stats->known = stats->numa_known = false;
    stats->numa_known &= count.n_nodes > 0 && count.numa;
}

void mt_live_pages(struct mt_source *source, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats)
{
    struct live *live = (struct live *)source;

    mt_proc_pages(live->tid, live->pagemap, start, end, stats);
}

/* --- the process and its threads --- */

static const char *read_link(struct mt_source *source, pid_t pid)
{
    char path[64], text[4096];
    ssize_t length;

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    length = readlink(path, text, sizeof text);
    if (length <= 0)
        return NULL;
    return mt_strings_add(source->strings, text, (size_t)length);
}

static bool live_same_file(const char *one, const char *other)
{
    struct stat a, b;

    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* The root directory of a process in a container, or in another root directory;
 * NULL if it is the same as ours, or is not known. */
static const char *live_root(struct mt_source *source, pid_t pid)
{
    char mounts[64], root[64];

    snprintf(mounts, sizeof mounts, "/proc/%d/ns/mnt", (int)pid);
    int length = snprintf(root, sizeof root, "/proc/%d/root", (int)pid);
    if ((live_same_file(mounts, "/proc/self/ns/mnt") &&
         live_same_file(root, "/")) ||
        access(root, X_OK) != 0)
        return NULL;
    return mt_strings_add(source->strings, root, (size_t)length);
}

static const char *read_command(struct mt_source *source, pid_t pid)
{
    char text[4096];
    ssize_t length = -1;
    int file = mt_proc_open(pid, "cmdline");

    if (file >= 0) {
        length = read(file, text, sizeof text);
        close(file);
    }
    while (length > 0 && text[length - 1] == '\0')
        length--;
    if (length <= 0)
        return NULL;
    for (ssize_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    return mt_strings_add(source->strings, text, (size_t)length);
}

static void read_auxv(struct mt_source *source, pid_t pid)
{
    char data[4096];
    ssize_t length = -1;
    int file = mt_proc_open(pid, "auxv");

    if (file >= 0) {
        length = read(file, data, sizeof data);
        close(file);
    }
    if (length <= 0)
        return;
    source->auxv =
        (const uint8_t *)mt_strings_add(source->strings, data, (size_t)length);
    source->auxv_bytes = source->auxv ? (size_t)length : 0;
}

/* A number of a text like that of /proc/TID/status, in bytes. */
static uint64_t status_bytes(const char *text, const char *field)
{
    const char *at = strstr(text, field);

    return at ? strtoull(at + strlen(field), NULL, 10) << 10 : 0;
}

/* Reads /proc/TID/status.  The pid in the process's own namespace is the last
 * one of NStgid. */
static bool read_status(struct mt_process *process, pid_t tid, pid_t pid,
                        struct mt_error *error)
{
    bool no_memory = false;
    char *text, *line, *last;

    text = mt_proc_text(tid, "status", &no_memory);
    process->namespace_pid = (uint32_t)pid;
    if (!text)
        return !no_memory || mt_no_memory(error, "the process");
    process->rss_bytes = status_bytes(text, "\nVmRSS:");
    process->peak_rss_bytes = status_bytes(text, "\nVmHWM:");
    line = strstr(text, "\nNStgid:");
    if (line) {
        line[1 + strcspn(line + 1, "\n")] = '\0';
        last = strrchr(line, '\t');
        if (last)
            process->namespace_pid = (uint32_t)strtoul(last + 1, NULL, 10);
    }
    free(text);
    return true;
}

/* Clocks have an offset in a time namespace; kernels before 5.6 have none. */
static bool shares_clock(pid_t tid)
{
    char path[64], theirs[64], ours[64];
    ssize_t n, m = readlink("/proc/self/ns/time", ours, sizeof ours);

    snprintf(path, sizeof path, "/proc/%d/ns/time", (int)tid);
    n = readlink(path, theirs, sizeof theirs);
    return n == m && (n < 0 || memcmp(theirs, ours, (size_t)n) == 0);
}

void mt_live_thread_name(struct mt_thread *thread)
{
    char name[16];

    mt_proc_name((pid_t)thread->tid, name);
    if (strcmp(name, "?") != 0)
        memcpy(thread->name, name, sizeof thread->name);
}

bool mt_live_threads(struct mt_source *source, pid_t pid, pid_t tid,
                     struct mt_error *error)
{
    char path[64];
    size_t capacity = 0;
    struct dirent *entry;
    bool ok = true;
    DIR *folder;

    free(source->threads);
    source->threads = NULL;
    source->n_threads = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)tid);
    folder = opendir(path);
    while (ok && folder && (entry = readdir(folder))) {
        struct mt_thread thread = {0};
        char state;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        thread.tid = (uint32_t)strtoul(entry->d_name, NULL, 10);
        mt_live_thread_name(&thread);
        if (thread.tid == (uint32_t)pid)
            memcpy(source->process.name, thread.name, sizeof thread.name);
        /* A first thread that has ended stays in the list. */
        state = tid != pid && thread.tid == (uint32_t)pid
                    ? mt_proc_state((pid_t)thread.tid)
                    : 'R';
        if (state == 'Z' || state == 'X' || state == 0)
            continue;
        ok = mt_grow(&source->threads, &capacity, source->n_threads + 1,
                     sizeof *source->threads);
        if (ok)
            source->threads[source->n_threads++] = thread;
    }
    if (folder)
        closedir(folder);
    return ok || mt_no_memory(error, "the table of threads");
}

bool mt_live_tables(struct mt_source *source, pid_t pid, pid_t tid,
                    struct mt_error *error)
{
    source->process.kind = MT_SOURCE_LIVE;
    source->process.pid = (uint32_t)pid;
    if (!read_status(&source->process, tid, pid, error))
        return false;
    source->process.same_clock = shares_clock(tid);
    source->process.exe = read_link(source, tid);
    source->process.command = read_command(source, tid);
    source->process.root = live_root(source, tid);
    read_auxv(source, tid);
    return mt_live_maps(source, tid, error) &&
           (source->still || (mt_live_threads(source, pid, tid, error) &&
                              mt_modules_scan(source, error)));
}

/* The next mapping of a file from index `i` on. */
static size_t next_file(const struct mt_mapping *mappings, size_t n, size_t i)
{
    while (i < n && mappings[i].inode == 0)
        i++;
    return i;
}

static bool same_place(const struct mt_mapping *a, const struct mt_mapping *b)
{
    return a->start == b->start && a->inode == b->inode &&
           a->device_major == b->device_major &&
           a->device_minor == b->device_minor &&
           a->file_offset == b->file_offset;
}

/* Are files mapped where they were?  A data segment may have been cut. */
static bool same_files(const struct mt_mapping *old, size_t n_old,
                       const struct mt_mapping *now, size_t n_now)
{
    size_t i = next_file(old, n_old, 0), j = next_file(now, n_now, 0);

    while (i < n_old && j < n_now && same_place(&old[i], &now[j])) {
        i = next_file(old, n_old, i + 1);
        j = next_file(now, n_now, j + 1);
    }
    return i == n_old && j == n_now;
}

bool mt_live_tables_again(struct mt_source *source, pid_t pid, pid_t tid,
                          struct mt_error *error)
{
    struct mt_mapping *old = source->mappings;
    size_t n_old = source->n_mappings;
    bool ok, same;

    source->mappings = NULL;
    source->n_mappings = 0;
    ok = read_status(&source->process, tid, pid, error) &&
         mt_live_maps(source, tid, error) &&
         mt_live_threads(source, pid, tid, error);
    same = ok && same_files(old, n_old, source->mappings, source->n_mappings);
    free(old);
    if (!ok || same)
        return ok;
    free(source->modules);
    source->modules = NULL;
    source->n_modules = 0;
    return mt_modules_scan(source, error);
}
