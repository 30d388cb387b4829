/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_smaps.c - how much memory each mapping of a process has: the kernel's
 * figures (/proc/TID/smaps), and which pages these are (its page table).
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/source/page_walk.h"
#include "coreanalyze/source/proc_task.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The figure of a line "Name:   123 kB", in bytes; false: another line. */
static bool smaps_figure(const char *line, const char *name, uint64_t *bytes)
{
    size_t length = strlen(name);

    if (strncmp(line, name, length) != 0)
        return false;
    *bytes = strtoull(line + length, NULL, 10) << 10;
    return true;
}

static void smaps_line(const char *line, struct mt_mapping_use *use)
{
    uint64_t bytes;

    if (smaps_figure(line, "Rss:", &bytes))
        use->resident += bytes;
    else if (smaps_figure(line, "Private_Hugetlb:", &bytes) ||
             smaps_figure(line, "Shared_Hugetlb:", &bytes))
        use->huge += bytes;
    else if (strncmp(line, "VmFlags:", 8) == 0)
        use->device |= strstr(line, " io") || strstr(line, " pf");
}

bool mt_live_uses(struct mt_source *source, struct mt_mapping_use *uses,
                  struct mt_error *error)
{
    struct live *live = (struct live *)source;
    int descriptor = mt_proc_open(live->tid, "smaps");
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "r");
    struct mt_mapping_use *use = &uses[source->n_mappings];
    char buffer[MT_PROC_BUFFER], *line = NULL;
    size_t line_bytes = 0;
    bool any = false;

    if (!file) {
        if (descriptor >= 0)
            close(descriptor);
        return mt_fail(error, "cannot read /proc/%d/smaps: %s", (int)live->tid,
                       strerror(errno));
    }
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    while (getline(&line, &line_bytes, file) > 0) {
        const char *at = line;
        uint64_t start = mt_scan_hex(&at);
        const struct mt_mapping *m;
        if (at == line || *at != '-') {
            smaps_line(line, use);
            continue;
        }
        m = mt_source_mapping(source, start);
        use = &uses[m ? (size_t)(m - source->mappings) : source->n_mappings];
        any = true;
    }
    free(line);
    fclose(file);
    if (any)
        return true;
    source->coverage.ended = true;
    return mt_fail(error, "process %d ended while it was read", (int)live->pid);
}

bool mt_live_resident(struct mt_source *source, uint64_t start, uint64_t end,
                      mt_visit_pages *visit, void *context)
{
    struct live *live = (struct live *)source;

    return mt_page_walk(live->pagemap, &live->scan, start, end, visit, context);
}
