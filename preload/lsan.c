/* SPDX-License-Identifier: BSD-2-Clause
 *
 * lsan.c - the interface of LeakSanitizer's runtime, so that code annotated
 * for it works as it is.
 *
 * A check in the middle of a run asks the memtrace command, which looks at
 * this process from outside.  Under a tracer (memtrace check, a debugger) it
 * could not; what counts is then the check at the end.
 */
#include "heap/seldom.h"
#include "heap/alloc.h"
#include "heap/attributes.h"
#include "heap/kernel.h"
#include "heap/lock.h"
#include "heap/memtrace.h"
#include "heap/os.h"
#include "heap/raw_print.h"
#include "heap/trace_region.h"
#include "preload/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ENVIRONMENT 1024
#define STATUS_LEAKS 23

MT_EXPORT void __lsan_ignore_object(const void *p)
{
    memtrace_ignore(p);
}

MT_EXPORT void __lsan_disable(void)
{
    memtrace_ignore_begin();
}

MT_EXPORT void __lsan_enable(void)
{
    memtrace_ignore_end();
}

MT_EXPORT void __lsan_register_root_region(const void *p, size_t bytes)
{
    memtrace_root_region(p, bytes, 1);
}

MT_EXPORT void __lsan_unregister_root_region(const void *p, size_t bytes)
{
    memtrace_root_region(p, bytes, 0);
}

/* A program may have this function. Bound if it is exported: by a library, or
 * by a program that was linked with -rdynamic. */
__attribute__((weak)) const char *__lsan_default_suppressions(void);

static __attribute__((constructor)) void keep_suppressions(void)
{
    const char *text =
        __lsan_default_suppressions ? __lsan_default_suppressions() : NULL;
    if (text && *text && mt_start())
        mt_store_release(&memtrace_root->suppressions,
                         mt_string_add(text, strlen(text)));
}

/* --- checks in the middle --- */

static void lsan_say(const char *what)
{
    char text[300];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: leak check not done: ");
    mt_print(&out, what);
    mt_print(&out, "\n");
    mt_print_flush(&out);
}

static bool is_traced(void)
{
    static const char key[] = "TracerPid:\t";
    MT_SELDOM_BSS static char text[4096]; /* as command_path */
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strstr(text, key);
    return at && at[sizeof key - 1] != '0';
}

/* The command that was installed, or built, with this library. */
static bool find_command(char path[PATH_MAX])
{
    static const char *const places[] = {
        "/../../coreanalyze/memtrace", "/../bin/memtrace",
        "/../../bin/memtrace", "/../../../bin/memtrace"};
    const char *set = mt_os_getenv("MEMTRACE_COMMAND");
    Dl_info self;
    if (set && *set) {
        if (strlen(set) >= PATH_MAX)
            return false;
        strcpy(path, set);
        return access(path, X_OK) == 0;
    }
    if (dladdr((void *)(uintptr_t)__lsan_disable, &self) == 0)
        return false;
    const char *slash = strrchr(self.dli_fname, '/');
    size_t n = slash ? (size_t)(slash - self.dli_fname) : 0;
    if (n == 0 || n + 40 >= PATH_MAX)
        return false;
    memcpy(path, self.dli_fname, n);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        strcpy(path + n, places[i]);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* Without what would put the command on the traced heap. */
static void copy_environment(char *to[MAX_ENVIRONMENT])
{
    size_t n = 0;
    for (char **entry = environ; entry && *entry; entry++)
        if (n + 1 < MAX_ENVIRONMENT && strncmp(*entry, "LD_PRELOAD=", 11) &&
            strncmp(*entry, "MEMTRACE=", 9))
            to[n++] = *entry;
    to[n] = NULL;
}

static int lsan_run(char *const *argv, char *const *environment)
{
    int status = -1;
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(2, 1);
        execve(argv[0], argv, environment);
        mt_kernel(SYS_exit_group, 127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Not on the stack, where stale words of theirs would be searched. */
MT_SELDOM_BSS static char command_path[PATH_MAX];
MT_SELDOM_BSS static char *command_environment[MAX_ENVIRONMENT];
static struct mt_lock check_lock; /* for these */

/* The exit status of `memtrace leaks --fail`, or -1. */
static MT_COLD int lsan_check_locked(void)
{
    char pid[24] = {0};
    struct mt_print number = {.text = pid, .size = sizeof pid - 1};
    int saved = errno;
    if (mt_os_is_secure()) {
        lsan_say("this process has more rights than who started it");
        return -1;
    }
    if (is_traced()) {
        lsan_say(
            "a tracer follows this process; memtrace check looks at its end");
        return -1;
    }
    if (!find_command(command_path)) {
        lsan_say(
            "the command memtrace is not found; MEMTRACE_COMMAND can name it");
        return -1;
    }
    mt_print_u64(&number, (uint64_t)mt_os_pid());
    copy_environment(command_environment);
    char *argv[] = {command_path, (char *)"leaks", (char *)"--fail", pid, NULL};
    mt_kernel(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    int status = lsan_run(argv, command_environment);
    mt_kernel(SYS_prctl, PR_SET_PTRACER, 0, 0, 0, 0);
    if (status != 0 && status != STATUS_LEAKS)
        lsan_say(status == 24 ? "not all could be searched"
                              : "the command memtrace failed");
    errno = saved;
    return status;
}

static int lsan_check(void)
{
    mt_lock_acquire(&check_lock);
    int status = lsan_check_locked();
    mt_lock_release(&check_lock);
    return status;
}

MT_EXPORT int __lsan_do_recoverable_leak_check(void)
{
    return lsan_check() == STATUS_LEAKS;
}

MT_EXPORT void __lsan_do_leak_check(void)
{
    if (lsan_check() == STATUS_LEAKS)
        _exit(STATUS_LEAKS);
}
