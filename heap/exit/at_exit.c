/* SPDX-License-Identifier: BSD-2-Clause
 *
 * at_exit.c - exit= and save_at=: whether a file is to be written when the
 * process ends, its name, and its one writing.
 */
#include "heap/exit/at_exit.h"
#include "heap/alloc.h"
#include "heap/exit/memory_limits.h"
#include "heap/exit/save_at.h"
#include "heap/kernel.h"
#include "heap/raw_print.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MAX_NAME 1024u

static struct {
    bool wanted, core;
    char pattern[MAX_NAME];
    uint32_t done; /* the file is being written, or was */
} at_exit;

/* Of save_at.c, on a page that every start touches. */
bool mt_save_at_is_set, mt_save_at_wanted;

bool mt_exit_set(bool core, const char *pattern, size_t length)
{
    if (length == 0 || length >= sizeof at_exit.pattern)
        return false;
    memcpy(at_exit.pattern, pattern, length);
    at_exit.pattern[length] = '\0';
    at_exit.core = core;
    at_exit.wanted = true;
    return true;
}

static void at_exit_say(const char *name, const char *what, int number)
{
    char text[MAX_NAME + 200];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: ");
    mt_print(&out, name);
    mt_print(&out, what);
    if (number) {
        mt_print(&out, ": error ");
        mt_print_u64(&out, (uint64_t)number);
        mt_print(&out, number == ENOSPC   ? " (no space left on device)"
                       : number == EACCES ? " (permission denied)"
                       : number == ENOENT ? " (no such folder)"
                                          : "");
    }
    mt_print(&out, "\n");
    mt_print_flush(&out);
}

/* The pattern with the process's id for %p, its name for %n, and the time in
 * seconds for %t. */
static bool at_exit_expand(char name[MAX_NAME], const char *end)
{
    struct mt_print out = {.text = name, .size = MAX_NAME - 1};
    char own[32];
    size_t length = mt_exit_read_file(MT_EXIT_SELF "comm", own, sizeof own - 1);
    if (length && own[length - 1] == '\n')
        length--;
    for (size_t i = 0; i < length; i++)
        if (own[i] == '/')
            own[i] = '_';
    for (const char *p = at_exit.pattern; *p; p++) {
        char key = p[0] == '%' ? p[1] : '\0';
        if (key == 'p')
            mt_print_u64(&out, memtrace_root->pid);
        else if (key == 'n')
            mt_print_bytes(&out, own, length);
        else if (key == 't')
            mt_print_u64(&out, mt_os_realtime_ns() / 1000000000);
        else
            mt_print_bytes(&out, p, 1);
        p += key == 'p' || key == 'n' || key == 't' || key == '%';
    }
    mt_print(&out, end);
    if (out.length >= MAX_NAME - 1)
        return false;
    name[out.length] = '\0';
    return true;
}

void mt_exit_begin(void)
{
    char part[MAX_NAME];
    at_exit.done = 0;
    if (!at_exit.wanted || !at_exit.core || strstr(at_exit.pattern, "%t") ||
        !at_exit_expand(part, ".part"))
        return;
    int file = mt_exit_open(part, O_WRONLY | O_CREAT | O_NOFOLLOW);
    if (file >= 0)
        mt_kernel(SYS_close, file);
}

static bool at_exit_write_file(struct mt_exit *a, const char *part)
{
    mt_kernel(SYS_unlink, part);
    a->file = mt_exit_open(part, O_RDWR | O_CREAT | O_EXCL);
    a->memory = mt_exit_open(MT_EXIT_SELF "mem", O_RDONLY);
    bool ok = a->file >= 0;
    if (!ok)
        a->problem = errno;
    else
        ok = mt_exit_core(a);
    if (a->memory >= 0)
        mt_kernel(SYS_close, a->memory);
    if (a->file >= 0 && mt_kernel(SYS_close, a->file) != 0 && ok) {
        a->problem = errno;
        ok = false;
    }
    return ok;
}

/* Writes it as `part`, and gives it its name. */
static bool at_exit_write_named(struct mt_exit *a, const char *name,
                                const char *part)
{
    bool ok = at_exit_write_file(a, part);
    if (ok && mt_kernel(SYS_rename, part, name) != 0) {
        a->problem = errno;
        ok = false;
    }
    if (!ok) {
        at_exit_say(name, ": not written", a->problem);
        if (a->file >= 0)
            mt_kernel(SYS_unlink, part);
    }
    return ok;
}

static void at_exit_say_why(const char *name, const struct mt_exit_why *why)
{
    char text[MAX_NAME + 200];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: ");
    mt_print(&out, name);
    mt_print(&out, ": saved at ");
    mt_print_size(&out, why->usage);
    mt_print(&out, " of ");
    mt_print_size(&out, why->limit);
    mt_print(&out, why->kind == MT_LIMIT_CGROUP ? " of the memory cgroup"
                   : why->kind == MT_LIMIT_ADDRESS_SPACE
                       ? " of the address space"
                   : why->kind == MT_LIMIT_HEAP ? " of the heap's limit"
                                                : " resident");
    mt_print(&out, "; this process has ");
    mt_print_size(&out, why->resident);
    mt_print(&out, "\n");
    mt_print_flush(&out);
}

static void at_exit_write_now(uint64_t sp, uint64_t pc,
                              const struct mt_exit_why *why)
{
    char name[MAX_NAME], part[MAX_NAME];
    int saved = errno;
    if (!at_exit_expand(name, "") ||
        !at_exit_expand(part, why ? ".early.part" : ".part")) {
        at_exit_say(at_exit.pattern, ": not written: the name is too long", 0);
        return;
    }
    struct mt_exit *a = mt_os_reserve(sizeof *a, 0);
    bool ready = a && mt_os_commit(a, sizeof *a);
    if (!ready) {
        at_exit_say(name, ": not written", errno);
    } else {
        a->core = at_exit.core;
        a->sp = sp;
        a->pc = pc;
        if (why)
            a->why = *why;
        if (at_exit_write_named(a, name, part) && why)
            at_exit_say_why(name, why);
    }
    if (ready)
        mt_os_uncommit(a, sizeof *a);
    if (a)
        mt_os_release(a, sizeof *a);
    errno = saved;
}

void mt_exit_write(uint64_t sp, uint64_t pc)
{
    /* A child of vfork is not the process whose trace this is. */
    if (!at_exit.wanted || !mt_started() || memtrace_root->pid != mt_os_pid() ||
        __atomic_exchange_n(&at_exit.done, 1, __ATOMIC_ACQ_REL))
        return;
    at_exit_write_now(sp, pc, NULL);
}

bool mt_exit_is_wanted(void)
{
    return at_exit.wanted;
}

void mt_exit_write_early(uint64_t sp, uint64_t pc,
                         const struct mt_exit_why *why)
{
    if (!mt_load_relaxed(&at_exit.done))
        at_exit_write_now(sp, pc, why);
}
