/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap/raw_print.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void mt_print_flush(struct mt_print *out)
{
    int saved = errno;
    size_t done = 0;
    while (out->fd > 0 && done < out->length) {
        ssize_t n = write(out->fd, out->text + done, out->length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* nobody to tell */
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
