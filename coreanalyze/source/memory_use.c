/* SPDX-License-Identifier: BSD-2-Clause
 *
 * memory_use.c - limits and usage of memory cgroups, versions 1 and 2.
 */
#include "coreanalyze/source/memory_use.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* As version 1 writes "no limit": a number near 2^63. */
#define UNLIMITED (UINT64_C(1) << 62)

struct cgroup_mount {
    char point[4096], root[4096]; /* "" if there is none */
};

static bool use_read(const char *folder, const char *name, char *text,
                     size_t bytes)
{
    char path[4200];
    FILE *file;
    size_t n = 0;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "re");
    if (file) {
        n = fread(text, 1, bytes - 1, file);
        fclose(file);
    }
    text[n] = '\0';
    return n > 0;
}

static bool use_number(const char *folder, const char *name, uint64_t *number)
{
    char text[64], *end;

    if (!use_read(folder, name, text, sizeof text))
        return false;
    *number = strtoull(text, &end, 10);
    return end != text;
}

/* Memory of files that nobody used lately goes before anybody is killed. */
static uint64_t use_inactive(const char *folder, const char *field)
{
    char text[16384];
    const char *at = text;
    size_t length = strlen(field);

    if (!use_read(folder, "memory.stat", text, sizeof text))
        return 0;
    while (at) {
        if (strncmp(at, field, length) == 0 && at[length] == ' ')
            return strtoull(at + length, NULL, 10);
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    return 0;
}

/* False: the folder is not a memory cgroup. */
static bool use_of_one(const char *folder, struct mt_memory_use *use)
{
    uint64_t inactive;

    use->v2 = use_number(folder, "memory.current", &use->usage);
    if (!use->v2 && !use_number(folder, "memory.usage_in_bytes", &use->usage))
        return false;
    inactive =
        use_inactive(folder, use->v2 ? "inactive_file" : "total_inactive_file");
    use->usage -= inactive < use->usage ? inactive : use->usage;
    if (!use_number(folder, use->v2 ? "memory.max" : "memory.limit_in_bytes",
                    &use->limit) ||
        use->limit >= UNLIMITED)
        use->limit = 0;
    snprintf(use->folder, sizeof use->folder, "%s", folder);
    return true;
}

static bool is_nearer(const struct mt_memory_use *a,
                      const struct mt_memory_use *b)
{
    if (a->limit == 0 || b->limit == 0)
        return a->limit != 0;
    return (unsigned __int128)a->usage * b->limit >
           (unsigned __int128)b->usage * a->limit;
}

bool mt_memory_use_of_folder(const char *folder, struct mt_memory_use *use)
{
    struct mt_memory_use one;
    char path[4096];
    char *slash;

    if (!use_of_one(folder, use))
        return false;
    snprintf(path, sizeof path, "%s", folder);
    while ((slash = strrchr(path, '/')) && slash != path) {
        *slash = '\0';
        if (!use_of_one(path, &one))
            break;
        if (is_nearer(&one, use))
            *use = one;
    }
    return true;
}

/* Fields 4 and 5 of a line of mountinfo are the root and the mount point; what
 * follows " - " is the type of the file system, its device and its options. */
static void mounts_find(struct cgroup_mount *v1, struct cgroup_mount *v2)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t bytes = 0;

    v1->point[0] = v2->point[0] = '\0';
    while (file && getline(&line, &bytes, file) > 0) {
        const char *rest = strstr(line, " - ");
        struct cgroup_mount *m = NULL;
        if (rest && strncmp(rest, " - cgroup2 ", 11) == 0)
            m = v2;
        else if (rest && strncmp(rest, " - cgroup ", 10) == 0 &&
                 strstr(rest, "memory"))
            m = v1;
        if (m && m->point[0] == '\0' &&
            sscanf(line, "%*s %*s %*s %4095s %4095s", m->root, m->point) != 2)
            m->point[0] = '\0';
    }
    free(line);
    if (file)
        fclose(file);
}

static bool use_below(const struct cgroup_mount *m, const char *path,
                      struct mt_memory_use *use)
{
    size_t length = strlen(m->root);
    char folder[8192];

    if (m->point[0] == '\0')
        return false;
    if (length > 1 && strncmp(path, m->root, length) == 0)
        path += length;
    snprintf(folder, sizeof folder, "%s%s", m->point,
             strcmp(path, "/") == 0 ? "" : path);
    if (strlen(folder) >= sizeof use->folder)
        return false;
    return mt_memory_use_of_folder(folder, use) ||
           mt_memory_use_of_folder(m->point, use);
}

bool mt_memory_use_of_process(pid_t pid, struct mt_memory_use *use)
{
    struct cgroup_mount v1, v2;
    char path[64], *line = NULL;
    size_t bytes = 0;
    bool found = false;
    FILE *file;

    mounts_find(&v1, &v2);
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    file = fopen(path, "re");
    while (!found && file && getline(&line, &bytes, file) > 0) {
        char *names = strchr(line, ':');
        char *place = names ? strchr(names + 1, ':') : NULL;
        if (!place)
            continue;
        *place++ = '\0';
        place[strcspn(place, "\n")] = '\0';
        if (names[1] == '\0')
            found = use_below(&v2, place, use);
        else if (strstr(names + 1, "memory"))
            found = use_below(&v1, place, use);
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

uint64_t mt_oom_kills(void)
{
    FILE *file = fopen("/proc/vmstat", "re");
    uint64_t kills = 0;
    char line[128];

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "oom_kill %" SCNu64, &kills) == 1)
            break;
    if (file)
        fclose(file);
    return kills;
}

void mt_process_limit(pid_t pid, struct mt_process_limit *limit)
{
    static const struct {
        int resource;
        const char *name;
    } kinds[] = {{RLIMIT_AS, "RLIMIT_AS"}, {RLIMIT_DATA, "RLIMIT_DATA"}};
    struct rlimit is;

    *limit = (struct mt_process_limit){0, NULL};
    for (unsigned i = 0; i < 2; i++)
        if (prlimit(pid, kinds[i].resource, NULL, &is) == 0 &&
            is.rlim_cur != RLIM_INFINITY &&
            (limit->bytes == 0 || is.rlim_cur < limit->bytes))
            *limit = (struct mt_process_limit){is.rlim_cur, kinds[i].name};
}
