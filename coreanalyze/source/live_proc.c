/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_proc.c - what /proc and the kernel know of a process: mappings, pages
 * and their nodes, memory, threads.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/string_set.h"
#include "coreanalyze/source/modules.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

static bool live_proc_parse_line(struct mt_source *source, char *line,
                                 struct mt_mapping *mapping)
{
    char flags[5];
    int path = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n",
               &mapping->start, &mapping->end, flags, &mapping->file_offset,
               &path) < 4 ||
        mapping->end <= mapping->start)
        return false;
    mapping->flags = (flags[0] == 'r' ? MT_MAP_READ : 0) |
                     (flags[1] == 'w' ? MT_MAP_WRITE : 0) |
                     (flags[2] == 'x' ? MT_MAP_EXEC : 0) |
                     (flags[3] == 'p' ? MT_MAP_PRIVATE : 0);
    if (mapping->flags & MT_MAP_READ)
        mapping->present = mapping->end - mapping->start;
    line[strcspn(line, "\n")] = '\0';
    if (path > 0 && line[path] != '\0')
        mapping->path = mt_strings_add(source->strings, line + path,
                                       clean_path(line + path));
    return true;
}

bool mt_live_maps(struct mt_source *source, pid_t pid, struct mt_error *error)
{
    char path[64], *line = NULL;
    size_t line_bytes = 0, capacity = 0;
    bool ok = true;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return mt_fail(error, "cannot read %s", path);
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

/* Asks on which nodes pages are; false if the kernel does not tell. */
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

static bool count_chunk(pid_t pid, const uint64_t *entries, size_t n,
                        uint64_t page, unsigned n_nodes,
                        struct mt_page_stats *stats)
{
    void *populated[PAGES_AT_ONCE];
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (entries[i] & MT_PAGE_PRESENT)
            populated[count++] =
                (void *)(uintptr_t)((page + i) * stats->page_bytes);
        stats->swapped += (entries[i] & MT_PAGE_SWAPPED) != 0;
    }
    stats->populated += count;
    if (n_nodes > 1)
        return ask_nodes(pid, populated, count, stats);
    for (size_t i = 0; i < count; i++)
        add_page(stats, 0);
    return n_nodes == 1;
}

void mt_proc_pages(pid_t pid, int pagemap, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats)
{
    static unsigned n_nodes;
    uint64_t entries[PAGES_AT_ONCE], page, last;
    bool first = stats->page_bytes == 0, numa = true;

    if (n_nodes == 0)
        n_nodes = count_nodes();
    stats->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    page = start / stats->page_bytes;
    last = (end + stats->page_bytes - 1) / stats->page_bytes;
    if (first)
        stats->known = stats->numa_known = true;
    while (page < last) {
        uint64_t n = last - page;
        n = n < PAGES_AT_ONCE ? n : PAGES_AT_ONCE;
        ssize_t got = pread(pagemap, entries, n * 8, (off_t)(page * 8));
        if (got < 8) {
            stats->known = stats->numa_known = false;
            return;
        }
        numa &=
            count_chunk(pid, entries, (size_t)got / 8, page, n_nodes, stats);
        page += (uint64_t)got / 8;
    }
    stats->numa_known &= numa;
}

void mt_live_pages(struct mt_source *source, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats)
{
    struct live *live = (struct live *)source;

    mt_proc_pages(live->pid, live->pagemap, start, end, stats);
}

/* --- memory --- */

size_t mt_live_peek(struct live *live, uint64_t address, void *buffer,
                    size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        struct iovec to = {(char *)buffer + done, bytes - done};
        struct iovec from = {(void *)(uintptr_t)(address + done), bytes - done};
        bool by_file = __atomic_load_n(&live->by_file, __ATOMIC_RELAXED);
        ssize_t got = -1;
        if (!by_file)
            got = process_vm_readv(live->pid, &to, 1, &from, 1, 0);
        if (got < 0 && (by_file || errno == EPERM || errno == ENOSYS)) {
            __atomic_store_n(&live->by_file, true, __ATOMIC_RELAXED);
            got = pread(live->mem, to.iov_base, to.iov_len,
                        (off_t)(address + done));
        }
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* --- the process and its threads --- */

int mt_live_open(pid_t pid, const char *name)
{
    char path[80];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

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

static const char *read_command(struct mt_source *source, pid_t pid)
{
    char text[4096];
    ssize_t length = -1;
    int file = mt_live_open(pid, "cmdline");

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
    int file = mt_live_open(pid, "auxv");

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

/* "VmRSS:    1234 kB" in bytes. */
static uint64_t status_bytes(const char *line)
{
    return strtoull(strchr(line, ':') + 1, NULL, 10) << 10;
}

/* What /proc/PID/status says. The pid in the process's own namespace is the
 * last one of NSpid. */
static void read_status(struct mt_process *process, pid_t pid)
{
    char line[256];
    int fd = mt_live_open(pid, "status");
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    process->namespace_pid = (uint32_t)pid;
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file)) {
        char *last = strrchr(line, '\t');
        if (strncmp(line, "NSpid:", 6) == 0 && last)
            process->namespace_pid = (uint32_t)strtoul(last + 1, NULL, 10);
        else if (strncmp(line, "VmRSS:", 6) == 0)
            process->rss_bytes = status_bytes(line);
        else if (strncmp(line, "VmHWM:", 6) == 0)
            process->peak_rss_bytes = status_bytes(line);
    }
    fclose(file);
}

bool mt_live_threads(struct mt_source *source, pid_t pid,
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
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    folder = opendir(path);
    while (ok && folder && (entry = readdir(folder)) != NULL) {
        struct mt_thread thread = {0};
        char name[40];
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        thread.tid = (uint32_t)strtoul(entry->d_name, NULL, 10);
        snprintf(name, sizeof name, "task/%u/comm", thread.tid);
        int file = mt_live_open(pid, name);
        if (file >= 0) {
            ssize_t got = read(file, thread.name, sizeof thread.name - 1);
            close(file);
            thread.name[got > 0 ? got : 0] = '\0';
            thread.name[strcspn(thread.name, "\n")] = '\0';
        }
        if (thread.tid == (uint32_t)pid)
            memcpy(source->process.name, thread.name, sizeof thread.name);
        ok = mt_grow(&source->threads, &capacity, source->n_threads + 1,
                     sizeof *source->threads);
        if (ok)
            source->threads[source->n_threads++] = thread;
    }
    if (folder)
        closedir(folder);
    return ok || mt_no_memory(error, "the table of threads");
}

bool mt_live_tables(struct mt_source *source, pid_t pid, struct mt_error *error)
{
    source->process.kind = MT_SOURCE_LIVE;
    source->process.pid = (uint32_t)pid;
    read_status(&source->process, pid);
    source->process.exe = read_link(source, pid);
    source->process.command = read_command(source, pid);
    read_auxv(source, pid);
    return mt_live_maps(source, pid, error) &&
           mt_live_threads(source, pid, error) &&
           mt_modules_scan(source, error);
}
