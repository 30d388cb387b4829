/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exec.c - starting other programs: those that can not have this library
 * (refused.h) are started without it, so that a tree of processes runs as it
 * would without the heap. All others are started as ever.
 *
 * These run between vfork() and the start, too: no lock, nothing allocated.
 */
#include "heap/seldom.h"
#include "heap/attributes.h"
#include "heap/box.h"
#include "heap/kernel.h"
#include "preload/refused.h"
#include "preload/symbols.h"

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libmemtrace-preload.so"
#define PRELOAD "LD_PRELOAD="
#define MOST_VARIABLES 8192u
#define MOST_ARGUMENTS 65536u

/* The variable's index, or -1; `name` ends in "=". */
static MT_NOINLINE long find_variable(char *const *environment,
                                      const char *name)
{
    for (long i = 0; environment && environment[i]; i++)
        if (strncmp(environment[i], name, strlen(name)) == 0)
            return i;
    return -1;
}

static long find_preload(char *const *environment)
{
    long at = find_variable(environment, PRELOAD);
    return at >= 0 && strstr(environment[at], LIBRARY) ? at : -1;
}

static bool is_readable(const void *text)
{
    return mt_kernel_raw(SYS_access, (long)text, F_OK, 0, 0, 0, 0) != -EFAULT;
}

/* One that is not readable is the kernel's to refuse. */
static bool is_environment(char *const *environment)
{
    for (; environment && is_readable(environment); environment++)
        if (!*environment || !is_readable(*environment))
            return !*environment;
    return false;
}

/* Room that an environment without the library needs; 0: it stays as it is. */
static size_t room_without(int folder, const char *path,
                           char *const *environment)
{
    size_t n = 0;
    if (!mt_runs_untraced(folder, path) || !is_environment(environment))
        return 0;
    long at = find_preload(environment);
    if (at < 0)
        return 0;
    while (environment[n])
        n++;
    size_t text = strlen(environment[at]) + 1;
    return n < MOST_VARIABLES && text < PATH_MAX
               ? (n + 1) * sizeof *environment + text
               : 0;
}

/* The list without this library. */
static void drop_library(char *to, const char *list)
{
    char *end = to;
    while (*list) {
        size_t n = strcspn(list, ": ");
        size_t m = sizeof LIBRARY - 1;
        if (n > 0 && !(n >= m && memcmp(list + n - m, LIBRARY, m) == 0)) {
            if (end != to)
                *end++ = ':';
            memcpy(end, list, n);
            end += n;
        }
        list += n + (list[n] != '\0');
    }
    *end = '\0';
}

static char *const *without(void *memory, char *const *environment)
{
    char **copy = memory;
    long at = find_preload(environment), n = 0;
    for (; environment[n]; n++)
        copy[n] = environment[n];
    copy[n] = NULL;
    char *text = (char *)(copy + n + 1);
    memcpy(text, PRELOAD, sizeof PRELOAD);
    drop_library(text + sizeof PRELOAD - 1,
                 environment[at] + sizeof PRELOAD - 1);
    if (text[sizeof PRELOAD - 1] != '\0')
        copy[at] = text;
    else
        memmove(copy + at, copy + at + 1, (size_t)(n - at) * sizeof *copy);
    return copy;
}

/* The environment for the program at the path. It lives in the caller's frame.
 */
#define ENVIRONMENT_AT(folder, path, environment)                              \
    __extension__({                                                            \
        size_t room_ = room_without((folder), (path), (environment));          \
        room_ ? without(alloca(room_), (environment)) : (environment);         \
    })

#define ENVIRONMENT_FOR(path, environment)                                     \
    ENVIRONMENT_AT(AT_FDCWD, path, environment)

/* The path where execvp() would find the file; the file itself if it has a
 * slash. */
static const char *search_path(char path[PATH_MAX], const char *file)
{
    long at = find_variable(environ, "PATH=");
    const char *list = at < 0 ? "/bin:/usr/bin" : environ[at] + 5;
    if (strchr(file, '/'))
        return file;
    size_t length = strlen(file);
    for (;;) {
        size_t n = strcspn(list, ":");
        if (n + length + 2 <= PATH_MAX) {
            memcpy(path, list, n);
            path[n] = '/';
            memcpy(path + n + (n > 0), file, length + 1);
            if (mt_kernel_raw(SYS_access, (long)path, X_OK, 0, 0, 0, 0) == 0)
                return path;
        }
        if (list[n] == '\0')
            return file;
        list += n + 1;
    }
}

