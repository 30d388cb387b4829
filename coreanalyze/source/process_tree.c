/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process_tree.c - /proc/PID/stat, and the children of a process: from
 * /proc/PID/task/TID/children, or where the kernel does not have that, from the
 * parents of all processes.
 */
#include "coreanalyze/source/process_tree.h"
#include "coreanalyze/source/proc_task.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False: there is no such process. */
static bool tree_stat(pid_t pid, char *state, pid_t *parent, uint64_t *start)
{
    int file = mt_proc_open(pid, "stat"), ppid = 0;
    char text[2048];
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof text - 1);
    const char *at;
    bool ok;

    if (file >= 0)
        close(file);
    if (got <= 0)
        return false;
    text[got] = '\0';
    /* The name may hold anything. */
    at = strrchr(text, ')');
    ok = at && sscanf(at + 1,
                      " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                      "%*s %*s %*s %*s %*s %*s %*s %" SCNu64,
                      state, &ppid, start) == 3;

    *parent = (pid_t)ppid;
    return ok;
}

uint64_t mt_process_start(pid_t pid)
{
    uint64_t start = 0;
    pid_t parent;
    char state;

    if (!tree_stat(pid, &state, &parent, &start))
        return 0;
    /* Its other threads may continue. */
    if ((state == 'Z' || state == 'X') && mt_proc_living(pid) == 0)
        return 0;
    return start;
}

static bool tree_read_children(pid_t pid, pid_t tid,
                               void (*visit)(void *context, pid_t child),
                               void *context)
{
    char path[80];
    FILE *file;
    int child;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid,
             (int)tid);
    file = fopen(path, "re");
    while (file && fscanf(file, "%d", &child) == 1)
        visit(context, (pid_t)child);
    if (file)
        fclose(file);
    return file != NULL;
}

static void tree_search(pid_t pid, void (*visit)(void *context, pid_t child),
                        void *context)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    uint64_t start;
    pid_t parent;
    char state;

    while (folder && (entry = readdir(folder))) {
        pid_t child = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]) &&
            tree_stat(child, &state, &parent, &start) && parent == pid)
            visit(context, child);
    }
    if (folder)
        closedir(folder);
}

void mt_process_children(pid_t pid, void (*visit)(void *context, pid_t child),
                         void *context)
{
    char path[64];
    struct dirent *entry;
    bool known = false;
    DIR *folder;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    folder = opendir(path);
    while (folder && (entry = readdir(folder)))
        if (isdigit((unsigned char)entry->d_name[0]))
            known |= tree_read_children(
                pid, (pid_t)strtol(entry->d_name, NULL, 10), visit, context);
    if (folder)
        closedir(folder);
    if (!known)
        tree_search(pid, visit, context);
}
