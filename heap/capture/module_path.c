/* SPDX-License-Identifier: BSD-2-Clause
 *
 * module_path.c - the path of a loaded object's file.
 *
 * The dynamic linker knows it, but not the program's: that is the file that
 * the kernel runs, unless the program was started through the linker
 * (`ld.so PROGRAM`). Then it is looked up among the mappings.
 *
 * The stack may have a few KiB only: paths are read into the table of strings,
 * and what they don't need is given back.
 */
#include "heap/seldom.h"
#include "heap/capture/module_path.h"
#include "heap/attributes.h"

#include "heap/kernel.h"
#include "heap/layout.h"
#include "heap/os.h"
#include "heap/sandbox.h"
#include "heap/trace_region.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#define ROOM 4096u /* the longest path, and the longest line of the maps */

static uint32_t path_offset(const char *path)
{
    return (uint32_t)(path - (const char *)(uintptr_t)memtrace_root
                                 ->sections[MT_SECTION_STRINGS]
                                 .base);
}

/* Ends the use of `path`, which has ROOM bytes, but for its first `length`; of
 * all, `written` bytes may not be zero. */
static uint32_t path_keep(char *path, size_t length, size_t written)
{
    size_t kept = length ? (length + 8) & ~(size_t)7 : 0;
    if (written > length)
        memset(path + length, 0, written - length);
    if (kept < ROOM)
        mt_section_return(MT_SECTION_STRINGS, path + kept, ROOM - kept);
    return length ? path_offset(path) : 0;
}

/* The hexadecimal number at `*at`, which is moved past it and one byte. */
static uint64_t path_number(const char **at)
{
    uint64_t value = 0;
    for (; **at && **at != '-' && **at != ' '; (*at)++) {
        unsigned digit = (unsigned char)**at;
        value = value << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    *at += **at != 0;
    return value;
}

/* If the line is that of the mapping of a file at `address`, moves the path to
 * its beginning and returns the length. */
static size_t path_of_line(char *line, uint64_t address)
{
    const char *at = line;
    uint64_t start = path_number(&at);
    if (address < start || address >= path_number(&at))
        return 0;
    at = strchr(at, '/');
    size_t length = at ? strlen(at) : 0;
    memmove(line, at ? at : line, length);
    return length;
}

/* Reads line after line of the maps; `line` has ROOM bytes.  Returns the length
 * of the path, which is then there, or 0. */
static size_t path_by_maps(char *line, uint64_t address)
{
    size_t have = 0, length = 0;
    int file = (int)mt_kernel(SYS_openat, AT_FDCWD, "/proc/thread-self/maps",
                              O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    while (!length) {
        long n = mt_kernel(SYS_read, file, line + have, ROOM - 1 - have);
        if (n <= 0)
            break;
        have += (size_t)n;
        char *end;
        while (!length && (end = memchr(line, '\n', have))) {
            *end = 0;
            length = path_of_line(line, address);
            have -= (size_t)(end + 1 - line);
            if (!length)
                memmove(line, end + 1, have);
        }
        if (have == ROOM - 1)
            break;
    }
    mt_kernel(SYS_close, file);
    return length;
}

static uint32_t path_of_program(uint64_t start)
{
    char *path = mt_section_alloc(MT_SECTION_STRINGS, ROOM);
    size_t written = 0;
    long n = 0;
    if (!path)
        return 0;
    if (mt_os_auxiliary(AT_BASE) ==
        0) { /* the linker is what the kernel runs */
        n = (long)path_by_maps(path, start);
        written = ROOM;
    }
    if (n == 0)
        n = mt_kernel(SYS_readlink, "/proc/thread-self/exe", path, ROOM - 1);
    return path_keep(path, n > 0 ? (size_t)n : 0, written);
}

/* Relative to the directory that was current when it was loaded; the best that
 * is known of that is the one now. */
static uint32_t path_in_directory(const char *name, size_t length)
{
    char *path =
        length + 2 < ROOM ? mt_section_alloc(MT_SECTION_STRINGS, ROOM) : NULL;
    if (!path)
        return mt_string_add(name, length);
    long n = mt_kernel(SYS_getcwd, path, ROOM - length - 2); /* with its NUL */
    if (n <= 0 || path[0] != '/') {
        path_keep(path, 0, ROOM);
        return mt_string_add(name, length);
    }
    path[n - 1] = '/';
    memcpy(path + n, name, length);
    return path_keep(path, (size_t)n + length, 0);
}

uint32_t mt_module_path(const struct link_map *map, uint64_t start)
{
    const char *name = map && map->l_name ? map->l_name : "";
    size_t length = strlen(name);
    bool asks = !mt_sandbox.level && !mt_load_relaxed(&mt_sandbox_any);
    if (length == 0)
        return asks ? path_of_program(start) : 0;
    if (name[0] == '/' || !strchr(name, '/') || !asks)
        return mt_string_add(name, length);
    return path_in_directory(name, length);
}