/* The process is soon another program; its box would stay without it. */
static MT_NOINLINE void exec_leave_box(const char *path)
{
    if (MT_UNLIKELY(mt_box_on) &&
        mt_kernel_raw(SYS_access, (long)path, X_OK, 0, 0, 0, 0) == 0)
        mt_box_end();
}

/* An execveat() that asks for nothing else is an execve(). */
static int exec_file(int folder, const char *path, char *const argv[],
                     char *const env[], int flags)
{
    exec_leave_box(path); /* a path in another folder is seldom found by it */
    env = ENVIRONMENT_AT(folder, path, env);
    return (int)(folder == AT_FDCWD && flags == 0
                     ? mt_kernel(SYS_execve, path, argv, env)
                     : mt_kernel(SYS_execveat, folder, path, argv, env, flags));
}

MT_EXPORT int execve(const char *path, char *const argv[], char *const env[])
{
    return exec_file(AT_FDCWD, path, argv, env, 0);
}

/* glibc has it since 2.34. */
int execveat(int, const char *, char *const *, char *const *, int);

MT_EXPORT int execveat(int folder, const char *path, char *const argv[],
                       char *const env[], int flags)
{
    return exec_file(folder, path, argv, env, flags);
}

MT_EXPORT int fexecve(int file, char *const argv[], char *const env[])
{
    if (file < 0) {
        errno = EINVAL;
        return -1;
    }
    return exec_file(file, "", argv, env, AT_EMPTY_PATH);
}

MT_EXPORT int execv(const char *path, char *const argv[])
{
    return exec_file(AT_FDCWD, path, argv, environ, 0);
}

MT_EXPORT int execvpe(const char *file, char *const argv[], char *const env[])
{
    int (*next)(const char *, char *const *, char *const *) =
        (int (*)(const char *, char *const *,
                 char *const *))mt_symbols_following("execvpe");
    char path[PATH_MAX];
    exec_leave_box(search_path(path, file));
    return next(file, argv, ENVIRONMENT_FOR(search_path(path, file), env));
}

MT_EXPORT int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

/* The arguments are up to NULL, and for execle() the environment after it. */
enum list_kind { LIST, LIST_BY_NAME, LIST_AND_ENVIRONMENT };

static int exec_list(enum list_kind kind, const char *file, const char *first,
                     va_list *rest)
{
    va_list again;
    size_t n = 1;
    va_copy(again, *rest);
    while (va_arg(again, char *) && n < MOST_ARGUMENTS)
        n++;
    va_end(again);
    char **argv = alloca((n + 1) * sizeof *argv);
    argv[0] = (char *)(uintptr_t)first;
    for (size_t i = 1; i <= n; i++)
        argv[i] = va_arg(*rest, char *);
    if (kind == LIST_BY_NAME)
        return execvp(file, argv);
    return exec_file(AT_FDCWD, file, argv,
                     kind == LIST ? environ : va_arg(*rest, char *const *), 0);
}

#define EXEC_LIST(name, kind)                                                  \
    MT_EXPORT int name(const char *file, const char *first, ...)               \
    {                                                                          \
        va_list rest;                                                          \
        va_start(rest, first);                                                 \
        int result = exec_list(kind, file, first, &rest);                      \
        va_end(rest);                                                          \
        return result;                                                         \
    }
EXEC_LIST(execl, LIST)
EXEC_LIST(execlp, LIST_BY_NAME)
EXEC_LIST(execle, LIST_AND_ENVIRONMENT)

typedef int spawn_function(pid_t *, const char *,
                           const posix_spawn_file_actions_t *,
                           const posix_spawnattr_t *, char *const *,
                           char *const *);

/* `name` is that of the function, and `path` where it finds the file. */
static MT_NOINLINE int spawn_file(const char *name, const char *path,
                                  pid_t *pid, const char *file,
                                  const posix_spawn_file_actions_t *actions,
                                  const posix_spawnattr_t *attributes,
                                  char *const argv[], char *const env[])
{
    spawn_function *next = (spawn_function *)mt_symbols_following(name);
    return next(pid, file, actions, attributes, argv,
                ENVIRONMENT_FOR(path, env));
}

MT_EXPORT int posix_spawn(pid_t *pid, const char *path,
                          const posix_spawn_file_actions_t *actions,
                          const posix_spawnattr_t *attributes,
                          char *const argv[], char *const env[])
{
    return spawn_file("posix_spawn", path, pid, path, actions, attributes, argv,
                      env);
}

MT_EXPORT int posix_spawnp(pid_t *pid, const char *file,
                           const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes,
                           char *const argv[], char *const env[])
{
    char path[PATH_MAX];
    return spawn_file("posix_spawnp", search_path(path, file), pid, file,
                      actions, attributes, argv, env);
}
