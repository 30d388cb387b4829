/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_maps.c - /proc/PID/maps and pagemap, and the nodes of pages.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static bool live_maps_parse_line(struct mt_source *source, char *line,
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
        mapping->path = mt_string_pool_add(source->strings, line + path,
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
        if (!live_maps_parse_line(source, line, &mapping))
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
    return ok || mt_fail(error, "out of memory for the table of mappings");
}

#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
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
        if (entries[i] & PAGEMAP_PRESENT)
            populated[count++] =
                (void *)(uintptr_t)((page + i) * stats->page_bytes);
        stats->swapped += (entries[i] & PAGEMAP_SWAPPED) != 0;
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
