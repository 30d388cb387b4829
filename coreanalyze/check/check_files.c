/* SPDX-License-Identifier: BSD-2-Clause
 *
 * check_files.c - a check without ptrace.  Every process on the traced heap
 * makes a file PID.part when it starts, and a core PID of it at its exit hook
 * (MEMTRACE=core=).  A file that is still .part is of a process that did not
 * pass its hook: if the kernel left a core of it, that is taken.
 */
#include "coreanalyze/check/check_report.h"
#include "coreanalyze/base/memory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

char *mt_check_folder(char **setting, struct mt_error *error)
{
    const char *parent = getenv("TMPDIR");
    char *folder = NULL;

    /* A colon would end the value in MEMTRACE, and % has a meaning. */
    if (parent == NULL || parent[0] != '/' || strpbrk(parent, ":%"))
        parent = "/tmp";
    *setting = NULL;
    if (asprintf(&folder, "%s/memtrace-check-XXXXXX", parent) < 0) {
        mt_no_memory(error, "the names of cores");
        return NULL;
    }
    if (mkdtemp(folder) == NULL)
        mt_fail(error,
                "ptrace is not allowed here, and the folder %s cannot be "
                "made: %s",
                folder, strerror(errno));
    else if (asprintf(setting, "core=%s/%%p", folder) >= 0)
        return folder;
    else {
        mt_no_memory(error, "the names of cores");
        rmdir(folder);
        *setting = NULL;
    }
    free(folder);
    return NULL;
}

/* --- cores of the kernel's --- */

/* Finds where the kernel puts the core of `pid`, as a pattern of glob(3), or
 * why that is not known.  Parts that only the kernel knows become stars. */
static const char *core_pattern(pid_t pid, char *pattern, size_t bytes)
{
    char text[256] = "", uses_pid[8] = "0";
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");
    bool has_pid = false;
    size_t n = 0;

    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    if (file)
        fclose(file);
    text[strcspn(text, "\n")] = '\0';
    if (text[0] == '\0')
        return "core_pattern is empty";
    if (text[0] == '|')
        return "core_pattern hands cores to a program";
    for (const char *p = text; *p && n + 16 < bytes; p++) {
        if (*p == '%' && (p[1] == 'p' || p[1] == 'P')) {
            n += (size_t)snprintf(pattern + n, bytes - n, "%d", (int)pid);
            has_pid = true;
            p++;
        } else if (*p == '%' && p[1]) {
            pattern[n++] = *++p == '%' ? '%' : '*';
        } else {
            if (strchr("*?[\\", *p))
                pattern[n++] = '\\';
            pattern[n++] = *p;
        }
    }
    pattern[n] = '\0';
    file = fopen("/proc/sys/kernel/core_uses_pid", "re");
    if (file && fgets(uses_pid, sizeof uses_pid, file) && uses_pid[0] != '0' &&
        !has_pid)
        snprintf(pattern + n, bytes - n, ".%d", (int)pid);
    if (file)
        fclose(file);
    return NULL;
}

/* The core of a process that a signal ended. */
static struct mt_source *open_core(pid_t pid, struct mt_error *error)
{
    struct mt_source *source = NULL;
    char pattern[1024];
    const char *why = core_pattern(pid, pattern, sizeof pattern);
    glob_t found = {0};
    struct rlimit limit;
    /* The core exists because the limit was raised. */
    bool unwanted = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0;

    if (why) {
        mt_fail(error, "it ended without running exit handlers, and %s", why);
        return NULL;
    }
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && source == NULL; i++) {
            source = mt_source_open_core(found.gl_pathv[i], error);
            if (source && source->process.pid != (uint32_t)pid) {
                mt_source_free(source);
                source = NULL;
            }
            if (source && unwanted)
                unlink(found.gl_pathv[i]);
        }
    globfree(&found);
    if (source == NULL)
        mt_fail(
            error,
            "it ended without running exit handlers and left no core file (%s)",
            pattern);
    return source;
}

/* --- what is in the folder --- */

static void look_at_core(struct mt_check *check, const char *path,
                         struct mt_findings_process *about)
{
    struct mt_error error = {0};

    about->head = "the heap at its exit hook";
    mt_check_look(check, about, mt_source_open_core(path, &error), NULL,
                  &error);
}

static void look_at_part(struct mt_check *check,
                         struct mt_findings_process *about)
{
    struct mt_error error = {0};
    struct mt_source *source = NULL;
    char head[64] = "";

    if (kill((pid_t)about->pid, 0) == 0)
        mt_fail(&error,
                "still running after the main program ended (see --wait)");
    else
        source = open_core((pid_t)about->pid, &error);
    if (source && source->process.signal)
        snprintf(head, sizeof head, "the heap at the crash: signal %d",
                 source->process.signal);
    else if (about->ended && WIFSIGNALED(about->status))
        snprintf(head, sizeof head, "ended by signal %d",
                 WTERMSIG(about->status));
    about->head = head[0] ? head : NULL;
    mt_check_look(check, about, source, NULL, &error);
    about->head = NULL; /* which mt_check_look() has copied */
}

static int by_pid(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    unsigned long p = strtoul(x, NULL, 10), q = strtoul(y, NULL, 10);

    return p < q ? -1 : p > q;
}

/* The names in the folder, in order; the caller frees each, and the list. */
static char **names_in(const char *folder, size_t *n)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    char **names = NULL;
    size_t capacity = 0;

    *n = 0;
    while (dir && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (!mt_grow(&names, &capacity, *n + 1, sizeof *names))
            break;
        names[*n] = strdup(entry->d_name);
        *n += names[*n] != NULL;
    }
    if (dir)
        closedir(dir);
    if (*n > 0)
        qsort(names, *n, sizeof *names, by_pid);
    return names;
}

static void look_at_file(struct mt_check *check, const char *path,
                         const char *name, const struct mt_check_end *end)
{
    struct mt_findings_process about = {.pid =
                                            (uint32_t)strtoul(name, NULL, 10)};

    about.ended = about.pid == end->pid;
    about.status = about.ended ? end->status : 0;
    if (strchr(name, '.'))
        look_at_part(check, &about);
    else
        look_at_core(check, path, &about);
}

void mt_check_files(struct mt_check *check, const char *folder,
                    const struct mt_check_end *end)
{
    size_t n;
    char **names = names_in(folder, &n);
    bool program = false;

    for (size_t i = 0; i < n; i++) {
        char *path = NULL;
        program |= strtoul(names[i], NULL, 10) == end->pid;
        if (asprintf(&path, "%s/%s", folder, names[i]) >= 0) {
            look_at_file(check, path, names[i], end);
            unlink(path);
            free(path);
        }
        free(names[i]);
    }
    free(names);
    rmdir(folder);
    if (check->unfollowed && !program)
        mt_check_lost(check, (pid_t)end->pid,
                      check->why_untraced[0]
                          ? check->why_untraced
                          : "without ptrace, and it was not on the traced "
                            "heap");
}
