/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exit_file.c - the files of save= and core=: their names, how many of them
 * stay, and their writing.
 */
#include "heap/seldom.h"
#include "heap/exit/at_exit.h"
#include "heap/alloc.h"
#include "heap/exit/memory_limits.h"
#include "heap/kernel.h"
#include "heap/raw_print.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MAX_NAME 1024u
#define MOST_KEPT 64u
#define KEPT 8u /* by default, if the name has the time */

MT_SELDOM_BSS static char patterns[2][MAX_NAME]; /* of save=, of core= */
static bool keep_is_set;
static uint32_t keep;     /* 0: all */
static bool failure_said; /* once, of files before the end */

/* The mini-cores that were written before the end, in a ring; under the lock of
 * save_at.c. */
MT_SELDOM_BSS static struct {
    char base[MAX_NAME]; /* the newest name, without a number */
    uint32_t number;     /* of the newest; 1 has none in its name */
    uint32_t first, n;
    char names[MOST_KEPT][MAX_NAME];
} kept;

bool mt_exit_set(bool core, const char *pattern, size_t length)
{
    if (length == 0 || length >= MAX_NAME)
        return false;
    memcpy(patterns[core], pattern, length);
    patterns[core][length] = '\0';
    return true;
}

bool mt_exit_keep(uint64_t n)
{
    if (n > MOST_KEPT)
        return false;
    keep = (uint32_t)n;
    keep_is_set = true;
    return true;
}

void mt_exit_keep_default(void)
{
    if (!keep_is_set && strstr(patterns[0], "%t"))
        keep = KEPT;
}

/* The pattern with the process's id for %p, its name for %n, and the time in
 * seconds for %t. */
static bool exit_file_expand(char name[MAX_NAME], bool core, const char *end)
{
    struct mt_print out = {.text = name, .size = MAX_NAME - 1};
    char own[32];
    size_t length = mt_exit_read_file(MT_EXIT_SELF "comm", own, sizeof own - 1);
    if (length && own[length - 1] == '\n')
        length--;
    for (size_t i = 0; i < length; i++)
        if (own[i] == '/')
            own[i] = '_';
    struct mt_pattern_values values = {
        .pid = memtrace_root->pid,
        .seconds = mt_os_realtime_ns() / 1000000000,
        .name = own,
        .name_bytes = length,
    };
    mt_print_pattern(&out, patterns[core], &values);
    mt_print(&out, end);
    if (out.length >= MAX_NAME - 1)
        return false;
    name[out.length] = '\0';
    return true;
}

static bool exit_file_write_file(struct mt_exit *a, const char *part)
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
static bool exit_file_write_named(struct mt_exit *a, const char *name,
                                  const char *part)
{
    bool ok = exit_file_write_file(a, part);
    if (ok && mt_kernel(SYS_rename, part, name) != 0) {
        a->problem = errno;
        ok = false;
    }
    if (!ok) {
        if (!a->why.kind || !failure_said)
            mt_report_file("", name, ": not written", a->problem);
        failure_said = true;
        if (a->file >= 0)
            mt_kernel(SYS_unlink, part);
    }
    return ok;
}

static void exit_file_open_empty(void)
{
    char part[MAX_NAME];
    if (strstr(patterns[1], "%t") || !exit_file_expand(part, true, ".part"))
        return;
    int file = mt_exit_open(part, O_WRONLY | O_CREAT | O_NOFOLLOW);
    if (file >= 0)
        mt_kernel(SYS_close, file);
}

void mt_exit_file_begin(bool core)
{
    kept.n = kept.first = kept.number = 0; /* a parent's files are its own */
    if (core)
        exit_file_open_empty();
}

/* --- files before the end --- */

/* Where several are kept, a name that was the last one's gets a number. */
static bool exit_file_number(char name[MAX_NAME])
{
    struct mt_print out = {.text = name, .size = MAX_NAME - 1};
    if (keep == 0)
        return true;
    if (kept.number == 0 || strcmp(kept.base, name) != 0) {
        strcpy(kept.base, name);
        kept.number = 1;
        return true;
    }
    out.length = strlen(name);
    mt_print(&out, ".");
    mt_print_u64(&out, ++kept.number);
    if (out.length >= MAX_NAME - 1)
        return false;
    name[out.length] = '\0';
    return true;
}

/* The oldest make room for a file that was written. */
static void exit_file_rotate(const char *name)
{
    if (keep == 0)
        return;
    for (; kept.n >= keep; kept.n--) {
        mt_kernel(SYS_unlink, kept.names[kept.first]);
        kept.first = (kept.first + 1) % MOST_KEPT;
    }
    strcpy(kept.names[(kept.first + kept.n++) % MOST_KEPT], name);
}

static void exit_file_say_why(const char *name, const struct mt_exit_why *why)
{
    static const char *const of[MT_N_LIMIT_KINDS] = {"",
                                                     " of the memory cgroup",
                                                     " of the address space",
                                                     " of the heap's limit",
                                                     " resident",
                                                     " resident"};
    char text[MAX_NAME + 200];
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: ");
    mt_print(&out, name);
    mt_print(&out, ": saved at ");
    mt_print_size(&out, why->usage);
    mt_print(&out, why->kind == MT_LIMIT_GROWN ? ", grown from " : " of ");
    mt_print_size(&out, why->limit);
    mt_print(&out, of[why->kind]);
    mt_print(&out, "; this process has ");
    mt_print_size(&out, why->resident);
    mt_print(&out, "\n");
    mt_print_flush(&out);
}

/* --- all of them --- */

static bool exit_file_write_with(struct mt_exit *a, const char *name,
                                 const char *part)
{
    const struct mt_exit_why *why = a->why.kind ? &a->why : NULL;
    if (!exit_file_write_named(a, name, part))
        return false;
    if (why && !a->core)
        exit_file_rotate(name);
    if (why && !why->silent)
        exit_file_say_why(name, why);
    return true;
}

bool mt_exit_file_write(bool core, uint64_t sp, uint64_t pc,
                        const struct mt_exit_why *why)
{
    char name[MAX_NAME], part[MAX_NAME];
    int saved = errno;
    bool ok = false;
    if (!exit_file_expand(name, core, "") ||
        !exit_file_expand(part, core, why ? ".early.part" : ".part") ||
        (why && !core && !exit_file_number(name))) {
        mt_report_file("", patterns[core],
                       ": not written: the name is too long", 0);
        errno = saved;
        return false;
    }
    struct mt_exit *a = mt_os_reserve(sizeof *a, 0);
    bool ready = a && mt_os_commit(a, sizeof *a);
    if (!ready) {
        mt_report_file("", name, ": not written", errno);
    } else {
        a->core = core;
        a->sp = sp;
        a->pc = pc;
        if (why)
            a->why = *why;
        ok = exit_file_write_with(a, name, part);
    }
    if (ready)
        mt_os_uncommit(a, sizeof *a);
    if (a)
        mt_os_release(a, sizeof *a);
    errno = saved;
    return ok;
}
