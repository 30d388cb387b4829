/* SPDX-License-Identifier: BSD-2-Clause
 *
 * proc_task.c - finds a living thread of a process, and reads small files of
 * /proc.
 */
#include "coreanalyze/source/proc_task.h"
#include "coreanalyze/base/memory.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TEXT (1u << 20)

int mt_proc_open(pid_t tid, const char *name)
{
    char path[96];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

char *mt_proc_text(pid_t tid, const char *name, bool *no_memory)
{
    int file = mt_proc_open(tid, name);
    size_t capacity = 4096, n = 0;
    char *text = file >= 0 ? malloc(capacity + 1) : NULL;
    ssize_t got = -1;

    if (file >= 0 && !text && no_memory)
        *no_memory = true;
    while (text && (got = read(file, text + n, capacity - n)) > 0) {
        n += (size_t)got;
        if (n < capacity)
            continue;
        if (capacity >= MAX_TEXT)
            break;
        if (!mt_resize(&text, capacity * 2 + 1, 1))
            break;
        capacity *= 2;
    }
    if (file >= 0)
        close(file);
    if (!text || got < 0) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    return text;
}

char mt_proc_state(pid_t tid)
{
    char *text = mt_proc_text(tid, "stat", NULL);
    /* The name may hold anything, also parentheses. */
    const char *after = text ? strrchr(text, ')') : NULL;
    char state = after && after[1] == ' ' ? after[2] : 0;

    free(text);
    return state;
}

long mt_proc_status(pid_t tid, const char *field)
{
    size_t length = strlen(field);
    char *text = mt_proc_text(tid, "status", NULL);
    long value = -1;

    /* The first line is the name, in which newlines are escaped. */
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, field, length) == 0) {
            value = strtol(line + length, NULL, 10);
            break;
        }
        if (*line == '\0')
            break;
    }
    free(text);
    return value;
}

void mt_proc_name(pid_t tid, char name[16])
{
    int file = mt_proc_open(tid, "comm");
    ssize_t n = file >= 0 ? read(file, name, 15) : -1;

    if (file >= 0)
        close(file);
    name[n > 0 ? n : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (name[0] == '\0')
        strcpy(name, "?");
}

static bool lives(pid_t tid)
{
    char state = mt_proc_state(tid);

    return state != 0 && state != 'Z' && state != 'X' && state != 'x';
}

pid_t mt_proc_living(pid_t pid)
{
    const struct dirent *entry;
    char path[64];
    pid_t found = 0;
    DIR *folder;

    if (lives(pid))
        return pid;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    folder = opendir(path);
    while (folder && !found && (entry = readdir(folder))) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]) && lives(tid))
            found = tid;
    }
    if (folder)
        closedir(folder);
    return found;
}
