/* SPDX-License-Identifier: BSD-2-Clause
 *
 * live_lazy.c - which mappings somebody fills page by page when they are
 * touched (userfaultfd), by the flags in /proc/TID/smaps.
 *
 * That file takes the kernel five times as long as the table of mappings does.
 * Memory that was not filled can only hold what looks lost.  So a process that
 * stands still is asked once something is lost, unless it has such a
 * descriptor.
 */
#include "coreanalyze/source/live.h"
#include "coreanalyze/base/memory.h"
#include "coreanalyze/base/search.h"
#include "coreanalyze/base/text.h"
#include "coreanalyze/source/proc_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mt_lazy {
    uint64_t start, end;
};

static bool line_is_lazy(const char *line)
{
    return line[0] == 'V' && strncmp(line, "VmFlags:", 8) == 0 &&
           strstr(line + 8, " um");
}

static bool add_lazy(struct live *live, size_t *capacity, uint64_t start,
                     uint64_t end)
{
    if (!mt_grow(&live->lazy, capacity, live->n_lazy + 1, sizeof *live->lazy))
        return false;
    live->lazy[live->n_lazy++] = (struct mt_lazy){start, end};
    return true;
}

/* Before the process is stopped: it takes a while, and a mapping hardly ever
 * comes to be one of these. */
bool mt_live_find_lazy(struct live *live)
{
    uint64_t start = 0, end = 0;
    char path[64], buffer[MT_PROC_BUFFER], *line = NULL;
    size_t bytes = 0, capacity = 0;
    bool ok = true;
    FILE *file;

    free(live->lazy);
    live->lazy = NULL;
    live->n_lazy = 0;
    live->lazy_known = true;
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)live->tid);
    file = fopen(path, "re");
    if (file)
        setvbuf(file, buffer, _IOFBF, sizeof buffer);
    while (ok && file && getline(&line, &bytes, file) > 0) {
        if (line[0] >= 'A' && line[0] <= 'Z') {
            if (line_is_lazy(line))
                ok = add_lazy(live, &capacity, start, end);
        } else {
            const char *at = line;
            start = mt_scan_hex(&at);
            at += *at == '-';
            end = mt_scan_hex(&at);
        }
    }
    free(line);
    if (file)
        fclose(file);
    return ok;
}

bool mt_live_is_lazy(const struct live *live, uint64_t address)
{
    size_t i = mt_count_up_to(live->lazy, live->n_lazy, end, address);

    return i < live->n_lazy && live->lazy[i].start <= address;
}
