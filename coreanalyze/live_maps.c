/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_maps.c - /proc/PID/maps, pagemap and numa_maps.
 */
#include "coreanalyze/live.h"
#include "coreanalyze/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static bool parse_line(struct mt_source *source, char *line,
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
        if (!parse_line(source, line, &mapping))
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

static bool count_pages(int pagemap, uint64_t start, uint64_t end,
                        struct mt_page_stats *stats)
{
    uint64_t entries[1024];
    uint64_t page = start / stats->page_bytes;
    uint64_t last = (end + stats->page_bytes - 1) / stats->page_bytes;

    while (page < last) {
        uint64_t n = last - page;
        n = n < 1024 ? n : 1024;
        ssize_t got = pread(pagemap, entries, n * 8, (off_t)(page * 8));
        if (got < 8)
            return false;
        for (ssize_t i = 0; i < got / 8; i++) {
            stats->populated += (entries[i] & PAGEMAP_PRESENT) != 0;
            stats->swapped += (entries[i] & PAGEMAP_SWAPPED) != 0;
        }
        page += (uint64_t)got / 8;
    }
    return true;
}

/* One line of numa_maps: ADDRESS POLICY ... N0=12 N1=3 kernelpagesize_kB=4.
 * It tells pages per mapping, so a mapping must lie inside the range. */
static void add_nodes(char *line, struct mt_page_stats *stats)
{
    char *save = NULL;
    uint64_t pages[MT_MAX_NUMA_NODES] = {0};
    uint64_t page_kb = 4;

    for (char *word = strtok_r(line, " \n", &save); word;
         word = strtok_r(NULL, " \n", &save)) {
        unsigned node;
        uint64_t n;
        if (sscanf(word, "N%u=%" SCNu64, &node, &n) == 2 &&
            node < MT_MAX_NUMA_NODES)
            pages[node] += n;
        else if (strncmp(word, "kernelpagesize_kB=", 18) == 0)
            page_kb = strtoull(word + 18, NULL, 10);
    }
    for (unsigned i = 0; i < MT_MAX_NUMA_NODES; i++) {
        if (pages[i] == 0)
            continue;
        stats->node[i] += pages[i] * page_kb * 1024 / stats->page_bytes;
        if (stats->n_nodes <= i)
            stats->n_nodes = i + 1;
    }
}

static bool count_nodes(pid_t pid, uint64_t start, uint64_t end,
                        struct mt_page_stats *stats)
{
    char path[64], *line = NULL;
    size_t line_bytes = 0;
    bool seen = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/numa_maps", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (getline(&line, &line_bytes, file) > 0) {
        uint64_t address;
        if (sscanf(line, "%" SCNx64, &address) == 1 && address >= start &&
            address < end) {
            add_nodes(line, stats);
            seen = true;
        }
    }
    free(line);
    fclose(file);
    return seen;
}

void mt_proc_pages(pid_t pid, int pagemap, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats)
{
    if (stats->page_bytes == 0)
        stats->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (count_pages(pagemap, start, end, stats))
        stats->known = true;
    if (count_nodes(pid, start, end, stats))
        stats->numa_known = true;
}

void mt_live_pages(struct mt_source *source, uint64_t start, uint64_t end,
                   struct mt_page_stats *stats)
{
    struct live *live = (struct live *)source;

    mt_proc_pages(live->pid, live->pagemap, start, end, stats);
}
