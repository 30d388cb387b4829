/* SPDX-License-Identifier: BSD-2-Clause
 *
 * raw_print.c - text without stdio, and where the reports go.
 */
#include "heap/seldom.h"
#include "heap/raw_print.h"
#include "heap/attributes.h"
#include "heap/kernel.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static struct stat stderr_at_start;

static bool is_open(int fd, struct stat *now)
{
    return mt_kernel_raw(SYS_fstat, fd, (long)now, 0, 0, 0, 0) == 0;
}

static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_rdev == other->st_rdev;
}

void mt_print_start(void)
{
    is_open(2, &stderr_at_start);
}

/* Is there a descriptor that this one was made of, by dup2()? It has the same
 * file, flags and place in the file. */
static bool has_twin(const struct stat *now, long flags)
{
    long place = mt_kernel_raw(SYS_lseek, 2, 0, SEEK_CUR, 0, 0, 0);
    struct stat other;
    for (int fd = 0; fd < 256; fd++)
        if (fd != 2 && is_open(fd, &other) && is_same_file(now, &other) &&
            mt_kernel_raw(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0) == flags &&
            mt_kernel_raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0) == place)
            return true;
    return false;
}

/* A program that closes its standard streams gets descriptor 2 for the next
 * file that it opens.  The file that it was at the start is still stderr; other
 * files must look like one: a terminal or another character device, a pipe's
 * end to write to, a file that is appended to, or that was put there by
 * dup2(). */
int mt_report_fd(void)
{
    struct stat now;
    if (!is_open(2, &now))
        return -1;
    if (is_same_file(&now, &stderr_at_start) || S_ISCHR(now.st_mode))
        return 2;
    long flags = mt_kernel_raw(SYS_fcntl, 2, F_GETFL, 0, 0, 0, 0);
    bool is_log = S_ISREG(now.st_mode) && (flags & O_APPEND);
    bool is_pipe = S_ISFIFO(now.st_mode) && (flags & O_ACCMODE) == O_WRONLY;
    return flags >= 0 && (is_log || is_pipe || has_twin(&now, flags)) ? 2 : -1;
}

void mt_print_flush(struct mt_print *out)
{
    int saved = errno;
    size_t done = 0;
    while (out->fd > 0 && done < out->length) {
        ssize_t n =
            mt_kernel(SYS_write, out->fd, out->text + done, out->length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* the error cannot be reported */
        done += (size_t)n;
    }
    if (out->fd > 0)
        out->length = 0;
    errno = saved;
}

void mt_print_bytes(struct mt_print *out, const char *text, size_t bytes)
{
    while (out->fd > 0 && out->length + bytes > out->size) {
        size_t part = out->size - out->length;
        memcpy(out->text + out->length, text, part);
        out->length = out->size;
        mt_print_flush(out);
        text += part;
        bytes -= part;
    }
    if (out->length < out->size) {
        size_t room = out->size - out->length;
        memcpy(out->text + out->length, text, bytes < room ? bytes : room);
    }
    out->length += bytes;
}

void mt_print(struct mt_print *out, const char *text)
{
    mt_print_bytes(out, text, strlen(text));
}

static size_t print_digits(char *end, uint64_t value, unsigned base)
{
    size_t n = 0;
    do {
        *--end = "0123456789abcdef"[value % base];
        value /= base;
        n++;
    } while (value);
    return n;
}

void mt_print_u64(struct mt_print *out, uint64_t value)
{
    mt_print_u64_right(out, value, 0);
}

void mt_print_u64_right(struct mt_print *out, uint64_t value, unsigned width)
{
    char text[24];
    size_t n = print_digits(text + sizeof text, value, 10);
    for (size_t pad = n; pad < width; pad++)
        mt_print(out, " ");
    mt_print_bytes(out, text + sizeof text - n, n);
}

void mt_print_hex(struct mt_print *out, uint64_t value)
{
    char text[24];
    size_t n = print_digits(text + sizeof text, value, 16);
    mt_print(out, "0x");
    mt_print_bytes(out, text + sizeof text - n, n);
}

void mt_print_size(struct mt_print *out, uint64_t bytes)
{
    static const char units[] = "KMGT";
    if (bytes < 1024) {
        mt_print_u64(out, bytes);
        return;
    }
    unsigned u = 0;
    uint64_t whole = bytes >> 10, rest = bytes & 1023;
    while (whole >= 1024 && units[u + 1]) {
        rest = whole & 1023;
        whole >>= 10;
        u++;
    }
    mt_print_u64(out, whole);
    uint64_t hundredths = rest * 100 / 1024;
    char text[4] = {'.', (char)('0' + hundredths / 10),
                    (char)('0' + hundredths % 10), units[u]};
    mt_print_bytes(out, text, 4);
}

void mt_print_pattern(struct mt_print *out, const char *pattern,
                      const struct mt_pattern_values *values)
{
    for (const char *p = pattern; *p; p++) {
        char key = p[0] == '%' ? p[1] : '\0';
        if (key == 'p')
            mt_print_u64(out, values->pid);
        else if (key == 'n' && values->name)
            mt_print_bytes(out, values->name, values->name_bytes);
        else if (key == 't' && values->seconds)
            mt_print_u64(out, values->seconds);
        else if (key == '%')
            mt_print(out, "%");
        else {
            mt_print_bytes(out, p, 1);
            continue;
        }
        p++;
    }
}

void mt_report_file(const char *before, const char *name, const char *what,
                    int number)
{
    char text[1224]; /* a line is one write */
    struct mt_print out = {
        .text = text, .size = sizeof text, .fd = mt_report_fd()};
    mt_print(&out, "memtrace: ");
    mt_print(&out, before);
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
