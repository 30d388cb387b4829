/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process_name.c - a process by the name of its program, its systemd unit, or
 * its cgroup.  Processes that end while /proc is read are passed over.
 */
#include "coreanalyze/source/process_name.h"
#include "coreanalyze/base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pids that an error names. */
#define PROCESS_NAMES_LISTED 8

struct process_matches {
    pid_t pids[PROCESS_NAMES_LISTED];
    size_t n;
};

static void process_matches_add(struct process_matches *found, pid_t pid)
{
    if (pid != getpid() && found->n++ < PROCESS_NAMES_LISTED)
        found->pids[found->n - 1] = pid;
}

/* The first line of /proc/PID/NAME, without its end. */
static bool process_read_line(pid_t pid, const char *name, char *line,
                              size_t bytes)
{
    char path[64];
    FILE *file;
    bool ok;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    file = fopen(path, "re");
    if (!file)
        return false;
    ok = fgets(line, (int)bytes, file) != NULL;
    fclose(file);
    if (ok)
        line[strcspn(line, "\n")] = '\0';
    return ok;
}

/* The kernel cuts the name in `comm` to 15 bytes. */
static bool process_has_name(pid_t pid, const char *name)
{
    char line[4096], path[64];
    ssize_t length;

    if (process_read_line(pid, "comm", line, sizeof line) &&
        strcmp(line, name) == 0)
        return true;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    length = readlink(path, line, sizeof line - 1);
    if (length <= 0)
        return false;
    line[length] = '\0';
    return strcmp(mt_base_name(line), name) == 0;
}

/* "1:name=systemd:/system.slice/nginx.service" and the like. */
static bool process_is_of_unit(pid_t pid, const char *unit)
{
    char path[64], line[4096];
    size_t n = strlen(unit);
    bool found = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        for (char *at = line; !found && (at = strchr(at, '/')) != NULL;) {
            at++;
            found =
                strncmp(at, unit, n) == 0 && (at[n] == '\0' || at[n] == '/');
        }
    }
    if (file)
        fclose(file);
    return found;
}

static void process_find_all(const char *target, struct process_matches *found)
{
    DIR *folder = opendir("/proc");
    const char *dot = strrchr(target, '.');
    bool unit =
        dot && (strcmp(dot, ".service") == 0 || strcmp(dot, ".scope") == 0);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)) != NULL) {
        pid_t pid = (pid_t)atol(entry->d_name);
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (unit ? process_is_of_unit(pid, target)
                 : process_has_name(pid, target))
            process_matches_add(found, pid);
    }
    if (folder)
        closedir(folder);
}

/* True if `target` is the folder of a cgroup. */
static bool process_find_in_cgroup(const char *target,
                                   struct process_matches *found)
{
    char path[4096], line[64];
    FILE *file;

    if ((size_t)snprintf(path, sizeof path, "%s/cgroup.procs", target) >=
        sizeof path)
        return false;
    file = fopen(path, "re");
    if (!file)
        return false;
    while (fgets(line, sizeof line, file))
        if (isdigit((unsigned char)line[0]))
            process_matches_add(found, (pid_t)atol(line));
    fclose(file);
    return true;
}

bool mt_process_by_name(const char *target, pid_t *pid, struct mt_error *error)
{
    struct process_matches found = {.n = 0};
    char list[16 * PROCESS_NAMES_LISTED] = "";
    size_t used = 0;

    *pid = 0;
    if (!process_find_in_cgroup(target, &found) && !strchr(target, '/'))
        process_find_all(target, &found);
    if (found.n == 1)
        *pid = found.pids[0];
    if (found.n <= 1)
        return true;
    for (size_t i = 0; i < found.n && i < PROCESS_NAMES_LISTED; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, " %d",
                                 (int)found.pids[i]);
    return mt_fail(error,
                   "%zu processes are named '%s': give one of their process "
                   "IDs:%s%s",
                   found.n, target, list,
                   found.n > PROCESS_NAMES_LISTED ? " ..." : "");
}
